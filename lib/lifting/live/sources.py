"""Where live images come from: a camera, a network stream, or a file that is played at its own speed."""

import math
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import cv2
import numpy as np

from lib.errors import UserError
from lib.lifting import DEFAULT_FPS
from lib.lifting.detectors.video import Reading, numbered_frames, quiet, video_rate

CAMERA_RATES = (1.0, 240.0)
"""Frames per second that a camera or a stream may claim; other claims are not believed."""

PATIENCE = 10
"""Seconds after which a stream that cannot be opened, or sends nothing more, counts as broken."""

EARLY = 1.5
"""Frames by which a number may be ahead of the clock, so that images that come unevenly are kept."""


class Source(Protocol):
    """name: for messages; rate: frame numbers per second."""

    name: str
    rate: float

    def frames(self, stop: threading.Event) -> Generator[tuple[int, np.ndarray], None, None]:
        """Yield number and image (H, W, 3) uint8 RGB, each at its time, until there are no more or stop is set.

        A number is the time since the first image, times the rate.
        """
        ...

    def ending(self) -> list[str]:
        """Lines about how the images ended, once they have."""
        ...


def open_source(spec: str) -> Source:
    """What --video names: a file, a camera's number or device file, or the address of a stream. UserError where it cannot
    be opened."""
    path = Path(spec)
    if path.is_file():
        return PlayedFile(path)
    if is_camera(spec):
        return Camera(spec)
    raise UserError(f"{spec}: no such file; --live takes a camera's number, a stream's address (rtsp://...), or a file")


def is_camera(spec: str) -> bool:
    """Whether --video names a camera or a stream, not a file."""
    return not Path(spec).is_file() and (spec.isdecimal() or "://" in spec or Path(spec).is_char_device())


class PlayedFile:
    """A video file in place of a camera: each image comes at its time after the first. A `Source`."""

    def __init__(self, path: Path):
        self.name, self._path = str(path), path
        self.rate = video_rate(path) or DEFAULT_FPS
        self._reading = Reading()

    def frames(self, stop: threading.Event) -> Generator[tuple[int, np.ndarray], None, None]:
        """See `Source`."""
        start = None
        for number, image in numbered_frames(self._path, reading=self._reading):
            start = time.monotonic() - number / self.rate if start is None else start
            if stop.wait(max(0.0, start + number / self.rate - time.monotonic())):
                return
            yield number, image

    def ending(self) -> list[str]:
        """See `Source`."""
        return [f"{self.name}: the file ended", *self._reading.notes(self.name)]


class Camera:
    """A camera or a network stream, through OpenCV. A `Source`."""

    def __init__(self, spec: str):
        self.name = f"camera {spec}" if spec.isdecimal() else _without_password(spec)
        self._capture = self._opened(spec)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if math.isfinite(rate) and CAMERA_RATES[0] <= rate <= CAMERA_RATES[1] else DEFAULT_FPS

    def _opened(self, spec: str) -> cv2.VideoCapture:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, PATIENCE * 1000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, PATIENCE * 1000]
        with quiet():
            if "://" in spec:
                capture = cv2.VideoCapture(spec, cv2.CAP_FFMPEG, limits)
                advice = "check the address and the network"
            else:
                capture = cv2.VideoCapture(int(spec) if spec.isdecimal() else spec)
                capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # old images are of no use
                advice = "check that it is connected, that no other program uses it and that you may read it"
            if capture.isOpened() and capture.grab():
                return capture
            capture.release()
        raise UserError(f"--video {self.name}: gives no image; {advice}")

    def frames(self, stop: threading.Event) -> Generator[tuple[int, np.ndarray], None, None]:
        """See `Source`. Where images come faster than the rate says, those without a number of their own are skipped."""
        start, number = None, -1
        try:
            with quiet():
                while not stop.is_set():
                    found, image = self._capture.read()
                    if not found:
                        return
                    start = time.monotonic() if start is None else start
                    now = (time.monotonic() - start) * self.rate
                    if number + 1 - now > EARLY:
                        continue
                    number = max(number + 1, round(now))
                    yield number, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        finally:
            self._capture.release()

    def ending(self) -> list[str]:
        """See `Source`."""
        return [f"warning: {self.name}: gives no more images: the stream ended, or the camera was unplugged"]


def _without_password(address: str) -> str:
    """The address without the user and password that it may hold."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
