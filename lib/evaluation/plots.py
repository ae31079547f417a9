"""Images of poses, meshes and training curves.

Only matplotlib's object API with Agg: no window, no pyplot, no state that outlives a call. 3D data are in metres and
camera axes (x right, y down, z forward, see lib.camera); the images show them upright. Right and left are the
person's own, as in lib.joints.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

from lib.evaluation.style import GRID, SIDE_COLOURS, VIEWS, bone_sides
from lib.files import replacing
from lib.joints import JointSet


def upright(points: np.ndarray) -> np.ndarray:
    """Camera axes (..., 3) to matplotlib's 3D axes, whose third axis points up: (x, z, -y), a rotation, no mirror."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of width x height inches with its own Agg canvas."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write the figure in the format that the ending of `path` names, complete or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100)


def plot_pose2d(axes: Axes, pose2d: np.ndarray, joint_set: JointSet, hollow: np.ndarray | None = None) -> None:
    """Draw one skeleton (J, 2), y down, in pixels or normalized image coordinates.

    Joints where `hollow` (J,) bool is set are drawn as rings.
    """
    colours = [SIDE_COLOURS[side] for side in bone_sides(joint_set)]
    for (a, b), colour in zip(joint_set.bones, colours, strict=True):
        axes.plot(*pose2d[[a, b]].T, color=colour, linewidth=2)
    hollow = np.zeros(len(pose2d), bool) if hollow is None else hollow
    x, y = pose2d.T
    axes.scatter(x, y, s=14, facecolors=np.where(hollow, "white", "black"), edgecolors="black", zorder=3)
    axes.set_aspect("equal", adjustable="datalim")
    if not axes.yaxis_inverted():
        axes.invert_yaxis()


def plot_pose3d(axes: Axes3D, pose3d: np.ndarray, joint_set: JointSet, dashed: bool = False) -> None:
    """Draw one skeleton (J, 3), metres, camera axes; `dashed` for a ground truth beside a prediction."""
    segments = upright(pose3d)[np.asarray(joint_set.bones)]
    colours = [SIDE_COLOURS[side] for side in bone_sides(joint_set)]
    style = {"linewidths": 1.3, "linestyles": "--", "alpha": 0.8} if dashed else {"linewidths": 2.5}
    axes.add_collection3d(Line3DCollection(segments, colors=colours, **style))
    if not dashed:
        axes.scatter(*upright(pose3d).T, s=8, color="black", depthshade=False)


def plot_mesh(axes: Axes3D, vertices: np.ndarray, faces: np.ndarray, colour: tuple = (0.72, 0.78, 0.86)) -> None:
    """Draw a mesh, vertices (R, 3) metres in camera axes, faces (F, 3), lit from the camera's upper left."""
    triangles = upright(vertices)[faces]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    light = np.array([-0.4, -0.7, 0.6]) / np.linalg.norm([-0.4, -0.7, 0.6])
    shade = 0.68 + 0.32 * normals @ light
    # the wires of a coarse mesh are worth seeing; those of a fine one hide it, and smooth edges leave gaps there
    coarse = len(faces) < 1000
    wires = {"edgecolors": (0.2, 0.25, 0.3, 0.6), "linewidths": 0.4} if coarse else {"antialiaseds": False}
    collection = Poly3DCollection(triangles, facecolors=np.clip(shade[:, None] * colour, 0, 1), **wires)
    axes.add_collection3d(collection)


def frame_3d(axes: Axes3D, points: np.ndarray, view: tuple[float, float]) -> None:
    """Equal axes around all points (..., 3), metres, camera axes, seen from `view` = (elevation, azimuth) degrees.

    Grid lines are GRID metres apart.
    """
    points = upright(np.asarray(points).reshape(-1, 3))
    low, high = points.min(0), points.max(0)
    half = (high - low) / 2 + 0.05
    half = np.maximum(half, 0.5 * half.max())  # a flat box would leave no ground to stand on
    for name, centre, reach in zip("xyz", (low + high) / 2, half, strict=True):
        axes.set(**{f"{name}lim": (centre - reach, centre + reach), f"{name}ticklabels": []})
        getattr(axes, f"{name}axis").set_major_locator(MultipleLocator(GRID))
    axes.set_box_aspect(half, zoom=1.12)
    axes.view_init(elev=view[0], azim=view[1])


def side_legend(with_target: bool = False) -> list[Line2D]:
    """Legend handles: a colour for each side and, with a target, a line style each for prediction and ground truth."""
    handles = [Line2D([], [], color=SIDE_COLOURS[s], linewidth=2.5, label=f"{s} side") for s in ("right", "left")]
    if with_target:
        handles.append(Line2D([], [], color="black", linewidth=2.5, label="prediction"))
        handles.append(Line2D([], [], color="black", linewidth=1.3, linestyle="--", label="ground truth"))
    return handles


def draw_pose(
    pose2d: np.ndarray,
    pose3d: np.ndarray,
    target3d: np.ndarray | None,
    joint_set: JointSet,
    path: str | Path,
    title: str = "",
) -> None:
    """Write an image of one sample: the 2D input beside the 3D skeleton from the front and from the side.

    pose2d (J, 2) normalized image coordinates; pose3d and target3d (J, 3) metres, camera axes, in the same frame of reference.
    """
    figure = new_figure(12, 4.5)
    flat = figure.add_subplot(1, 3, 1)
    plot_pose2d(flat, pose2d, joint_set)
    flat.set(title="2D input", xlabel="x (screen)", ylabel="y (screen)")
    poses = [pose3d] if target3d is None else [pose3d, target3d]
    for position, (name, view) in enumerate(VIEWS.items(), start=2):
        axes = figure.add_subplot(1, 3, position, projection="3d")
        for pose, dashed in zip(poses, (False, True), strict=False):
            plot_pose3d(axes, pose, joint_set, dashed)
        frame_3d(axes, np.stack(poses), view)
        axes.set_title(f"3D, {name} (grid {GRID} m)")
    figure.legend(handles=side_legend(target3d is not None), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(title or " ")  # a line in any case: 3D axes reach into it
    save_figure(figure, path)


def draw_mesh(
    vertices: np.ndarray,
    faces: np.ndarray,
    path: str | Path,
    pose3d: np.ndarray | None = None,
    joint_set: JointSet | None = None,
    title: str = "",
) -> None:
    """Write a shaded image of a mesh from the front and from the side, and of its skeleton beside it when given.

    vertices (R, 3) and pose3d (J, 3) metres, camera axes, in the same frame of reference; faces (F, 3).
    """
    columns = len(VIEWS) + (pose3d is not None)
    figure = new_figure(4 * columns, 4.5)
    everything = vertices if pose3d is None else np.concatenate([vertices, pose3d])
    for position, (name, view) in enumerate(VIEWS.items(), start=1):
        axes = figure.add_subplot(1, columns, position, projection="3d")
        plot_mesh(axes, vertices, faces)
        frame_3d(axes, everything, view)
        axes.set_title(f"mesh, {name} (grid {GRID} m)")
    if pose3d is not None:
        assert joint_set is not None  # it comes with pose3d
        axes = figure.add_subplot(1, columns, columns, projection="3d")
        plot_pose3d(axes, pose3d, joint_set)
        frame_3d(axes, everything, VIEWS["front"])
        axes.set_title("skeleton, front")
        figure.legend(handles=side_legend(), loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(title or " ")  # a line in any case: 3D axes reach into it
    save_figure(figure, path)


def draw_curves(log: Iterable[dict], path_loss: str | Path, path_error: str | Path) -> None:
    """Write two images of a training log: every loss per epoch, and the test error per epoch in millimetres.

    Each entry has "epoch" and any of: "loss" and other keys that begin with "loss" (numbers), "test" with "mpjpe"
    and "pa_mpjpe" in mm (missing or None for an epoch without a test).
    """
    log = list(log)
    names = dict.fromkeys(key for entry in log for key in entry if key.startswith("loss"))
    losses = {name: [(e["epoch"], e[name]) for e in log if name in e] for name in names}
    tests = [(entry["epoch"], entry["test"]) for entry in log if entry.get("test")]
    errors = {
        label: [(epoch, test[key]) for epoch, test in tests if key in test]
        for key, label in (("mpjpe", "MPJPE"), ("pa_mpjpe", "PA-MPJPE"))
    }

    figure, axes = _curves(losses, "training loss", "loss")
    if any(value > 0 for points in losses.values() for _, value in points):
        axes.set_yscale("log")
    save_figure(figure, path_loss)

    figure, axes = _curves(errors, "test error", "error (mm)")
    if errors["MPJPE"]:
        epoch, best = min(errors["MPJPE"], key=lambda point: point[1])
        axes.plot(epoch, best, "o", color="black", markersize=5)
        axes.set_title(f"test error, lowest MPJPE {best:.2f} mm at epoch {epoch} (chosen on the test subjects)")
    save_figure(figure, path_error)


def _curves(curves: dict[str, list[tuple]], title: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = new_figure(8, 4.5)
    axes = figure.add_subplot()
    for name, points in curves.items():
        if points:
            # a marker as well, so that the first epoch, a line of one point, can be seen
            axes.plot(*zip(*points, strict=True), marker=".", linewidth=1.5, label=name)
    axes.set(title=title, xlabel="epoch", ylabel=ylabel)
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]  # the default one is a MaxNLocator
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    return figure, axes
