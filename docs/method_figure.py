"""The drawing of the method: three graph networks side by side that exchange features after every stage."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lib.evaluation.plots import SIDE_COLOURS, bone_sides, new_figure
from lib.files import replacing
from lib.graph.scales import GraphScale, build_scales
from lib.joints import HUMAN36M_17, SMPL_24
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.builtin_body import build_builtin_body
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer

ROWS = {"skeleton": 3.1, "coarse mesh": 1.55, "fine mesh": 0.0}
COLOURS = {"skeleton": "#2274a5", "coarse mesh": "#e58a2e", "fine mesh": "#5b8c5a"}
STAGES = {"skeleton": (1, 2, 3, 4), "coarse mesh": (1, 2, 3, 4), "fine mesh": (3, 4)}
STAGE_X, STAGE_STEP = 2.5, 1.9
HEIGHT = 1.35
INK = "#2b2f36"


def draw_method(path: Path) -> None:
    """Write the figure as SVG: input on the left, stages and exchanges in the middle, the three outputs on the right."""
    body = build_builtin_body()
    scales = build_scales(HUMAN36M_17, body.faces)
    vertices = _arms_down(body)
    joints = body.joint_regressor @ vertices
    figure = new_figure(12.6, 5.1)
    axes = figure.add_subplot()
    axes.set(xlim=(-0.6, 12.2), ylim=(-0.95, 4.2), aspect="equal")
    axes.axis("off")

    _skeleton(axes, joints[:, :2], (0.2, ROWS["skeleton"]), HEIGHT)
    _text(axes, 0.2, 2.2, "17 joints in 2D", COLOURS["skeleton"])
    for (name, y), scale in zip(ROWS.items(), scales, strict=True):
        nodes = len(scale)
        for stage in STAGES[name]:
            _stage(axes, _x(stage), y, COLOURS[name])
        first, last = _x(STAGES[name][0]), _x(STAGES[name][-1])
        start = 0.85 if name == "skeleton" else first - 0.62
        _arrow(axes, (start, y), (first - 0.45, y), COLOURS[name])
        for stage in STAGES[name][1:]:
            _arrow(axes, (_x(stage) - STAGE_STEP + 0.45, y), (_x(stage) - 0.45, y), COLOURS[name])
        _arrow(axes, (last + 0.45, y), (10.75, y), COLOURS[name])
        _text(axes, 9.75, y + 0.16, f"{name}, {nodes} nodes", COLOURS[name], size=8.5)
        if scale.pooling is None:
            _skeleton(axes, joints[:, :2], (11.4, y), HEIGHT)
        else:
            _graph(axes, scale, (scale.pooling @ vertices)[:, :2], (11.4, y), COLOURS[name])

    upper, middle, lower = ROWS.values()
    _exchange(axes, _x(1) - 0.78, upper, middle, both=False)
    for stage in (1, 2):
        _exchange(axes, _x(stage) + STAGE_STEP / 2, upper, middle)
    _exchange(axes, _x(3) - 0.78, middle, lower, both=False)
    for stage in (3, 4):
        _exchange(axes, _x(stage) + STAGE_STEP / 2 - (0.2 if stage == 4 else 0), upper, middle)
        _exchange(axes, _x(stage) + STAGE_STEP / 2 - (0.2 if stage == 4 else 0), middle, lower)
    for stage in STAGES["skeleton"]:
        _text(axes, _x(stage), 4.02, f"stage {stage}", INK, size=9)
    _text(axes, 11.4, 4.02, "3D, metres", INK, size=9)
    _text(
        axes,
        2.5,
        0.15,
        "one stage: two graph convolutions with a skip\nconnection, then a non-local layer;\n128 channels a node",
        INK,
        size=8.5,
    )
    _text(
        axes,
        7.2,
        -0.8,
        "vertical arrows: learned node transfers; each scale receives the features of the others",
        INK,
        size=8.5,
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})


def _x(stage: int) -> float:
    return STAGE_X + (stage - 1) * STAGE_STEP


def _text(axes: Axes, x: float, y: float, text: str, colour: str, size: float = 9.5) -> None:
    axes.text(x, y, text, color=colour, fontsize=size, ha="center", va="center", linespacing=1.35)


def _stage(axes: Axes, x: float, y: float, colour: str) -> None:
    """A stage: a block of two graph convolutions and the narrow block of the non-local layer."""
    for dx, width, alpha in ((-0.43, 0.3, 0.85), (-0.09, 0.3, 0.85), (0.25, 0.16, 0.45)):
        box = FancyBboxPatch(
            (x + dx, y - 0.36),
            width,
            0.72,
            boxstyle="round,pad=0,rounding_size=0.06",
            fc=colour,
            ec="none",
            alpha=alpha,
        )
        axes.add_patch(box)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, style: str = "-|>") -> None:
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle=style, mutation_scale=9, color=colour, lw=1.3, shrinkA=0, shrinkB=0)
    )


def _exchange(axes: Axes, x: float, upper: float, lower: float, both: bool = True) -> None:
    _arrow(axes, (x, upper - 0.05), (x, lower + 0.05), INK, "<|-|>" if both else "-|>")


def _placed(points: np.ndarray, place: tuple[float, float], height: float) -> np.ndarray:
    """Points (N, 2), y up, scaled to `height` and centred at `place`."""
    low, high = points.min(0), points.max(0)
    return (points - (low + high) / 2) * height / (high[1] - low[1]) + place


def _skeleton(axes: Axes, points: np.ndarray, place: tuple[float, float], height: float) -> None:
    points = _placed(points, place, height)
    colours = [SIDE_COLOURS[side] for side in bone_sides(HUMAN36M_17)]
    axes.add_collection(LineCollection(points[np.array(HUMAN36M_17.bones)], colors=colours, linewidths=1.8))
    axes.scatter(*points.T, s=7, color=INK, zorder=3)


def _graph(axes: Axes, scale: GraphScale, nodes: np.ndarray, place: tuple[float, float], colour: str) -> None:
    """The real nodes (R, 2) of a mesh scale and the edges between them."""
    flat = _placed(nodes, place, HEIGHT)
    edges = np.argwhere(np.triu(scale.adjacency[np.ix_(scale.real_nodes, scale.real_nodes)], 1))
    axes.add_collection(LineCollection(flat[edges], colors=colour, linewidths=1.0))
    axes.scatter(*flat.T, s=6, color=INK, zorder=3)


def _arms_down(body: BodyModel) -> np.ndarray:
    """Vertices (V, 3) of the body in a relaxed stance, metres."""
    pose = torch.zeros(1, len(body.parents), 3, dtype=torch.float64)
    for joint, angle in (("L_Shoulder", -1.05), ("R_Shoulder", 1.05), ("L_Hip", 0.12), ("R_Hip", -0.12)):
        pose[0, SMPL_24.names.index(joint), 2] = angle
    vertices, _ = SMPL_Layer(body, torch.float64)(
        pose.flatten(1), torch.zeros(1, body.shapedirs.shape[-1], dtype=torch.float64)
    )
    return vertices[0].numpy()
