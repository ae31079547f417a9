"""2D keypoints of people from a file: one `Keypoints` per person, whatever the format."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from lib.errors import UserError
from lib.joints import JOINT_SETS
from lib.lifting.keypoints.formats import Detections, load_detections

MAX_STEP = 0.5
"""Farthest a person without a track id moves between two detections, as part of their box's diagonal."""

MAX_PAUSE = 30
"""Frames after which a person without a track id who comes back is somebody new."""


@dataclass(frozen=True)
class Keypoints:
    """One person in one picture sequence.

    person: track id or count; frames (T,) increasing ints, only frames the person is seen in; xy (T, J, 2) pixels,
    x right, y down, NaN where missing; scores (T, J) in [0, 1], 0 where missing; joint_set: a key of
    `lib.joints.JOINT_SETS`; image_size (width, height) or None where neither file nor caller knows it; source: file.
    """

    person: int
    frames: np.ndarray
    xy: np.ndarray
    scores: np.ndarray
    joint_set: str
    image_size: tuple[int, int] | None
    source: str


def read_keypoints(
    path: Path, joint_set: str | None = None, image_size: tuple[int, int] | None = None
) -> list[Keypoints]:
    """All people in a file, or in a folder of OpenPose files, by person number.

    joint_set: a key of `JOINT_SETS`, needed only where file and joint count do not say it; image_size: (width,
    height) in pixels, for files without it. A joint is missing where its score is not above 0, where x, y or score
    is not a finite number, or where x = y = 0. Raises UserError for whatever cannot be used.
    """
    path = Path(path)
    found = load_detections(path, joint_set)
    name = _joint_set_of(path, found, joint_set)
    size = found.image_size or image_size
    if found.image_size and image_size and tuple(found.image_size) != tuple(image_size):
        raise UserError(
            f"{path}: the file says its pictures are {found.image_size[0]} x {found.image_size[1]}, --image-size says "
            f"{image_size[0]} x {image_size[1]}; leave --image-size out"
        )
    if size is not None and min(size) < 1:
        raise UserError(f"{path}: picture size {size[0]} x {size[1]} must be positive")

    values = found.values
    xy = values[..., :2]
    missing = ~np.isfinite(values).all(-1) | ~(values[..., 2] > 0) | (xy == 0).all(-1)
    seen = ~missing.all(1)
    if not seen.any():
        raise UserError(f"{path}: zero frames with a person in them")
    xy = np.where(missing[..., None], np.nan, xy)[seen]
    scores = np.where(missing, 0.0, np.minimum(values[..., 2], 1.0))[seen]
    frames = found.frames[seen]
    persons = _link(frames, xy) if found.persons is None else found.persons[seen]

    order = np.lexsort((frames, persons))
    people = []
    for rows in np.split(order, np.flatnonzero(np.diff(persons[order])) + 1):
        person, twice = int(persons[rows[0]]), frames[rows][1:][np.diff(frames[rows]) == 0]
        if len(twice):
            raise UserError(f"{path}: person {person} is there twice in frame {twice[0]}; track ids must be unique")
        people.append(Keypoints(person, frames[rows], xy[rows], scores[rows], name, size, str(path)))
    return people


def _joint_set_of(path: Path, found: Detections, asked: str | None) -> str:
    """The joint set: what the caller asked for, else what the file says, else the only one with this many joints."""
    count = found.values.shape[1]
    fitting = [name for name, joints in JOINT_SETS.items() if len(joints) == count]
    if not fitting:
        sets = ", ".join(f"{name} ({len(joints)})" for name, joints in JOINT_SETS.items())
        raise UserError(f"{path}: {count} joints per person; the known joint sets are {sets}")
    name = asked or found.joint_set
    if name is None and len(fitting) > 1:
        raise UserError(f"{path}: {count} joints may be {' or '.join(fitting)}; say which with --joint-set")
    name = name or fitting[0]
    if name not in fitting:
        raise UserError(
            f"{path}: {count} joints per person, but the joint set {name} has {len(JOINT_SETS[name])}; "
            f"{count} fits {' or '.join(fitting)}"
        )
    return name


def _link(frames: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Person numbers (N,) for detections without track ids, from frame to frame by smallest movement.

    frames (N,), xy (N, J, 2) with NaN. At most one detection per frame is one person. Otherwise detections and people
    are matched so that the summed mean joint distance, over the box's diagonal, is smallest (Hungarian method);
    farther than MAX_STEP or after a pause of MAX_PAUSE frames somebody new begins.
    """
    persons = np.zeros(len(frames), np.int64)
    order = np.argsort(frames, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(frames[order])) + 1)
    if len(groups) == len(frames):
        return persons
    last, count = {}, 0
    for rows in groups:
        now = frames[rows[0]]
        last = {person: row for person, row in last.items() if now - frames[row] <= MAX_PAUSE}
        recent = list(last)
        taken = {}
        if recent:
            before, here = xy[[last[p] for p in recent]], xy[rows]
            step = np.linalg.norm(here[:, None] - before, axis=-1)  # (detections, people, J)
            both = np.isfinite(step)
            step = np.where(both, step, 0).sum(-1) / np.maximum(both.sum(-1), 1)
            size = np.linalg.norm(np.nanmax(here, axis=1) - np.nanmin(here, axis=1), axis=-1)
            cost = np.where(both.any(-1), step / np.maximum(size, 1e-9)[:, None], np.inf)
            cost = np.minimum(cost, 2 * MAX_STEP)
            for i, k in zip(*linear_sum_assignment(cost), strict=True):
                if cost[i, k] <= MAX_STEP:
                    taken[i] = recent[k]
        for i, row in enumerate(rows):
            if i not in taken:
                taken[i], count = count, count + 1
            persons[row] = taken[i]
            last[taken[i]] = row
    return persons
