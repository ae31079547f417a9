"""What a data set has to give so that `data.table` can make a PoseTable of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data.findings import Finding, check_units, describe_skeleton, leg_lengths, skeleton_measures
from data.projection import check_projection
from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel


@dataclass(frozen=True)
class SmplFrames:
    """SMPL parameters of F distinct frames, and which of a chunk's N samples shows which.

    frame (N,) int: row in the arrays below, -1 for a sample without parameters; pose (F, 72) axis-angle in radians, root
    first; betas (F, 10); transl (F, 3) metres; pelvis (F, 3) mm, Human3.6M's; all in world axes. R (N, 3, 3) turns world axes
    to each sample's camera. gender: which model poses them, where it is there; else the neutral one does. up (3,): the vertical
    in world axes.
    """

    frame: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    transl: np.ndarray
    pelvis: np.ndarray
    R: np.ndarray
    gender: str = "neutral"
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Chunk:
    """N samples of a data set, a piece small enough to convert at once: a subject, a recording.

    names (N,) str, base file names of the images (or what would be theirs), without slash; actions (N,) int and
    {that: text}; sequences (N,) int, index into sequence_names: one per recording and camera, each in one chunk only; frames
    (N,) int, the frame's number in its recording; joints (N, 17, 3) mm, camera axes, absolute, Human3.6M's order; camera
    (N, 4) f_x, f_y, c_x, c_y px; image_size (N, 2) w, h px. pixels (N, 17, 2): the 2D input, by default the projection of
    the joints without lens distortion. reprojection (N, 17): distance in px between the file's own 2D joints and the
    projection of its 3D joints, None where the file has no 2D. smpl: None where no sample has SMPL parameters. notes: what
    was skipped, cut or repaired, one line each.
    """

    names: np.ndarray
    actions: np.ndarray
    action_names: dict[int, str]
    sequences: np.ndarray
    sequence_names: tuple[str, ...]
    frames: np.ndarray
    joints: np.ndarray
    camera: np.ndarray
    image_size: np.ndarray
    pixels: np.ndarray | None = None
    reprojection: np.ndarray | None = None
    smpl: SmplFrames | None = None
    notes: tuple[str, ...] = field(default=())


class Source(ABC):
    """A data set on disk.

    folder: named where nothing is left of a split; action_names: names that actions index into, None: numbered anew from
    what the chunks hold; sort_by_name: sort the table's rows by image name; input2d, protocol: as in PoseTable; genders:
    SMPL models that chunks name; parts: the splits that there are.
    """

    folder: Path
    action_names: tuple[str, ...] | None = None
    sort_by_name: bool = False
    input2d: str = "ground-truth"
    protocol: str = "release"
    genders: tuple[str, ...] = ("neutral",)
    parts: tuple[str, ...] = ("train", "test")

    @abstractmethod
    def identity(self, split: str) -> Any:
        """Everything that the split's samples follow from, as plain values for JSON; files by name, size and time of change
        (`file_identity`). UserError where a file is missing: nothing is read before all are known to be there."""

    @abstractmethod
    def chunks(self, split: str, workers: int = 0, progress: bool = True) -> Iterator[Chunk]:
        """The split's samples in order, converted piece by piece so that memory stays bounded.

        workers: processes that may read side by side (0: none); the chunks do not depend on it. UserError, one line with the
        file's name, for anything that is missing or malformed.
        """

    def check(self, split: str, label: str, body: BodyModel) -> Iterator[Finding]:
        """Read the split and report on it, for `prepare_data.py check`; label: name and split."""
        samples = with_mesh = 0
        sequences: set[str] = set()
        legs, measures, distances = [], [], []
        try:
            self.identity(split)
            for chunk in self.chunks(split, progress=False):
                samples += len(chunk.names)
                with_mesh += 0 if chunk.smpl is None else int((chunk.smpl.frame >= 0).sum())
                sequences.update(chunk.sequence_names)
                legs.append(leg_lengths(chunk.joints))
                measures.append(skeleton_measures(chunk.joints))
                if chunk.reprojection is not None:
                    distances.append(chunk.reprojection.astype(np.float32))
                for note in chunk.notes:
                    yield Finding("note", f"{label}: {note}")
        except UserError as error:
            yield Finding("wrong", f"{label}: {error}")
            return
        meshes = f"{with_mesh} with SMPL parameters" if with_mesh else "no SMPL parameters (the mesh losses are masked)"
        text = (
            f"{label}: {samples} samples in {len(sequences)} sequences of one camera, {self.input2d} 2D input, {meshes}"
        )
        yield Finding("ok" if samples else "wrong", text)
        if samples:
            yield from check_units(label, np.concatenate(legs))
            yield describe_skeleton(label, measures)
            yield from check_projection(label, distances, detected=self.input2d != "ground-truth")


def file_identity(path: Path) -> tuple[str, int, int]:
    """(name, size, time of change) of a file; UserError where it is missing."""
    try:
        status = path.stat()
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise UserError(f"{path} {reason}; see docs/data.md for where it comes from") from None
    return (path.name, status.st_size, status.st_mtime_ns)
