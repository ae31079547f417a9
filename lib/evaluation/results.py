"""What testing leaves behind: predictions.npz, metrics.json, images and obj files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from lib.evaluation.evaluate import Evaluator, Predictions, predict
from lib.evaluation.plots import draw_mesh, draw_pose
from lib.evaluation.report import Report
from lib.evaluation.wavefront import save_obj, save_skeleton_obj
from lib.files import replacing
from lib.graph.scales import GraphScale
from lib.joints import JointSet
from lib.pose_table import PoseTable
from lib.run_dir import RunDir

MESH_NAMES = ("coarse", "fine")
"""Networks have the first 0, 1 or 2 of these meshes."""


def write_results(folder: Path, table: PoseTable, predictions: Predictions, report: Report) -> None:
    """Write folder/predictions.npz and folder/metrics.json.

    predictions.npz: names, actions, sequences, frames, pose2d (normalized image coordinates), pose3d and pose3d_gt (mm) and,
    as far as the network has them, mesh_coarse and mesh_fine (metres). metrics.json: the report; it follows from
    predictions.npz, see `lib.evaluation.report.evaluate`.
    """
    arrays = {
        "names": np.asarray(table.names),
        "actions": np.asarray(table.action_names)[table.actions],
        "sequences": np.asarray(table.sequence_names)[table.sequences],
        "frames": np.asarray(table.frames),
        "pose2d": np.asarray(table.pose2d),
        "pose3d": predictions.pose3d,
        "pose3d_gt": np.asarray(table.pose3d) * np.float32(1000),
    } | {f"mesh_{name}": mesh for name, mesh in zip(MESH_NAMES, predictions.meshes, strict=False)}
    with replacing(folder / "predictions.npz") as path, open(path, "wb") as file:
        np.savez(file, **arrays)
    with replacing(folder / "metrics.json") as path:
        path.write_text(json.dumps(report.to_dict(), indent=1) + "\n")


def write_training_metrics(run: RunDir, log: list[dict[str, Any]]) -> None:
    """Write result/metrics.json of a training run; of several test sets one each, as main/test.py does.

    It has the keys of main/test.py's, of the best epoch, whose number is "epoch"; "final" has the same of the last epoch.
    log: entries of log.jsonl.
    """

    def of(entry, name, checkpoint):
        weights = f"{run.checkpoint / checkpoint}, after {entry['epoch'] + 1} epochs"
        return entry["test"]["sets"][name] | {"weights": weights, "epoch": entry["epoch"]}

    best, final = min(log, key=lambda entry: entry["test"]["mpjpe"]), log[-1]
    names = list(final["test"]["sets"])
    for name in names:
        out = RunDir(run.root / name) if len(names) > 1 else run
        metrics = of(best, name, "best.pth.tar") | {"final": of(final, name, "last.pth.tar")}
        with replacing(out.result / "metrics.json") as path:
            path.write_text(json.dumps(metrics, indent=1) + "\n")


def draw_samples(
    folder: Path, evaluator: Evaluator, model: nn.Module, scales: list[GraphScale], count: int = 6
) -> None:
    """Predict `count` samples of each of the evaluator's tables and write their images and obj files."""
    for table in evaluator.tables.values():
        sample = table.subsample(count)
        predictions = predict(model, sample.pose2d, evaluator.batch_size, evaluator.device)
        write_images(folder, sample, predictions, scales, evaluator.joints, count)


def write_images(
    folder: Path,
    table: PoseTable,
    predictions: Predictions,
    scales: list[GraphScale],
    joints: JointSet,
    count: int = 6,
) -> None:
    """Images and obj files of `count` samples spread over the table."""
    for row in np.unique(np.linspace(0, len(table) - 1, count).round().astype(int)):
        stem = folder / Path(str(table.names[row])).stem
        pose = predictions.pose3d[row] / 1000
        action = table.action_names[table.actions[row]]
        title = f"{table.names[row]} ({action})"
        draw_pose(table.pose2d[row], pose, table.pose3d[row], joints, f"{stem}_pose.png", title)
        save_skeleton_obj(f"{stem}_pose.obj", pose, joints.bones)
        for name, mesh, scale in zip(MESH_NAMES, predictions.meshes, scales[1:], strict=False):
            if scale.faces is not None and len(scale.faces):
                draw_mesh(mesh[row], scale.faces, f"{stem}_mesh_{name}.png", pose, joints, f"{title}, {name} mesh")
                save_obj(f"{stem}_mesh_{name}.obj", mesh[row], scale.faces)
