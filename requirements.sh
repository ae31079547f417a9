#!/bin/sh
# Installs everything that the project needs into the Python environment that `python` is (a virtual environment is best):
#   sh requirements.sh          or, for another interpreter:   PYTHON=python3.12 sh requirements.sh
set -e
PYTHON=${PYTHON:-python}

"$PYTHON" -m pip install \
    "torch>=2.6,<2.14" "numpy>=1.26,<3" "scipy>=1.11,<2" "pyyaml>=6.0,<7" "opencv-python-headless>=4.8,<6" \
    "matplotlib>=3.8,<4" "tqdm>=4.65,<5" "onnx>=1.16,<2" "onnxruntime>=1.17,<2" \
    "pytest>=8,<10" "ruff>=0.6,<1"

# chumpy wrote SMPL's published pickles. No run imports it (smplpytorch reads those files without it); one test does.
"$PYTHON" -m pip install --quiet setuptools wheel six &&
    "$PYTHON" -m pip install --quiet --no-build-isolation --no-deps "chumpy==0.70" ||
    echo "requirements.sh: chumpy could not be installed; everything works without it, one test is skipped"
