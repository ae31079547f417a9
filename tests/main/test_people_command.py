import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow  # builds tables


def run(repository, *arguments) -> str:
    command = [sys.executable, "main/prepare_data.py", *map(str, arguments)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_people_are_drawn_and_detections_can_be_tested_on(repository, tmp_path):
    options = ["--cfg", "asset/yaml/HGN_synthetic_train.yml", "--set", f"DATASET.data_dir={tmp_path}"]
    run(repository, "people", *options, "--output", tmp_path / "people.png")
    image = np.asarray(Image.open(tmp_path / "people.png").convert("L"))
    assert image.shape[1] > image.shape[0] > 500
    assert 0.01 < (image < 200).mean() < 0.3
    text = run(repository, "detections", *options, "--joint-set", "body25", "--output", tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    assert found["keypoints"].shape == (len(found["names"]), 25, 2)
    assert f"{len(found['names'])} images" in text
    assert np.isfinite(found["keypoints"]).all()
