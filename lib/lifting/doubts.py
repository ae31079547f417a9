"""What may be wrong with lifted people, in lines for the user."""

from dataclasses import replace

import numpy as np

from lib.joints.imputation import frame_ranges
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.virtual_camera import lasting_jumps

MIN_USED = 0.05
"""Part of the image's width or height that the keypoints use at least; below, the image size is doubted."""


def doubts(sequences: list[PoseSequence], motion: bool = True) -> list[str]:
    """A line about each thing that is unusual in the people of one image sequence: the image's size, persons who jump, and
    numbers above their limits (`Quality.warnings`).

    motion: False where the frames may have nothing to do with each other, so that jumps and shaking are usual.
    """
    lines = _of_image_size(sequences)
    for sequence in sequences:
        quality = sequence.quality
        if motion:
            lines += _of_jumps(sequence)
        elif quality is not None:
            quality = replace(quality, jitter=None)
        if quality is not None:
            lines += [f"person {sequence.person}: {warning}" for warning in quality.warnings()]
    return lines


def _of_image_size(sequences: list[PoseSequence]) -> list[str]:
    """A line where all people's joints together use less than MIN_USED of the image's width and height."""
    size = np.asarray(sequences[0].image_size)
    points = np.concatenate([sequence.pose2d.reshape(-1, 2) for sequence in sequences])
    used = (np.ptp(points, axis=0) / size).max()
    if used >= MIN_USED:
        return []
    return [f"the joints use only {used:.1%} of the {size[0]} x {size[1]} image; check the image size"]


def _of_jumps(sequence: PoseSequence) -> list[str]:
    """A line that names the frames in which a person begins to be elsewhere, and what that means for the result."""
    rows = lasting_jumps(sequence.pose2d, sequence.seconds)
    if not rows.any():
        return []
    result = (
        "one body is fitted to all frames" if sequence.body is not None else "all frames are taken for one person's"
    )
    if sequence.root is not None:
        result += ", and the pelvis jumps too"
    return [
        f"person {sequence.person} jumps at {frame_ranges(sequence.frames[rows])}: a cut, or another person; {result}; lift each "
        "part by itself (of a video: --clip START END)"
    ]
