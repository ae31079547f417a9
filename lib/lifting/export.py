"""The network as one file for other programs: ONNX (.onnx) or PyTorch's exported program (.pt2)."""

import copy
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lib.errors import UserError
from lib.files import replacing
from lib.joints import HUMAN36M_17
from lib.lifting.pose_sequence import MESH_NAMES
from lib.models.factory import build_predictor
from lib.models.onnx_network import INPUT_NAME, FlatOutput, to_onnx

OUTPUT_NAMES = ("pose3d", *(f"mesh_{name}" for name in MESH_NAMES))
TOLERANCE = 1e-5
"""Largest difference, in metres, between the file's outputs and the network's; relative where outputs exceed 1 m."""

CHECKED_BATCHES = (1, 2, 7)

Run = Callable[[np.ndarray], list[np.ndarray]]
"""An opened file: pose2d to all outputs."""


def export(model: nn.Module, faces: tuple[np.ndarray, ...], path: str | Path) -> float:
    """Write the network as it predicts, folded where it can be, in the format of the path's ending; then load the file and
    compare it with `model`.

    Input `pose2d` (batch, 17, 2), outputs `pose3d` (batch, 17, 3) and, as far as the network has them, `mesh_coarse` and
    `mesh_fine` (batch, R, 3), all float32, any batch; `metadata` describes them; faces: of its meshes. Returns the
    largest difference in metres; UserError for an unknown ending or a missing package. A file that differs by more than
    TOLERANCE is a RuntimeError and is removed.
    """
    path = Path(path)
    formats = {".onnx": (_write_onnx, _open_onnx), ".pt2": (_write_pt2, _open_pt2)}
    if path.suffix.lower() not in formats:
        raise UserError(f"{path}: unknown ending '{path.suffix}' for a network; use {' or '.join(formats)}")
    write, load = formats[path.suffix.lower()]
    model = copy.deepcopy(model).cpu().float().eval()  # the caller's stays as and where it is
    network = build_predictor(model)
    try:
        with replacing(path) as temporary:
            write(network, temporary, metadata(faces))
            difference = compare(model, load(temporary))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error
    return difference


def metadata(faces: tuple[np.ndarray, ...]) -> dict[str, str]:
    """What the numbers mean, for the file itself; values are plain text or JSON."""
    return {
        "description": "2D joints of one person to root-relative 3D joints" + " and coarse body meshes" * bool(faces),
        "pose2d": "float32 (batch, 17, 2). x = 2 u / s - 1, y = 2 v / s - h / s for pixel u, v (x right, y down) of a "
        "image of w x h pixels, s = w; where h > w, s = h and u is first moved by (h - w) / 2",
        "pose3d": "float32 (batch, 17, 3), metres, camera axes (x right, y down, z forward), relative to the Pelvis",
        **{
            f"mesh_{name}": f"float32 (batch, {int(np.max(f)) + 1}, 3), vertices, same unit and space as pose3d"
            for name, f in zip(MESH_NAMES, faces, strict=False)
        },
        "joint_names": json.dumps(HUMAN36M_17.names),
        "bones": json.dumps(HUMAN36M_17.bones),
        **{f"faces_{name}": json.dumps(np.asarray(f).tolist()) for name, f in zip(MESH_NAMES, faces, strict=False)},
    }


def compare(model: nn.Module, run: Run) -> float:
    """Largest difference between `run` and the model on random poses; see `export`."""
    rng = np.random.default_rng(0)
    largest = 0.0
    for batch in CHECKED_BATCHES:
        pose2d = rng.uniform(-1, 1, (batch, len(HUMAN36M_17), 2)).astype(np.float32)
        with torch.inference_mode():
            output = model(torch.from_numpy(pose2d))
        wanted = [x.numpy() for x in (output.pose3d, *output.meshes)]
        for name, a, b in zip(OUTPUT_NAMES[: len(wanted)], run(pose2d), wanted, strict=True):
            difference = np.abs(a - b)
            if a.shape != b.shape or not (difference <= TOLERANCE * np.maximum(np.abs(b), 1)).all():
                raise RuntimeError(f"the exported {name} differs from the network's by up to {difference.max():.2e} m")
            largest = max(largest, float(difference.max()))
    return largest


def _write_onnx(network: nn.Module, path: Path, texts: dict[str, str]) -> None:
    (onnx,) = _import("onnx")
    model = onnx.load_from_string(to_onnx(network, len(HUMAN36M_17), OUTPUT_NAMES[1:]))
    onnx.helper.set_model_props(model, texts)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _open_onnx(path: Path) -> Run:
    (onnxruntime,) = _import("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda pose2d: session.run(None, {INPUT_NAME: pose2d})


def _write_pt2(network: nn.Module, path: Path, texts: dict[str, str]) -> None:
    shapes = {INPUT_NAME: {0: torch.export.Dim("batch", min=1)}}
    example = torch.zeros(2, len(HUMAN36M_17), 2)  # a batch of 1 would be taken for a constant
    program = torch.export.export(FlatOutput(network), (example,), dynamic_shapes=shapes, strict=False)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # lines of this project under the paths of this machine
    torch.export.save(program, path, extra_files={"metadata.json": json.dumps(texts)})


def _open_pt2(path: Path) -> Run:
    module = torch.export.load(path).module()
    return lambda pose2d: [x.detach().numpy() for x in module(torch.from_numpy(pose2d))]


def _import(*names: str) -> list:
    """Optional packages; one clear line when any is missing."""
    try:
        return [import_module(name) for name in names]
    except ImportError as error:
        raise UserError(f"{error.name} is missing; for .onnx files: pip install onnx onnxruntime") from None
