"""The drawing of a run folder: its tree with a line for each file, and some of its images."""

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import matplotlib.image
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.evaluation.plots import new_figure
from lib.files import replacing

CONTENTS = {
    "checkpoint/last.pth.tar": "after the last epoch; --resume_training continues here",
    "checkpoint/best.pth.tar": "lowest test error; give it to test.py and predict.py",
    "checkpoint/previous.pth.tar": "the last but one, should the last be damaged",
    "graph/loss.png": "training losses by epoch",
    "graph/error.png": "test error by epoch",
    "vis/*_pose.png": "test samples: 2D input, predicted and true skeleton",
    "vis/*_pose.obj": "the predicted skeleton for a 3D program",
    "vis/*_mesh_coarse.png": "the coarser predicted mesh",
    "vis/*_mesh_coarse.obj": "and its vertices and triangles",
    "vis/*_mesh_fine.png": "the finer predicted mesh",
    "vis/*_mesh_fine.obj": "and its vertices and triangles",
    "result/metrics.json": "MPJPE, PA-MPJPE and errors by action",
    "result/predictions.npz": "from test.py: every prediction, with its ground truth",
    "config.yml": "every setting of the run, defaults too",
    "log.jsonl": "losses and test errors, one line per epoch",
}
"""Pattern of the files of a run folder -> what they hold, in the order drawn."""

SHOWN = ("graph/error.png", "vis/*_pose.png", "vis/*_mesh_fine.png")
"""The images drawn beside the tree."""

INK, QUIET, FOLDER, LINE = "#2b2f36", "#5b6370", "#2274a5", "#b8bec7"
ROW, INDENT = 0.27, 0.3
"""Inches from one line of the tree to the next, and from a folder's name to those of its files."""
TEXTS, TREE_WIDTH, IMAGE_WIDTH = 2.75, 6.7, 4.6
"""Inches: where the texts begin, and the widths of the two columns."""


@dataclass(frozen=True)
class Row:
    """A line of the tree: its depth, a name, and what is said of it."""

    depth: int
    name: str
    text: str = ""


def files_of(run: Path) -> dict[str, list[Path]]:
    """Pattern of CONTENTS -> the files of the run folder that match it; ValueError for a file that none matches."""
    found: dict[str, list[Path]] = {pattern: [] for pattern in CONTENTS}
    for path in sorted(p for p in run.rglob("*") if p.is_file() and p.name != ".lock"):
        name = path.relative_to(run).as_posix()
        pattern = next((pattern for pattern in CONTENTS if fnmatch(name, pattern)), None)
        if pattern is None:
            raise ValueError(f"{path}: no line in CONTENTS of docs/run_folder_figure.py")
        found[pattern].append(path)
    return found


def tree_rows(title: str, found: dict[str, list[Path]]) -> list[Row]:
    """The lines of the tree, files of one pattern in one line."""
    rows, folders = [Row(0, f"{title}/")], set()
    for pattern, paths in found.items():
        folder, _, name = pattern.rpartition("/")
        if folder and folder not in folders:
            folders.add(folder)
            rows.append(Row(1, f"{folder}/"))
        count = f"{len(paths)} " if "*" in pattern and paths else ""
        rows.append(Row(2 if folder else 1, count + name.replace("*", "…"), CONTENTS[pattern]))
    return rows


def draw_run_folder(path: Path, run: Path) -> None:
    """Write the drawing of the run folder `run` as PNG, its name with <time> in place of the time."""
    found = files_of(run)
    rows = tree_rows("experiment/exp_<time>", found)
    height = ROW * (len(rows) + 1)
    figure = new_figure(TREE_WIDTH + IMAGE_WIDTH, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, TREE_WIDTH / (TREE_WIDTH + IMAGE_WIDTH), 1))
    axes.set(xlim=(0, TREE_WIDTH), ylim=(len(rows) - 0.1, -0.9))
    axes.axis("off")
    _tree(axes, rows)
    for number, pattern in enumerate(SHOWN):
        box = (TREE_WIDTH, height * (1 - (number + 1) / len(SHOWN)), IMAGE_WIDTH, height / len(SHOWN))
        _image(figure, found[pattern][-1], pattern.replace("*", "…"), box)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)


def _tree(axes: Axes, rows: list[Row]) -> None:
    """Names on the left, texts in a column of their own, and lines from each folder to what it holds."""
    parents = {}
    for place, row in enumerate(rows):
        x = 0.15 + INDENT * row.depth
        parents[row.depth] = place
        if row.depth:
            start = x - INDENT + 0.08
            axes.plot([start, start, x - 0.06], [parents[row.depth - 1] + 0.35, place, place], color=LINE, lw=1)
        style = {"color": FOLDER, "weight": "bold"} if row.name.endswith("/") else {"color": INK}
        axes.text(x, place, row.name, family="monospace", fontsize=9.5, va="center", **style)
        axes.text(TEXTS, place, row.text, color=QUIET, fontsize=10, va="center")


def _image(figure: Figure, path: Path, title: str, box: tuple[float, float, float, float]) -> None:
    """One of the run's images in a thin frame inside `box` (left, bottom, width, height; inches), its name above it."""
    left, bottom, width, height = box
    size = np.array([*figure.get_size_inches()] * 2)
    axes = figure.add_axes(np.array((left, bottom + 0.08, width - 0.1, height - 0.36)) / size)
    axes.imshow(matplotlib.image.imread(path))
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(LINE)
    axes.set_title(title, family="monospace", fontsize=9, color=INK, pad=4)
