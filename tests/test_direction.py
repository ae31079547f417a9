"""Imports go one way: the words that all share, the method, training and testing, lifting; data prepares, main calls."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "lib": (),
    "lib.graph": (),
    "lib.models": ("lib.graph",),
    "lib.evaluation": ("lib.graph", "lib.models"),
    "lib.training": ("lib.graph", "lib.models", "lib.evaluation", "smplpytorch"),
    "lib.lifting": ("lib.graph", "lib.models", "lib.evaluation", "smplpytorch"),
    "smplpytorch": (),
    "data": ("lib.graph", "smplpytorch"),
    "main": ("lib.graph", "lib.models", "lib.evaluation", "lib.training", "lib.lifting", "smplpytorch", "data"),
}
"""Room -> the other rooms that it may import; every room may import the words in lib/ itself (and itself)."""

DOOR = "lib.predict"
"""`from lib.predict import Lifter`: the one module of lib/ that opens a room."""


def room_of(module: str) -> str:
    return max((room for room in MAY_IMPORT if f"{module}.".startswith(f"{room}.")), key=len, default="")


def imported(path: Path) -> set[str]:
    """Names of all modules that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_is_below_it(room):
    allowed = {room, "lib", *MAY_IMPORT[room]}
    wrong = []
    for path in sorted((ROOT / room.replace(".", "/")).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if room_of(module) == room and module != DOOR:
            wrong += [f"{module} imports {name}" for name in imported(path) if room_of(name) not in allowed | {""}]
    assert not wrong


def test_lib_holds_no_more_than_a_dozen_words_and_the_door():
    words = {p.stem for p in (ROOT / "lib").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    words -= {"__init__", "predict", *(room.split(".")[1] for room in MAY_IMPORT if room.startswith("lib."))}
    assert len(words) <= 12, sorted(words)


def test_every_module_is_in_a_room():
    for name in ("lib.camera", "lib.graph.scales", "lib.lifting.writers.bvh", "data.table", "main.train"):
        assert room_of(name)
    assert room_of("numpy.linalg") == ""
