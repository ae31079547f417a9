import itertools
import json
import threading
import urllib.request

import numpy as np
import pytest

from lib.lifting.detectors.people import PeopleFinder
from lib.lifting.lifter import Lifter
from lib.lifting.live.board import Board
from lib.lifting.live.live_lifter import LiveLifter
from lib.lifting.live.live_page import live_page
from lib.lifting.live.run import run_live
from lib.lifting.live.server import LiveServer
from lib.lifting.live.sources import PlayedFile
from tests.films import write_film
from tests.lib.lifting.detectors.test_stream import FRAMES, Dots, crossing
from tests.tiny_weights import save_tiny_weights


@pytest.fixture(scope="module")
def lifter(tmp_path_factory):
    return Lifter(save_tiny_weights(tmp_path_factory.mktemp("weights") / "best.pth.tar"))


@pytest.fixture
def film(tmp_path):
    """Two people who walk through each other, 24 frames at 12 per second."""
    return write_film(tmp_path / "crossing.mp4", crossing(), 12.0)


class Session:
    """A session of a source on a thread of its own; frames: those published."""

    def __init__(self, source, lifter, detector=None):
        self.stop, self.board, self.frames = threading.Event(), Board(), []
        publish = self.board.publish
        self.board.publish = lambda shown: (self.frames.append(shown), publish(shown))
        self.finder = PeopleFinder(detector or Dots(), source.name, source.rate)
        arguments = (source, self.finder, LiveLifter(lifter, source.rate, None, 8), self.board, self.stop)
        self.thread = threading.Thread(target=lambda: setattr(self, "result", run_live(*arguments)))
        self.thread.start()

    def end(self):
        self.thread.join(60)
        return self.result


class Script:
    """A source whose next image comes when the test says `go`."""

    name, rate = "script", 10.0

    def __init__(self, images):
        self.images, self.step, self.through = images, threading.Semaphore(0), threading.Event()

    def go(self, count=1):
        self.step.release(count)

    def frames(self, stop):
        for number, image in enumerate(self.images):
            self.step.acquire(timeout=30)
            yield number, image
        self.through.set()

    def ending(self):
        return ["script: over"]


def numbers(frames):
    return [shown.captured.number for shown in frames]


@pytest.mark.slow
def test_a_file_played_as_a_camera_arrives_in_order_with_both_people_and_its_end(film, lifter):
    session = Session(PlayedFile(film), lifter)
    with LiveServer(live_page("film", lifter.faces), session.board) as server:
        messages, after = [], -1
        while not messages or "ended" not in messages[-1]:
            with urllib.request.urlopen(f"{server.address}frame?after={after}") as answer:
                messages.append(json.loads(answer.read()))
            after = messages[-1].get("number", after)
    result = session.end()
    *frames, end = messages
    assert end == {"ended": f"{film}: the file ended"}
    seen = [frame["number"] for frame in frames]
    assert seen == sorted(set(seen))
    assert {person["person"] for frame in frames for person in frame["people"]} == {0, 1}
    assert result.notes == [f"{film}: the file ended"]
    assert result.shown + result.dropped == FRAMES
    kept = session.finder.people()
    assert [k.person for k in kept] == [0, 1]
    assert set(np.concatenate([k.frames for k in kept])) <= set(numbers(session.frames))


def test_while_a_frame_is_searched_those_that_wait_are_dropped_and_the_newest_is_next(lifter):
    busy, go_on = threading.Event(), threading.Semaphore(0)

    class Slow(Dots):
        def __call__(self, frame):
            busy.set()
            go_on.acquire(timeout=30)
            return super().__call__(frame)

    source = Script(list(crossing(frames=6)))
    session = Session(source, lifter, Slow())
    source.go()
    assert busy.wait(30)  # frame 0 is searched
    source.go(5)
    assert source.through.wait(30)
    go_on.release(2)
    result = session.end()
    assert numbers(session.frames) == [0, 5]
    assert (result.shown, result.dropped) == (2, 4)
    assert session.frames[-1].dropped == 4
    assert session.board.ended == "script: over"


def test_stopping_keeps_what_was_found(lifter):
    source = Script(list(crossing(frames=6)))
    session = Session(source, lifter)
    source.go(1)
    assert session.board.newer(-1, 30) is not None
    session.stop.set()
    result = session.end()
    assert result.notes == []
    assert session.board.ended == "script: stopped"
    assert [k.frames.tolist() for k in session.finder.people()] == [[0], [0]]


def test_nobody_in_view_is_an_empty_frame(lifter):
    source = Script([np.zeros((240, 320, 3), np.uint8)])
    session = Session(source, lifter)
    source.go()
    session.end()
    assert (session.frames[0].people, session.frames[0].lines) == ([], [])


def test_images_that_change_their_size_end_the_session_with_a_line_and_keep_what_was_found(lifter):
    source = Script([*crossing(frames=1), *crossing((640, 480), frames=1)])
    session = Session(source, lifter)
    source.go()
    assert session.board.newer(-1, 30) is not None
    source.go()
    result = session.end()
    assert result.notes == ["warning: script: the images change their size, at frame 1; cut the video there"]
    assert len(session.finder.people()) == 2


def test_a_session_that_ends_by_itself_lets_go_of_its_source(lifter):
    class Camera(Script):
        def frames(self, stop):
            sizes = itertools.cycle([*crossing(frames=1), *crossing((640, 480), frames=1)])
            yield from itertools.takewhile(lambda _: not stop.wait(0.01), enumerate(sizes))
            self.through.set()

    source = Camera([])
    session = Session(source, lifter)
    try:
        assert "the images change their size" in session.end().notes[0]
        assert source.through.wait(5)
    finally:
        session.stop.set()
