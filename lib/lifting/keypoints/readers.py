"""2D keypoints of people from a file: one `Keypoints` per person, from any format."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.joints.imputation import frame_ranges
from lib.lifting import DEFAULT_FPS
from lib.lifting.keypoints.conventions import joint_set_of
from lib.lifting.keypoints.formats import load_detections
from lib.lifting.keypoints.formats.detections import NOBODY, Detections
from lib.lifting.tracking import Tracker


@dataclass(frozen=True)
class Keypoints:
    """One person in one image sequence.

    person: track id or count; frames (T,) increasing ints, only frames the person is seen in; xy (T, J, 2) pixels, x right, y
    down, NaN where missing; scores (T, J) in [0, 1], 0 where missing; joint_set: a key of `lib.joints.JOINT_SETS`; image_size
    (width, height) or None where neither file nor caller knows it; source: file; fps: frame numbers per second, where the file
    knows them.
    """

    person: int
    frames: np.ndarray
    xy: np.ndarray
    scores: np.ndarray
    joint_set: str
    image_size: tuple[int, int] | None
    source: str
    fps: float | None = None


def read_keypoints(
    path: Path,
    joint_set: str | None = None,
    image_size: tuple[int, int] | None = None,
    *,
    rate: float | None = None,
    one_person: bool = False,
    force: bool = False,
    notes: list[str] | None = None,
) -> list[Keypoints]:
    """All people in a file, or in a folder of one file per image, by person number.

    joint_set: a key of `JOINT_SETS`, needed only if neither file nor geometry decide it; force: accept it (or the file's) even
    if the joints do not look like it. image_size: (width, height) in pixels, for files without it. rate: frames per second, by
    which people without identities are followed (the file's, or DEFAULT_FPS). one_person: there is one person, and the detection
    with the largest sum of scores in each frame is theirs; identities in the file play no part. notes: lines about what was
    skipped or decided are added to it. Which joints count as missing: `xy_and_scores`. UserError for unusable input.
    """
    path, notes = Path(path), [] if notes is None else notes
    found = load_detections(path, joint_set)
    notes += found.notes
    size = _image_size(path, found, image_size)
    values = found.values * [*size, 1] if found.normalized and size is not None else found.values
    xy, scores = xy_and_scores(values)
    seen = scores.any(1)
    if not seen.any():
        raise UserError(f"{path}: {_why_nobody(values)}")
    xy, scores = xy[seen], scores[seen]
    detections, frames = np.concatenate([xy, scores[..., None]], axis=-1), found.frames[seen]
    name = joint_set or found.joint_set
    if not found.named:
        name = joint_set_of(path, detections, found.joint_set, joint_set, force, notes)

    assert name is not None  # a file that names its joints has a convention

    persons = None if found.persons is None else found.persons[seen]
    clips = np.zeros(len(frames), np.int64) if found.clips is None else found.clips[seen]
    numbers, first = np.zeros(len(frames), np.int64), 0
    for clip in np.unique(clips):
        rows = np.flatnonzero(clips == clip)
        if one_person:
            best = _best_of_each_frame(frames[rows], scores[rows])
            numbers[rows] = np.where(best, first, -1)
        elif persons is None:
            numbers[rows] = first + _follow(frames[rows], detections[rows], rate or found.fps or DEFAULT_FPS)
        elif found.clips is None:
            numbers[rows] = persons[rows]
        else:
            numbers[rows] = first + np.unique(persons[rows], return_inverse=True)[1].ravel()
        if found.clips is not None:
            notes.append(f"{path}: the clip {found.clip_names[clip]}: persons {first} to {numbers[rows].max()}")
        first = numbers.max() + 1
    if one_person and (numbers < 0).any():
        notes.append(
            f"{path}: {(numbers < 0).sum()} of {len(numbers)} detections are not the best of their frame: skipped"
        )
    kept = numbers >= 0
    frames, numbers, xy, scores = frames[kept], numbers[kept], xy[kept], scores[kept]

    order = np.lexsort((frames, numbers))
    people = []
    for rows in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        person, twice = int(numbers[rows[0]]), frames[rows][1:][np.diff(frames[rows]) == 0]
        if len(twice):
            raise UserError(f"{path}: person {person} is there twice in frame {twice[0]}; track ids must be unique")
        people.append(Keypoints(person, frames[rows], xy[rows], scores[rows], name, size, str(path), found.fps))
    return people


def xy_and_scores(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x, y (..., 2), NaN where a joint is missing, and scores (...) in [0, 1], 0 there, of values (..., 3): x, y, score.

    A joint is missing where its score is not above 0, where x, y or score is not a finite number, or where x = y = 0.
    """
    missing = ~np.isfinite(values).all(-1) | ~(values[..., 2] > 0) | (values[..., :2] == 0).all(-1)
    scores = np.where(missing, 0.0, np.minimum(values[..., 2], 1.0))
    return np.where(missing[..., None], np.nan, values[..., :2]), scores


def strongest(people: list[Keypoints], count: int, notes: list[str]) -> list[Keypoints]:
    """The `count` people who are seen longest and most surely, by their summed scores, in the order of their numbers.

    A line about each of the others, with their frames, is added to notes.
    """
    ranked = sorted(people, key=lambda k: -k.scores.sum())
    for k in sorted(ranked[count:], key=lambda k: k.person):
        notes.append(f"skipped: person {k.person}, {frame_ranges(k.frames)}: not one of the {count} seen most")
    return sorted(ranked[:count], key=lambda k: k.person)


def _image_size(path: Path, found: Detections, given: tuple[int, int] | None) -> tuple[int, int] | None:
    """The images' size, by the file or the caller."""
    size = found.image_size or given
    if found.image_size and given and tuple(found.image_size) != tuple(given):
        raise UserError(
            f"{path}: the file's images are {found.image_size[0]} x {found.image_size[1]}, --image-size is "
            f"{given[0]} x {given[1]}; omit --image-size"
        )
    if found.normalized and size is None:
        raise UserError(
            f"{path}: coordinates are parts of the image's width and height; give its size with --image-size W H"
        )
    if size is not None and min(size) < 1:
        raise UserError(f"{path}: image size {size[0]} x {size[1]} must be positive")
    return size


def _why_nobody(values: np.ndarray) -> str:
    """Why no joint of values (N, J, 3) is usable."""
    if len(values) and not (values[..., 2] > 0).any():
        return f"{NOBODY}: every score is 0 or missing; where scores are unknown, write 1"
    if len(values) and not np.isfinite(values[..., :2]).all(-1).any():
        return f"{NOBODY}: no coordinate is a finite number"
    return NOBODY


def _best_of_each_frame(frames: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(N,) bool: the detection with the largest summed score (N, J) in each frame (N,)."""
    order = np.lexsort((-scores.sum(1), frames))
    best = np.zeros(len(frames), bool)
    best[order[np.r_[True, np.diff(frames[order]) > 0]]] = True
    return best


def _follow(frames: np.ndarray, detections: np.ndarray, rate: float) -> np.ndarray:
    """Person numbers (N,) for detections (N, J, 3) without identities (`lib.lifting.tracking`).

    frames (N,), rate: frames per second. At most one detection per frame is one person, however far it jumps. Where
    frame numbers go in larger steps, as in every tenth image of a video, the steps count as frames.
    """
    order = np.argsort(frames, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(frames[order])) + 1)
    persons = np.zeros(len(frames), np.int64)
    if len(groups) == len(frames):
        return persons
    step = np.median(np.diff([frames[rows[0]] for rows in groups])) if len(groups) > 1 else 1
    tracker = Tracker(rate * step)
    for rows in groups:
        persons[rows] = tracker.update(int(frames[rows[0]]), detections[rows])
    return persons
