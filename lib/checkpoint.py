"""Checkpoints: written atomically with a digest, read without running anything they contain.

This project's format is `torch.save` of a dict of plain values and tensors, closed by the SHA-256 of everything before
it as the zip archive's comment, so that a file cut short or altered is recognised and plain `torch.load` still opens it.
The released format is {epoch, model_state_dict, ...} under the release's parameter names, pickled under NumPy 1.
"""

import hashlib
import io
import re
import struct
import warnings
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lib.errors import UserError
from lib.files import replacing

FORMAT = "hgn-checkpoint-1"
MAX_BYTES = 4 << 30
_DIGEST_PREFIX = b"sha256:"


def save(path: str | Path, content: dict[str, Any], previous: Path | None = None) -> None:
    """Write `content` (plain values and tensors) so that `path` holds either the old file or the complete new one.

    previous: where the old file is kept, if at all.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **content}, buffer)
    data = buffer.getvalue()
    if data[-22:-18] != b"PK\x05\x06":
        raise RuntimeError("torch.save no longer ends in a plain zip directory; the digest cannot be attached")
    comment = _DIGEST_PREFIX + hashlib.sha256(data[:-2]).hexdigest().encode()
    with replacing(path, previous) as temporary:
        temporary.write_bytes(data[:-2] + struct.pack("<H", len(comment)) + comment)


SHARED = ("epoch", "seed", "log", "config", "scales", "joint_names", "versions", "model_state_dict")
"""What a checkpoint holds for others than the run that wrote it."""


def share(source: str | Path, path: str | Path) -> None:
    """Write the weights of this project's checkpoint `source` alone, to pass on: no state of optimiser or run, and in half
    precision but for batch statistics. That is an eighth of the size, and reads like any checkpoint.

    UserError where `source` is damaged or is not of this project.
    """
    content = read(source)
    if content.get("format") != FORMAT:
        raise UserError(f"{source}: only checkpoints of this project can be written as .pth.tar")
    weights = {
        name: value.half()
        if value.is_floating_point() and not name.endswith(("running_mean", "running_var"))
        else value
        for name, value in content["model_state_dict"].items()
    }
    save(path, {key: content[key] for key in SHARED if key in content} | {"model_state_dict": weights})


def read(path: str | Path) -> dict[str, Any]:
    """The dict in a checkpoint of either format, on the CPU; UserError when it is damaged or asks for code to be run."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: {path.stat().st_size} bytes are too many for a checkpoint")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    _verify_digest(path, data)
    if _unpacked_size(data) > len(data):
        raise UserError(f"{path}: refused, it unpacks to more than it holds; no checkpoint is compressed")
    try:
        # what PyTorch warns about is refused right after, in one line
        with warnings.catch_warnings(), torch.serialization.safe_globals(_released_globals()):
            warnings.simplefilter("ignore")
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive or pickle can raise anything
        refused = re.search(r"[Uu]nsupported (?:global: GLOBAL|GLOBAL|class) ([\w.]+)", str(error))
        if refused:
            raise UserError(
                f"{path}: refused, it contains {refused[1]}, which no checkpoint needs; do not use it"
            ) from None
        raise UserError(f"{path}: is not a checkpoint or is damaged ({type(error).__name__}); fetch it again") from None
    if not isinstance(content, dict) or not isinstance(content.get("model_state_dict"), dict):
        raise UserError(f"{path}: is not a checkpoint (it has no model_state_dict)")
    if data.startswith(b"PK") and content.get("format") == FORMAT and not _comment(data).startswith(_DIGEST_PREFIX):
        raise UserError(f"{path}: its digest is missing, so it was cut short or altered")
    return content


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load a checkpoint's weights, of either format, into an HGN and return everything else it holds.

    UserError when sizes do not fit: it names the hierarchy that the weights need and the one that was built.
    """
    content = read(path)
    load_state(model, content["model_state_dict"], path)
    return content


def load_state(model: nn.Module, state: dict[str, torch.Tensor], source: str | Path) -> None:
    """Load parameters under this project's or the release's names, with or without `module.`; all of them or none."""
    state = {_current_name(str(name).removeprefix("module.")): value for name, value in state.items()}
    expected = model.state_dict()
    missing, unknown = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or unknown:
        name, what = (missing[0], "lacks") if missing else (unknown[0], "has the unknown")
        count = len(missing) or len(unknown)
        raise UserError(f"{source}: not the weights of this network: it {what} {name} (and {count - 1} more)")
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise UserError(f"{source}: {name} is not a tensor")
        if _without_ones(value) != _without_ones(expected[name]):  # the release keeps kernel sizes of 1 in its shapes
            raise UserError(f"{source}: the weights do not fit: {_size_conflict(state, expected, name)}")
        state[name] = value.reshape(expected[name].shape)
    model.load_state_dict(state)


_RELEASED_NAMES: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"gconv_input\.0\.", "input_conv."),
    (r"gconv_layers_(\d)_(\d)\.0\.gconv(\d)\.", lambda m: f"stages.{int(m[2]) - 1}.{int(m[1]) - 1}.res.conv{m[3]}."),
    (r"gconv_layers_(\d)_(\d)\.1\.nonlocal1\.", lambda m: f"stages.{int(m[2]) - 1}.{int(m[1]) - 1}.non_local."),
    (r"gconv_output\.", "outputs.0."),
    (r"gconv_output_48\.", "outputs.1."),
    (r"gconv_output_96\.", "outputs.2."),
    (
        r"fc_(\d)_(\d)_(\d)\.conv\.",
        lambda m: f"fusions.{int(m[3]) - 1}.transfers.{int(m[1]) - 1}_{int(m[2]) - 1}.",
    ),
    (r"concat_project\.0\.", "score."),
    (r"(non_local\.W)\.0\.", r"\1."),
    (r"non_local\.W\.1\.", "non_local.bn."),
]


def _current_name(name: str) -> str:
    """A released parameter name in this project's terms; names of this project come back unchanged."""
    if not name.startswith(("gconv_", "fc_")):
        return name
    for pattern, replacement in _RELEASED_NAMES:
        name = re.sub(pattern, replacement, name)
    if name.endswith(".W"):
        return name[:-1] + "weight"
    return name[:-1] + "logits" if name.endswith(".e") else name


def _without_ones(tensor: torch.Tensor) -> list[int]:
    return [n for n in tensor.shape if n != 1]


def _size_conflict(state: dict, expected: dict, name: str) -> str:
    """The hierarchy that the weights need and the one that the model has, by the node counts of the first transfers."""

    def sizes(weights):
        coarse, fine = weights.get("fusions.0.transfers.0_1.weight"), weights.get("fusions.2.transfers.0_2.weight")
        ok = all(isinstance(w, torch.Tensor) and w.ndim >= 2 for w in (coarse, fine))
        return f"{coarse.shape[1]} joints and meshes of {coarse.shape[0]} and {fine.shape[0]} nodes" if ok else "?"

    wanted, built = sizes(state), sizes(expected)
    if wanted != built:
        return (
            f"they need {wanted}, the hierarchy built here has {built}. A hierarchy follows from the faces of the body "
            "model: weights trained on SMPL need the SMPL .pkl (MODEL.smpl_dir), and the same MODEL.coarsen_levels"
        )
    return (
        f"{name} has shape {tuple(state[name].shape)}, expected {tuple(expected[name].shape)}; node counts agree "
        f"({built}), so the edges or MODEL.hidden_dim differ: were the weights trained on another body model?"
    )


class _NumpyDtype:
    """Stands in for numpy.dtype in released checkpoints."""

    def __init__(self, name="f4", *_):
        self.name = str(name)
        self.order: Any = "="

    def __setstate__(self, state):
        self.order = str(state[1])


def _numpy_scalar(dtype: _NumpyDtype, data: bytes) -> float:
    """Stands in for numpy's scalar reconstruction: real numbers only."""
    if dtype.name[:1] not in "fiub" or len(dtype.name) > 3:
        raise ValueError(f"a numpy scalar of type {dtype.name}")
    return np.frombuffer(data, np.dtype(dtype.name).newbyteorder(dtype.order), count=1)[0].item()


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":
        raise ValueError(f"a text encoded as {encoding}")
    return text.encode("latin1")


def _released_globals() -> list:
    """What the released format needs beyond tensors; NumPy's own unpickling functions are replaced by passive ones."""
    return [
        (_latin1, "_codecs.encode"),
        (_NumpyDtype, "numpy.dtype"),
        (_numpy_scalar, "numpy.core.multiarray.scalar"),
        (_numpy_scalar, "numpy._core.multiarray.scalar"),
        Counter,
        OrderedDict,
    ]


def _comment(data: bytes) -> bytes:
    try:
        return zipfile.ZipFile(io.BytesIO(data)).comment
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError):
        return b""


def _unpacked_size(data: bytes) -> int:
    """Bytes that the archive's directory promises; 0 for what is no archive."""
    try:
        return sum(info.file_size for info in zipfile.ZipFile(io.BytesIO(data)).infolist())
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError):
        return 0


def _verify_digest(path: Path, data: bytes) -> None:
    comment = _comment(data) if data.startswith(b"PK") else b""
    if comment.startswith(_DIGEST_PREFIX):
        body = data[: -2 - len(comment)]
        whole = data[len(body) :] == struct.pack("<H", len(comment)) + comment
        if not whole or hashlib.sha256(body).hexdigest().encode() != comment[len(_DIGEST_PREFIX) :]:
            raise UserError(f"{path}: its digest does not match, so it was cut short or altered")
