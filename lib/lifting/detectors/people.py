"""People in a video: a detector's joints in every frame, and who is who."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lib.errors import UserError
from lib.lifting import DEFAULT_FPS
from lib.lifting.detectors.detector import Detector
from lib.lifting.keypoints.readers import Keypoints
from lib.lifting.tracking import Tracker


@dataclass
class _Found:
    """People of all frames: frame numbers (N,), track numbers (N,) and joints (J, 3) of each, float32."""

    frames: list[int]
    tracks: list[int]
    joints: list[np.ndarray]


def detect_people(
    detector: Detector,
    frames: Iterable[tuple[int, np.ndarray]],
    source: str,
    rate: float | None = None,
    one_person: bool = False,
) -> list[Keypoints]:
    """The people in a video, by track number: frames are pairs of a number, increasing, and an RGB image (H, W, 3) uint8.

    rate: frame numbers per second, DEFAULT_FPS where it is None; one_person: there is one person, and the detection with the
    largest sum of scores in each frame is theirs. Only joints are kept, never an image. Where no frame
    shows two people, all detections are one person, even after jumps and long gaps. UserError if no person is found or
    the images change their size.
    """
    tracker, found, most, count = Tracker(rate or DEFAULT_FPS), _Found([], [], []), 0, 0
    size = None
    for number, image in frames:
        count += 1
        if size not in (None, image.shape[1::-1]):
            raise UserError(f"{source}: the images change their size, at frame {number}; cut the video there")
        size = image.shape[1::-1]
        people = np.asarray(detector(image), np.float32)
        people = people[((people[..., 2] > 0) & np.isfinite(people).all(-1)).any(-1)]
        if one_person and len(people):
            people = people[[people[..., 2].sum(1).argmax()]]
        found.frames += [number] * len(people)
        found.tracks += tracker.update(number, people).tolist() if len(people) else []
        found.joints += list(people)
        most = max(most, len(people))
    if not found.frames or size is None:
        raise UserError(f"{source}: {detector.name} finds no person in any of {count} frames")
    return _persons(found, most, detector.joint_set, size, source)


def _persons(found: _Found, most: int, joint_set: str, size: tuple[int, int], source: str) -> list[Keypoints]:
    frames, joints = np.array(found.frames), np.stack(found.joints)
    tracks = np.zeros(len(frames), int) if most == 1 else np.array(found.tracks)
    missing = ~np.isfinite(joints).all(-1) | ~(joints[..., 2] > 0)
    xy = np.where(missing[..., None], np.nan, joints[..., :2]).astype(np.float64)
    scores = np.where(missing, 0.0, np.minimum(joints[..., 2], 1.0)).astype(np.float64)
    return [
        Keypoints(int(track), frames[rows], xy[rows], scores[rows], joint_set, size, source)
        for track in np.unique(tracks)
        for rows in [tracks == track]
    ]
