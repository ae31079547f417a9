"""VideoPose3D's .npz files of Human3.6M (Pavllo et al., CVPR 2019): read, checked and matched by name."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.findings import PLAUSIBLE_LEG, leg_lengths
from data.pickles import read_npz
from lib.errors import UserError
from lib.joints import HUMAN36M_17, JOINT_SETS
from lib.joints.conversion import convert_joints

STORED_JOINTS = 32
USED_JOINTS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Human3.6M's 17 joints among those of the 3D file, in our order; the others are feet, hands and copies."""

LAYOUTS = {"h36m": "human36", "coco": "coco"}
"""layout_name of a 2D file -> our name of the joint set."""

SMALLEST_PIXEL = 10.0
"""A whole file of 2D joints whose coordinates stay below this is not in pixels."""

Recordings = dict[str, dict[str, np.ndarray]]
"""{subject: {recording: array}} in the file's order."""


@dataclass(frozen=True)
class Keypoints2D:
    """The 2D joints of one file: pixels {subject: {recording: (4, T, 17, 2) float32 px}}, as long as the 3D; notes: what
    was cut or skipped, one line each."""

    pixels: Recordings
    notes: tuple[str, ...]


def read_3d(path: Path, subjects: tuple[str, ...]) -> Recordings:
    """Joints (T, 17, 3) of every recording: metres, world axes, Z up, 50 Hz; NaN frames are left in.

    UserError for a file of another form, unit or subjects.
    """
    tree = _tree(read_npz(path, ["positions_3d"])["positions_3d"], path, "positions_3d")
    unknown = [subject for subject in tree if subject not in subjects]
    if unknown:
        raise UserError(f"{path}: {unknown[0]} is no subject of Human3.6M; expected {', '.join(subjects)}")
    joints: Recordings = {}
    for subject, recordings in tree.items():
        joints[subject] = {}
        for recording, array in recordings.items():
            where = f"{path}: {subject} {recording}"
            joints[subject][recording] = _numbers(array, where, (None, STORED_JOINTS, 3))[:, USED_JOINTS]
    legs = np.concatenate([leg_lengths(a) for recordings in joints.values() for a in recordings.values()])
    low, high = (length / 1000 for length in PLAUSIBLE_LEG)
    if not low < np.nanmedian(legs) < high:
        raise UserError(
            f"{path}: thighs and shins measure {np.nanmedian(legs):.3g}, expected about 0.45: joints in metres, world axes"
        )
    return joints


def read_2d(path: Path, joints: Recordings, cameras: int) -> Keypoints2D:
    """The 2D joints that belong to `joints` (`read_3d`), matched by subject and recording.

    2D longer than the 3D is cut, subjects without 3D are skipped. UserError where a recording or a camera is missing, where
    the 2D is shorter, and for joint sets that are not read.
    """
    content = read_npz(path, ["positions_2d", "metadata"])
    joint_set = _joint_set(content["metadata"], path)
    tree = _tree(content["positions_2d"], path, "positions_2d")
    pixels: Recordings = {}
    longest = cut = 0
    for subject, recordings in joints.items():
        pixels[subject] = {}
        for recording, truth in recordings.items():
            views = tree.get(subject, {}).get(recording)
            where = f"{path}: {subject} {recording}"
            if views is None:
                raise UserError(f"{where} is missing, but the 3D file has it; take both files from one place")
            if not isinstance(views, (list, tuple, np.ndarray)) or len(views) != cameras:
                count = len(views) if isinstance(views, (list, tuple, np.ndarray)) else 1
                raise UserError(f"{where}: {count} cameras, expected {cameras}")
            cut_views = []
            for number, view in enumerate(views):
                array = _numbers(view, f"{where}, camera {number}", (None, len(JOINT_SETS[joint_set]), 2))
                if len(array) < len(truth):
                    raise UserError(f"{where}, camera {number}: {len(array)} frames, fewer than the 3D's {len(truth)}")
                cut += len(array) > len(truth)
                longest = max(longest, len(array) - len(truth))
                cut_views.append(array[: len(truth)])
            stacked = np.stack(cut_views)
            pixels[subject][recording] = stacked if joint_set == "human36" else _converted(stacked, joint_set)
    _check_pixels(pixels, path)
    notes = [f"{path.name}: {cut} arrays cut by up to {longest} frames to the 3D's length"] if cut else []
    skipped = [subject for subject in tree if subject not in joints]
    if skipped:
        notes.append(f"{path.name}: {', '.join(map(str, skipped))} skipped, the 3D file does not have them")
    return Keypoints2D(pixels, tuple(notes))


def _converted(stacked: np.ndarray, joint_set: str) -> np.ndarray:
    """(4, T, J, 2) of another joint set to (4, T, 17, 2); NaN where the file has NaN."""
    return convert_joints(stacked, joint_set)[0].astype(np.float32)


def _joint_set(metadata: object, path: Path) -> str:
    if not isinstance(metadata, dict):
        raise UserError(f"{path}: metadata is not a dictionary; it is not one of VideoPose3D's files")
    layout, joints = metadata.get("layout_name", "h36m"), metadata.get("num_joints")  # gt files do not have it
    if layout not in LAYOUTS:
        raise UserError(
            f"{path}: the joints are in layout {str(layout)[:20]} ({joints} joints), which does not give the "
            f"{len(HUMAN36M_17)} joints of the network; use a file with layout {' or '.join(LAYOUTS)}"
        )
    return LAYOUTS[layout]


def _tree(tree: object, path: Path, key: str) -> dict[str, dict]:
    """{subject: {recording: ...}} or UserError."""
    nested = isinstance(tree, dict) and all(isinstance(recordings, dict) for recordings in tree.values())
    if not nested or not any(tree.values()):
        raise UserError(
            f"{path}: {key} is not {{subject: {{recording: joints}}}}; it is not one of VideoPose3D's files"
        )
    return tree


def _numbers(array: object, where: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """The array as float32 of this shape (None: any length), or UserError."""
    fits = isinstance(array, np.ndarray) and array.ndim == len(shape) and array.dtype.kind == "f"
    if not fits or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
        found = " x ".join(map(str, array.shape)) if isinstance(array, np.ndarray) else type(array).__name__
        wanted = " x ".join("frames" if n is None else str(n) for n in shape)
        raise UserError(f"{where}: {found} numbers, expected {wanted}")
    return array.astype(np.float32, copy=False)


def _check_pixels(pixels: Recordings, path: Path) -> None:
    largest = max(float(np.nanmax(np.abs(a), initial=0)) for views in pixels.values() for a in views.values())
    if largest < SMALLEST_PIXEL:
        raise UserError(f"{path}: no coordinate is beyond {largest:.3g}; expected pixels of the full image")
