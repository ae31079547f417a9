"""A contact sheet (.png) of a sequence."""

from pathlib import Path

import numpy as np

from lib.evaluation.plots import (
    VIEWS,
    frame_3d,
    new_figure,
    plot_mesh,
    plot_pose2d,
    plot_pose3d,
    save_figure,
    side_legend,
)
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.geometry import placements, timeline

SHEET_FRAMES = 8
"""Frames on a sheet, evenly spaced over the sequence."""


def write_png(path: Path, sequences: list[PoseSequence]) -> None:
    """2D input, skeleton from the front and the side, and finest mesh: a column per frame, or a row for one frame."""
    frames = timeline(sequences)
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, SHEET_FRAMES).round().astype(int))]
    offsets = placements(sequences)
    views = ["2D input", *VIEWS] + ["mesh"] * any(s.meshes for s in sequences)
    single = len(chosen) == 1
    figure = new_figure(*((4 * len(views), 4.5) if single else (2 * len(chosen), 2.8 * len(views))))
    for column, frame in enumerate(chosen):
        present = [
            (s, offset, t)
            for s, offset in zip(sequences, offsets, strict=True)
            for t in np.flatnonzero(s.frames == frame)
        ]
        for row, view in enumerate(views):
            place = (1, len(views), row + 1) if single else (len(views), len(chosen), row * len(chosen) + column + 1)
            axes = figure.add_subplot(*place, projection="3d" if row else None)
            for s, offset, t in present:
                if row == 0:
                    plot_pose2d(axes, s.pose2d[t], s.joint_set, s.imputed[t])
                elif view == "mesh" and s.meshes:
                    plot_mesh(axes, s.meshes[-1][t] + offset[t], s.faces[-1])
                else:
                    plot_pose3d(axes, s.pose3d[t] + offset[t], s.joint_set)
            if row == 0:
                low, high = box_2d(sequences)
                axes.set_aspect("equal", adjustable="box")
                axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
                axes.tick_params(labelsize=6)
            else:
                everything = [(s.pose3d + o).reshape(-1, 3) for s, o in zip(sequences, offsets, strict=True)]
                frame_3d(axes, np.concatenate(everything), VIEWS.get(view, VIEWS["front"]))
            if single or row == 0:
                axes.set_title(view if single else f"frame {frame}", fontsize=9)
    figure.legend(handles=side_legend(), loc="outside lower center", ncols=2, frameon=False)
    save_figure(figure, path)


def box_2d(sequences: list[PoseSequence]) -> tuple[np.ndarray, np.ndarray]:
    """Upper left and lower right corner (2,), pixels, of all persons' 2D joints over time, with a margin."""
    points = np.concatenate([s.pose2d.reshape(-1, 2) for s in sequences])
    margin = 0.06 * np.ptp(points, axis=0).max() + 1
    return points.min(0) - margin, points.max(0) + margin
