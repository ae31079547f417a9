"""People in a video: a detector's joints in every frame, and who is who."""

from collections.abc import Iterable

import numpy as np

from lib.errors import UserError
from lib.lifting import DEFAULT_FPS
from lib.lifting.detectors.detector import Detector
from lib.lifting.keypoints.readers import Keypoints
from lib.lifting.tracking import Tracker


class PeopleFinder:
    """Finds the people in one frame after the other, and keeps their joints, but never an image.

    source: for messages; rate: frame numbers per second, DEFAULT_FPS where it is None; one_person: there is one person, number
    0, and the detection with the largest sum of scores in each frame is theirs; keep: False where `people` will not be
    asked for, so that nothing grows with time.
    """

    def __init__(
        self, detector: Detector, source: str, rate: float | None = None, one_person: bool = False, keep: bool = True
    ):
        self._detector, self._source, self._one_person, self._keep = detector, source, one_person, keep
        self._tracker = Tracker(rate or DEFAULT_FPS)
        self._size: tuple[int, int] | None = None
        self._frames: list[int] = []
        self._tracks: list[int] = []
        self._joints: list[np.ndarray] = []
        self._count = self._most = 0

    def see(self, number: int, image: np.ndarray) -> list[Keypoints]:
        """The people in an RGB image (H, W, 3) uint8, by track number, in this one frame; its number exceeds those before.

        UserError if the image has another size than those before.
        """
        height, width = image.shape[:2]
        if self._size not in (None, (width, height)):
            raise UserError(f"{self._source}: the images change their size, at frame {number}; cut the video there")
        self._size, self._count = (width, height), self._count + 1
        people = np.asarray(self._detector(image), np.float32)
        people = people[((people[..., 2] > 0) & np.isfinite(people).all(-1)).any(-1)]
        if self._one_person and len(people):
            people = people[[people[..., 2].sum(1).argmax()]]
        if not len(people):
            return []
        tracks = np.zeros(1, int) if self._one_person else self._tracker.update(number, people)
        self._most = max(self._most, len(people))
        if self._keep:
            self._frames += [number] * len(people)
            self._tracks += tracks.tolist()
            self._joints += list(people)
        order = np.argsort(tracks)
        return [self._keypoints(tracks[i], np.array([number]), people[[i]]) for i in order]

    def people(self) -> list[Keypoints]:
        """The people of all frames so far, by track number. Where no frame shows two people, all detections are one
        person, even after jumps and long gaps. UserError if no person was found."""
        if not self._joints:
            raise UserError(
                f"{self._source}: {self._detector.name} finds no person in any of {self._count} frames; cut the images to the "
                "person, or try another --detector (docs/predict.md)"
            )
        frames, joints = np.array(self._frames), np.stack(self._joints)
        tracks = np.zeros(len(frames), int) if self._most == 1 else np.array(self._tracks)
        return [self._keypoints(n, frames[tracks == n], joints[tracks == n]) for n in np.unique(tracks)]

    def _keypoints(self, track: int, frames: np.ndarray, joints: np.ndarray) -> Keypoints:
        """Joints (T, J, 3) of one person in frames (T,)."""
        missing = ~np.isfinite(joints).all(-1) | ~(joints[..., 2] > 0)
        xy = np.where(missing[..., None], np.nan, joints[..., :2]).astype(np.float64)
        scores = np.where(missing, 0.0, np.minimum(joints[..., 2], 1.0)).astype(np.float64)
        return Keypoints(int(track), frames, xy, scores, self._detector.joint_set, self._size, self._source)


def detect_people(
    detector: Detector,
    frames: Iterable[tuple[int, np.ndarray]],
    source: str,
    rate: float | None = None,
    one_person: bool = False,
) -> list[Keypoints]:
    """The people in a video, by track number: frames are pairs of a number, increasing, and an RGB image (H, W, 3) uint8.

    rate, one_person: as in `PeopleFinder`. UserError if no person is found or the images change their size.
    """
    finder = PeopleFinder(detector, source, rate, one_person)
    for number, image in frames:
        finder.see(number, image)
    return finder.people()
