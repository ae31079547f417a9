#!/bin/sh
# Installs what pyproject.toml lists into the Python environment that `python` is (a virtual environment is best):
#   sh requirements.sh                     all that the commands and the tests need
#   sh requirements.sh video               also the pose detector that main/predict.py --video uses
#   sh requirements.sh data usd demo dev   other sets: readers of HDF5 data sets, .usd files, the web demo, checks for developers
#   PYTHON=python3.12 sh requirements.sh   for another interpreter
# Where a set needs an older version of what is installed, pip replaces it; the last line then says what.
set -e
PYTHON=${PYTHON:-python}
cd "$(dirname "$0")"

# list KIND SETS...: the packages of these sets, one a line; KIND is `whole` or `alone` (without their dependencies)
list() {
    "$PYTHON" - "$@" <<'END'
import sys
try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib
with open("pyproject.toml", "rb") as file:
    content = tomllib.load(file)
kind, *sets = sys.argv[1:]
extras = content["project"]["optional-dependencies"]
unknown = [name for name in sets if name not in extras]
if unknown:
    sys.exit(f"requirements.sh: there is no set {unknown[0]}; sets are {', '.join(extras)}")
alone = content["tool"]["hgn"]["without-their-dependencies"]
needed = list(content["project"]["dependencies"]) if kind == "whole" else []
for name in sets:
    needed += extras[name] if kind == "whole" else alone.get(name, [])
print("\n".join(needed))
END
}

versions() {
    "$PYTHON" -m pip list --format=freeze --disable-pip-version-check
}

needed=$(list whole test "$@") # `test` always: the README also runs the tests
file=$(mktemp)
trap 'rm -f "$file"' EXIT
printf '%s\n' "$needed" > "$file"
before=$(versions)
"$PYTHON" -m pip install -r "$file"

for package in $(list alone test "$@"); do
    "$PYTHON" -m pip install --quiet --no-build-isolation --no-deps "$package" ||
        echo "requirements.sh: $package could not be installed here; what needs it says so when it is used"
done

"$PYTHON" - "$before" "$(versions)" <<'END'
import sys
from pip._vendor.packaging.version import Version
before, after = (dict(line.split("==", 1) for line in text.split("\n") if "==" in line) for text in sys.argv[1:])
older = [f"{name} {before[name]} by {now}" for name, now in after.items() if Version(before.get(name, now)) > Version(now)]
if older:
    print(f"requirements.sh: replaced by older versions: {', '.join(older)}")
END
