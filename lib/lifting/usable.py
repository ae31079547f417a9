"""The part of people's keypoints that can be lifted, and one line about each part that cannot."""

from dataclasses import replace

import numpy as np

from lib.errors import UserError
from lib.joints.conversion import convert_joints
from lib.joints.imputation import MIN_JOINTS, enough_joints, frame_ranges
from lib.lifting import DEFAULT_FPS
from lib.lifting.keypoints.prepare import MAX_OUTSIDE, PreparedPerson, prepare_people
from lib.lifting.keypoints.readers import Keypoints
from lib.lifting.skipping import skipping
from lib.lifting.swaps import without_swaps
from lib.lifting.virtual_camera import MIN_EXTENT, extent

MIN_USABLE = 0.5
"""Part of a person's frames that must be usable; a person with fewer is skipped."""

FAR = 1.0
"""Image widths or heights outside the image from which a joint counts as missing."""


def prepare_usable(
    people: list[Keypoints], fps: float = DEFAULT_FPS, min_joints: int = MIN_JOINTS
) -> tuple[list[PreparedPerson], list[str]]:
    """`prepare_people` without the joints, frames and persons that cannot be used, and one line about each.

    fps: frame numbers per second. The keypoints are `mended`. Frames in which fewer than min_joints of Human3.6M's 17 are
    seen, and frames with all joints on one point, are skipped. A person with fewer than MIN_USABLE of the frames left is
    skipped.
    """
    return skipping(lambda whole: _usable(whole, fps, min_joints), people)


def mended(k: Keypoints, fps: float | None) -> tuple[Keypoints, list[str]]:
    """The keypoints `without_far_joints` and `without_swaps`, and lines about them.

    fps: frame numbers per second; None where the frames may be no motion, so that left and right stay as they are.
    """
    k, lines = without_far_joints(k)
    if fps is not None:
        k, swapped = without_swaps(k, fps)
        lines = lines + swapped
    return k, lines


def without_far_joints(k: Keypoints) -> tuple[Keypoints, list[str]]:
    """The keypoints in which joints FAR outside the image are missing, and a line about them.

    Where that is more than MAX_OUTSIDE of the known joints, the image size is wrong and the keypoints are unchanged.
    """
    if k.image_size is None:
        return k, []
    size = np.asarray(k.image_size, np.float64)
    far: np.ndarray = np.any(np.abs(k.xy - size / 2) > (0.5 + FAR) * size, axis=-1)
    known = np.isfinite(k.xy).all(-1)
    if not far.any() or far.sum() > MAX_OUTSIDE * known.sum():
        return k, []
    joints = "1 joint is" if far.sum() == 1 else f"{far.sum()} joints are"
    where = frame_ranges(k.frames[far.any(1)])
    line = f"person {k.person}: {joints} far outside the image and treated as missing, in {where}"
    return replace(k, xy=np.where(far[..., None], np.nan, k.xy), scores=np.where(far, 0.0, k.scores)), [line]


def _usable(whole: Keypoints, fps: float, min_joints: int) -> tuple[PreparedPerson, list[str]]:
    """The person without unusable frames, and lines about those; UserError where too few are left."""
    whole, notes = mended(whole, fps)
    part = whole
    while not (rows := _completable(part, fps, min_joints)).all():
        part = _take(part, rows)
    if len(part.frames) < MIN_USABLE * len(whole.frames):
        part = whole  # its error names what is missing
    (person,) = prepare_people([part], fps, min_joints)
    flat = extent(person.pixels) < MIN_EXTENT
    if flat.sum() > (1 - MIN_USABLE) * len(whole.frames):
        raise UserError(
            f"{whole.source}: person {whole.person}: all joints are within {MIN_EXTENT:g} pixels in "
            f"{frame_ranges(person.frames[flat])}; check the keypoints"
        )
    for frames, why in (
        (np.setdiff1d(whole.frames, part.frames), "too few joints"),
        (person.frames[flat], "all joints on one point"),
    ):
        if len(frames):
            notes.append(f"person {whole.person}: skipped {frame_ranges(frames)}: {why}")
    if flat.any():
        arrays = ("frames", "pixels", "scores", "imputed")
        person = replace(person, **{name: getattr(person, name)[~flat] for name in arrays})
    return person, notes


def _completable(k: Keypoints, fps: float, min_joints: int) -> np.ndarray:
    """(T,) bool: frames whose missing joints can be imputed (`lib.joints.imputation`)."""
    xy, _ = convert_joints(np.concatenate([k.xy, k.scores[..., None]], axis=-1), k.joint_set)
    return enough_joints(xy, k.frames, fps, min_joints)


def _take(k: Keypoints, rows: np.ndarray) -> Keypoints:
    return replace(k, frames=k.frames[rows], xy=k.xy[rows], scores=k.scores[rows])
