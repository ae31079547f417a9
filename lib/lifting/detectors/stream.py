"""From a video file to people's joints: frames are decoded on a thread of their own while others are looked at.

Few frames are held at a time, so a video may be of any length.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from lib.lifting.detectors.detector import Detector
from lib.lifting.detectors.people import detect_people
from lib.lifting.detectors.video import Reading, frame_count, numbered_frames, video_rate
from lib.lifting.keypoints.readers import Keypoints

AHEAD = 4
"""Frames that wait, decoded, for the detector: 4K images take 25 MB each."""

Item = TypeVar("Item")


@dataclass
class Detection:
    """The people of a video; notes: lines about the file; frames: how many were looked at; decode, detect: seconds that
    were spent on each, at the same time; wall: seconds from the first frame to the last."""

    people: list[Keypoints]
    notes: list[str]
    frames: int
    decode: float
    detect: float
    wall: float


@dataclass
class _Watch:
    """Adds up the time of calls."""

    seconds: float = field(default=0.0)

    def call(self, function: Callable, *arguments):
        start = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            self.seconds += time.perf_counter() - start

    def around(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; the time that they take to come is added."""
        iterator, end = iter(items), object()
        while (item := self.call(next, iterator, end)) is not end:
            yield item


class _Timed:
    """A detector whose time is added up."""

    def __init__(self, detector: Detector, watch: _Watch):
        self.name, self.joint_set = detector.name, detector.joint_set
        self._detector, self._watch = detector, watch

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        return self._watch.call(self._detector, frame)


def detect_video(
    detector: Detector, path: str | Path, clip: tuple[float, float] | None = None, one_person: bool = False
) -> Detection:
    """The people in a video or an image; clip: first and last second that is looked at; one_person: as in `detect_people`.

    A progress bar with frames per second is shown where the standard error is a terminal. UserError where the file
    cannot be read or no person is found.
    """
    decode, detect, reading, start = _Watch(), _Watch(), Reading(), time.perf_counter()
    frames = ahead(decode.around(numbered_frames(path, clip, reading)))
    total = None if clip else frame_count(path)
    bar = tqdm(frames, desc=detector.name, total=total, unit=" frames", disable=None, file=sys.stderr, leave=False)
    try:
        people = detect_people(_Timed(detector, detect), bar, str(path), video_rate(path), one_person)
    finally:
        bar.close()
        frames.close()
    wall = time.perf_counter() - start
    return Detection(people, reading.notes(str(path)), reading.frames, decode.seconds, detect.seconds, wall)


def ahead(items: Iterable[Item], most: int = AHEAD) -> Generator[Item, None, None]:
    """The same items, made on a thread of its own, at most `most` ahead of their use; exceptions come through."""
    waiting: queue.Queue = queue.Queue(most)
    stop = threading.Event()
    end = object()

    def put(item) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((end, None))
        except BaseException as error:
            put((end, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()
        thread.join()
