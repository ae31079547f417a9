"""Images from a source on a thread of its own; those that nobody takes in time are dropped, so nothing ever lags."""

import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from lib.lifting.live.sources import Source

WAITING = 1
"""Images that wait at most; more would only be older when they are looked at."""

POLL = 0.1
"""Seconds between two looks at whether to stop."""


@dataclass(frozen=True)
class Captured:
    """An image (H, W, 3) uint8 RGB, its number, and when it was read: time.time(), seconds."""

    number: int
    image: np.ndarray
    time: float


class Capture:
    """Reads a source until it ends or `stop` is set; dropped: images that were replaced by newer ones before being taken."""

    def __init__(self, source: Source, stop: threading.Event, waiting: int = WAITING):
        self.dropped = 0
        self._source, self._stop, self._limit = source, stop, waiting
        self._waiting: deque[Captured] = deque()
        self._change = threading.Condition()
        self._ended = False
        self._error: BaseException | None = None

    def frames(self) -> Generator[Captured, None, None]:
        """Yield the newest images, in order. Errors of the source come through, after the images before them."""
        threading.Thread(target=self._read, daemon=True).start()  # a camera may hang: never wait for it
        while not self._stop.is_set():
            with self._change:
                if not self._waiting and not self._ended:
                    self._change.wait(POLL)
                captured = self._waiting.popleft() if self._waiting else None
                ended = self._ended
            if captured is not None:
                yield captured
            elif ended:
                if self._error is not None:
                    raise self._error
                return

    def _read(self) -> None:
        error = None
        try:
            with closing(self._source.frames(self._stop)) as frames:
                for number, image in frames:
                    self._put(Captured(number, image, time.time()))
        except BaseException as problem:
            error = problem
        with self._change:
            self._ended, self._error = True, error
            self._change.notify_all()

    def _put(self, captured: Captured) -> None:
        with self._change:
            if len(self._waiting) == self._limit:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(captured)
            self._change.notify_all()
