"""A sheet of people, to be looked at: are they possible?"""

from pathlib import Path

import numpy as np

from lib.evaluation.plots import save_figure
from lib.joints import JointSet

COLUMNS = 10


def draw_crowd(path: Path, pose3d: np.ndarray, nodes: np.ndarray, up: np.ndarray, joints: JointSet) -> None:
    """Write an image of people: skeletons pose3d (N, J, 3), right red, left blue, and dots nodes (N, R, 3) of their bodies.

    All in metres and camera axes; up (N, 3) is drawn upwards, and everybody is seen from another side.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(pose3d) // COLUMNS)
    figure = Figure(figsize=(1.6 * COLUMNS, 1.6 * rows))
    FigureCanvasAgg(figure)
    for i in range(len(pose3d)):
        axes = figure.add_subplot(rows, COLUMNS, i + 1, projection="3d")
        upright = _upright(up[i])
        person, dots = pose3d[i] @ upright, nodes[i] @ upright
        for parent, child in joints.bones:
            color = {"R_": "tab:red", "L_": "tab:blue"}.get(joints.names[child][:2], "black")
            axes.plot(*person[[parent, child]].T, color=color, linewidth=1.2)
        axes.scatter(*dots.T, s=1, color="tab:green")
        for limits in (axes.set_xlim, axes.set_ylim, axes.set_zlim):
            limits(-0.6, 0.6)
        axes.set_box_aspect((1, 1, 1))
        axes.set_axis_off()
        axes.view_init(12, 137 * i % 360)
    figure.subplots_adjust(0, 0, 1, 1, 0, 0)
    save_figure(figure, path)


def _upright(up: np.ndarray) -> np.ndarray:
    """(3, 3) for row vectors: to axes whose z is `up` (3,)."""
    x = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(up, x), up], axis=1)
