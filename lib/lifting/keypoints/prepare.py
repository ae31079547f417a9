"""From what a file holds to what `lib.predict` lifts: Human3.6M joints, no gaps, pixels."""

from dataclasses import dataclass, replace

import numpy as np

from lib.errors import UserError
from lib.joints.conversion import convert_joints
from lib.joints.imputation import MIN_JOINTS, frame_ranges, impute_missing
from lib.lifting import DEFAULT_FPS
from lib.lifting.keypoints.readers import Keypoints

MARGIN = 0.1
"""Part of the image's size by which a joint may lie outside: detectors guess joints beyond the border."""

MAX_OUTSIDE = 0.2
"""Part of all joints that may lie farther outside than MARGIN."""


@dataclass(frozen=True)
class PreparedPerson:
    """One person, ready to be lifted.

    frames (T,) int; pixels (T, 17, 2), Human3.6M order, in the original image; scores (T, 17), 0 where imputed;
    imputed (T, 17) bool; image_size (width, height).
    """

    person: int
    frames: np.ndarray
    pixels: np.ndarray
    scores: np.ndarray
    imputed: np.ndarray
    image_size: tuple[int, int]

    def last(self) -> "PreparedPerson":
        """The person in the last frame alone."""
        arrays = {name: getattr(self, name)[-1:] for name in ("frames", "pixels", "scores", "imputed")}
        return replace(self, **arrays)


def check_pixels(xy: np.ndarray, image_size: tuple[int, int]) -> None:
    """Raise UserError unless xy (..., 2), NaN where missing, looks like pixels of an image of this size."""
    known = xy[np.isfinite(xy).all(-1)]
    if np.abs(known).max() <= 2:
        raise UserError(
            f"all coordinates are in {known.min():.2f}..{known.max():.2f}, they look normalised; pixels are needed: "
            "multiply them by the image's size"
        )
    size = np.asarray(image_size)
    outside = ((known < -MARGIN * size) | (known > (1 + MARGIN) * size)).any(-1).mean()
    if outside > MAX_OUTSIDE:
        raise UserError(
            f"{outside:.0%} of the joints are outside the {size[0]} x {size[1]} image (x {known[:, 0].min():.6g}.."
            f"{known[:, 0].max():.6g}, y {known[:, 1].min():.6g}..{known[:, 1].max():.6g}); check --image-size"
        )


def prepare_people(
    people: list[Keypoints], fps: float = DEFAULT_FPS, min_joints: int = MIN_JOINTS
) -> list[PreparedPerson]:
    """Convert and impute; raises one UserError that names every person who cannot be used, and their frames.

    fps: frame numbers per second; min_joints: of Human3.6M's 17 that must be seen in every frame (`lib.joints.imputation`).
    """
    prepared, problems = [], []
    for k in people:
        if k.image_size is None:
            raise UserError(f"{k.source}: the image's size is not in the file; give it with --image-size W H")
        try:
            check_pixels(k.xy, k.image_size)
            prepared.append(prepare_person(k, fps, min_joints))
        except UserError as problem:
            problems.append(f"person {k.person} ({frame_ranges(k.frames)}): {problem}")
    if problems:
        raise UserError(f"{people[0].source}: " + " | ".join(problems))
    return prepared


def prepare_person(k: Keypoints, fps: float, min_joints: int = MIN_JOINTS) -> PreparedPerson:
    """Convert and impute one person, whose image size is known; fps: frame numbers per second. UserError where too few joints
    are seen."""
    assert k.image_size is not None
    xy, scores = convert_joints(np.concatenate([k.xy, k.scores[..., None]], axis=-1), k.joint_set)
    pixels, imputed = impute_missing(xy, k.frames, fps, min_joints)
    return PreparedPerson(k.person, k.frames, pixels, scores, imputed, k.image_size)
