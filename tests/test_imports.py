"""Importing does nothing: no file, no output, no setting. And the source keeps the rules that make it so."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("lib", "data", "smplpytorch", "main")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MODULES = sorted({".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in SOURCES})

# The packages that the project uses are loaded first, so that whatever happens then is the project's own doing. The modules
# are then imported one after another, or each alone with all others of the project forgotten. Audit events report every file
# opened and every folder made or removed.
PROGRAM = """
import contextlib, importlib, io, json, locale, os, random, signal, sys, threading, warnings

root, order, packages, modules, externals = sys.argv[1], sys.argv[2], *(a.split() for a in sys.argv[3:])
for name in externals:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)

import numpy as np
import torch

sys.path.insert(0, root)

def forget():
    for name in [n for n in sys.modules if n.split(".")[0] in packages]:
        del sys.modules[name]

def state():
    matplotlib = sys.modules.get("matplotlib")
    cv2 = sys.modules.get("cv2")
    values = {
        "environment": dict(os.environ),
        "working folder": os.getcwd(),
        "import path": [p for p in sys.path if p != root],
        "warning filters": len(warnings.filters),
        "threads": [threading.active_count(), torch.get_num_threads(), cv2.getNumThreads() if cv2 else 0],
        "locale": locale.setlocale(locale.LC_ALL),
        "signals": [str(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM)],
        "random": [hash(random.getstate()), str(np.random.get_state()), hash(torch.get_rng_state().numpy().tobytes())],
        "numpy": [np.geterr(), np.get_printoptions()],
        "torch": [
            str(torch.get_default_dtype()), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.get_float32_matmul_precision(),
            torch.cuda.is_initialized(), torch.serialization.get_safe_globals() == [],
        ],
        # Read as a plain dict, since asking matplotlib itself would choose a backend.
        "matplotlib": str(list(dict.items(matplotlib.rcParams))) if matplotlib else None,
        "pyplot": "matplotlib.pyplot" in sys.modules,  # it chooses a backend
        "recursion": sys.getrecursionlimit(),
    }
    return json.loads(json.dumps(values, default=str))

watching = []
seen = []

def listen(event, arguments):
    if not watching:
        return
    if event == "open" and str(arguments[0]).endswith((".py", ".pyc")) and arguments[1] in (None, "r", "rb"):
        return  # the import itself
    if event == "open" or event.split(".")[0] in ("subprocess", "socket", "shutil", "tempfile") or event in (
        "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chdir", "os.putenv", "os.unsetenv", "os.system",
        "os.link", "os.symlink", "os.chmod", "os.truncate", "os.utime", "os.fork", "os.exec", "os.posix_spawn",
    ):
        seen.append(event + " " + " ".join(map(str, arguments)))

def import_one(module):
    before = state()
    seen.clear()
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        watching.append(True)
        importlib.import_module(module)
        watching.clear()
    after = state()
    found = list(seen) + [f"set {name}" for name in before if before[name] != after[name]]
    faults[module] = found + [f"printed {text!r}" for text in (out.getvalue(), err.getvalue()) if text]

sys.addaudithook(listen)
faults = {}
if order == "one after another":
    for module in modules:
        import_one(module)
else:
    # Compile the modules once, outside the project's tree; from here on they are only read.
    sys.pycache_prefix, sys.dont_write_bytecode = os.path.join(os.getcwd(), "..", "bytecode"), False
    for module in modules:
        importlib.import_module(module)
    sys.dont_write_bytecode = True
    for module in modules:
        forget()
        importlib.invalidate_caches()
        import_one(module)
faults = {name: found for name, found in faults.items() if found}
print(json.dumps({"faults": faults, "files": os.listdir(".")}))
"""


def _external_modules() -> list[str]:
    """Modules of other packages that this project's modules import, and what they import from them."""
    names = set()
    for path in SOURCES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return sorted(name for name in names if name.split(".")[0] not in PACKAGES)


def imports(folder: Path, order: str) -> dict:
    """What happened when the modules were imported in an empty folder, in a process of its own."""
    (folder / "empty").mkdir()
    names = [" ".join(group) for group in (PACKAGES, MODULES, _external_modules())]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT), order, *names],
        cwd=folder / "empty",
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *printed, result = done.stdout.splitlines()
    assert printed == []
    return json.loads(result)


def test_all_modules_are_found():
    assert {"lib.models.hgn", "lib.config", "data", "smplpytorch.smplpytorch.body_model"} <= set(MODULES)


@pytest.mark.parametrize("order", ["one after another", pytest.param("each alone", marks=pytest.mark.slow)])
def test_importing_opens_creates_prints_and_sets_nothing_and_leaves_the_folder_empty(tmp_path, order):
    assert imports(tmp_path, order) == {"faults": {}, "files": []}
    assert not [name for name in _external_modules() if "pyplot" in name]  # those are there before


PACKAGE_OF = {"cv2": "opencv-python-headless", "yaml": "pyyaml", "PIL": "pillow", "mpl_toolkits": "matplotlib"}
"""Module -> the package that holds it, where the names differ."""


def test_every_package_that_is_imported_is_declared():
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    names = {name.split(".")[0] for name in _external_modules()} - set(sys.stdlib_module_names) - {"tests"}
    missing = [name for name in sorted(names) if not re.search(rf'"{PACKAGE_OF.get(name, name)}[<>=]', declared)]
    assert missing == []


FORBIDDEN = ("eval", "exec", "compile", "__import__", "globals")


def _forbidden(path: Path) -> Iterator[str]:
    """Star imports, global statements, eval and its like, and uses of sys.path outside main/'s one line."""
    paths = 0
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield f"{place}: star import"
        if isinstance(node, ast.Global):
            yield f"{place}: global statement"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN:
            yield f"{place}: {node.func.id}"
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path":
            paths += 1
            if paths > (path.parent == ROOT / "main"):
                yield f"{place}: sys.path"


def test_source_has_no_star_import_no_eval_no_global_statement_and_touches_the_import_path_only_in_commands():
    assert [fault for path in SOURCES for fault in _forbidden(path)] == []


HELP = """
import contextlib, io, runpy, sys
for command in sys.argv[1:]:
    sys.argv = [command, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        runpy.run_path(command, run_name="__main__")
    print(command, "usage:" in out.getvalue(), [name for name in ("torch", "matplotlib", "onnxruntime") if name in sys.modules])
"""


def test_help_of_every_command_imports_neither_torch_nor_matplotlib_nor_onnxruntime():
    commands = [str(path) for path in sorted((ROOT / "main").glob("*.py")) if path.stem != "__init__"]
    assert len(commands) >= 6
    done = subprocess.run([sys.executable, "-c", HELP, *commands], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{command} True []" for command in commands]
