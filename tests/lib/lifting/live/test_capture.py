import threading

import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.live.capture import Capture

IMAGE = np.zeros((4, 6, 3), np.uint8)


class Numbers:
    """A source of `count` images that come at once; says when it is through, then does what `then` does."""

    name, rate = "numbers", 25.0

    def __init__(self, count, then=lambda stop: None):
        self.count, self.then, self.through = count, then, threading.Event()

    def frames(self, stop):
        for number in range(self.count):
            yield number, IMAGE
        self.through.set()
        self.then(stop)


@pytest.mark.parametrize(("waiting", "expected"), [(1, [9]), (3, [7, 8, 9])])
def test_images_that_nobody_takes_in_time_are_dropped_the_oldest_first(waiting, expected):
    source = Numbers(10)
    capture = Capture(source, threading.Event(), waiting)
    frames = capture.frames()
    first = next(frames)  # starts the thread; whichever image it is, the others wait or are dropped
    assert source.through.wait(10)
    rest = [captured.number for captured in frames]
    taken = [first.number, *rest]
    assert rest == [number for number in expected if number > first.number]
    assert capture.dropped == 10 - len(taken)


def test_the_end_of_the_source_comes_after_its_last_image():
    frames = Capture(Numbers(1), threading.Event()).frames()
    assert [captured.number for captured in frames] == [0]


def test_an_error_of_the_source_comes_through_after_the_images_before_it():
    def fail(stop):
        raise UserError("the cable is cut")

    frames = Capture(Numbers(1, fail), threading.Event()).frames()
    assert next(frames).number == 0
    with pytest.raises(UserError, match="the cable is cut"):
        next(frames)


def test_a_camera_that_hangs_does_not_keep_the_session_from_stopping():
    release = threading.Event()
    stop = threading.Event()
    frames = Capture(Numbers(1, lambda _: release.wait(30)), stop).frames()
    assert next(frames).number == 0
    stop.set()
    assert list(frames) == []
    release.set()


def test_stopping_closes_the_source():
    closed = threading.Event()

    class Endless(Numbers):
        def frames(self, stop):
            try:
                while not stop.is_set():
                    yield 0, IMAGE
            finally:
                closed.set()

    stop = threading.Event()
    frames = Capture(Endless(0), stop).frames()
    next(frames)
    stop.set()
    assert list(frames) == []
    assert closed.wait(10)
