import functools
import http.server
import itertools
import threading

import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.live import sources
from lib.lifting.live.sources import Camera, PlayedFile, is_camera, open_source
from tests.films import grey, write_film


class Clock:
    """In the place of `time` and of the event that stops: time passes only by waiting."""

    def __init__(self):
        self.now, self.waits = 100.0, []

    def monotonic(self):
        return self.now

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds
        return False

    def is_set(self):
        return False


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(sources, "time", clock)
    return clock


@pytest.fixture
def film(tmp_path):
    """12 images at 20 per second, each brighter than the one before."""
    return write_film(tmp_path / "film.mp4", [grey(20 * t) for t in range(12)], 20.0)


def test_a_file_is_played_at_its_own_rate(film, clock):
    source = open_source(str(film))
    assert isinstance(source, PlayedFile)
    assert source.rate == 20
    times = []
    for number, image in source.frames(clock):
        times.append(clock.now - 100)
        assert image.mean() == pytest.approx(20 * number, abs=4)
    np.testing.assert_allclose(times, np.arange(12) / 20)
    assert source.ending() == [f"{film}: the file ended"]


def test_a_file_whose_images_come_late_is_not_slowed_further(film, clock):
    source = PlayedFile(film)
    for number, _ in source.frames(clock):
        if number == 4:
            clock.now += 0.12  # somebody was slow
    np.testing.assert_allclose(clock.waits, [0, *[0.05] * 4, 0, 0, 0.03, *[0.05] * 4], atol=1e-9)


def test_a_file_stops_when_it_is_told_to(film):
    stop = threading.Event()
    frames = PlayedFile(film).frames(stop)
    assert next(frames)[0] == 0
    stop.set()
    assert list(frames) == []


def test_a_damaged_file_says_so_at_its_end(tmp_path, film, clock):
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(40)]
    cut = write_film(tmp_path / "cut.avi", images, codec="MJPG")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    source = PlayedFile(cut)
    count = sum(1 for _ in source.frames(clock))
    assert 0 < count < 40
    assert any(f"only {count} of 40 frames can be read" in line for line in source.ending())


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("99", "--video camera 99: gives no image; check that it is connected, that no other program uses it"),
        ("http://somebody:secret@127.0.0.1:1/x", "--video http://127.0.0.1:1/x: gives no image; check the address"),
        ("none.mp4", "none.mp4: no such file; --live takes a camera's number, a stream's address"),
    ],
)
def test_what_is_not_there_is_one_line(spec, line):
    with pytest.raises(UserError) as error:
        open_source(spec)
    assert line in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_with_a_cameras_name_is_a_file(tmp_path, monkeypatch, film):
    monkeypatch.chdir(tmp_path)
    assert is_camera("0")
    film.rename(tmp_path / "0")
    assert not is_camera("0")
    assert isinstance(open_source("0"), PlayedFile)


def test_a_stream_from_the_network_is_read_to_its_end(film):
    handler = functools.partial(QuietHandler, directory=film.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = open_source(f"http://127.0.0.1:{server.server_port}/film.mp4")
        found = list(source.frames(threading.Event()))
        server.shutdown()
    assert found[0][0] == 0
    assert found[0][1].shape == (48, 64, 3)
    assert source.ending() == [
        f"warning: {source.name}: gives no more images: the stream ended, or the camera was unplugged"
    ]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class Device:
    """In the place of cv2.VideoCapture: images come after the given steps of the clock, in s, then none."""

    def __init__(self, clock, steps, rate):
        self.clock, self.steps, self.rate, self.released = clock, iter(steps), rate, False

    def __call__(self, *arguments):
        return self

    def isOpened(self):
        return True

    def grab(self):
        return True

    def set(self, key, value):
        pass

    def get(self, key):
        return self.rate

    def read(self):
        step = next(self.steps, None)
        self.clock.now += step or 0.0
        return step is not None, np.full((2, 3, 3), (1, 2, 3), np.uint8)

    def release(self):
        self.released = True


@pytest.fixture
def numbers_of(clock, monkeypatch):
    def numbers_of(steps, rate):
        device = Device(clock, steps, rate)
        monkeypatch.setattr(sources.cv2, "VideoCapture", device)
        camera = Camera("0")
        found = list(camera.frames(clock))
        assert all((image == (3, 2, 1)).all() for _, image in found)  # RGB, as detectors read it
        assert device.released
        return camera.rate, [number for number, _ in found]

    return numbers_of


def test_a_cameras_images_are_numbered_by_the_clock(numbers_of):
    assert numbers_of([0.0, 0.1, 0.1, 0.5], 10.0) == (10.0, [0, 1, 2, 7])


def test_a_camera_that_is_a_little_uneven_loses_no_image(numbers_of):
    steps = [0.0, *itertools.islice(itertools.cycle([0.02, 0.04, 0.045, 0.015]), 40)]
    numbers = numbers_of(steps, 1 / 0.03)[1]
    assert len(numbers) == 41
    assert numbers == sorted(set(numbers))
    assert 39 <= numbers[-1] <= 41


def test_images_that_come_faster_than_the_camera_says_are_skipped_and_the_clock_stays_right(numbers_of):
    numbers = numbers_of([0.01] * 301, 25.0)[1]  # 100 per second for 3 s
    assert numbers == sorted(set(numbers))
    assert 74 <= numbers[-1] <= 77


@pytest.mark.parametrize("claim", [0.0, float("nan"), 90000.0])
def test_a_camera_that_claims_no_sensible_rate_gets_the_usual_one(numbers_of, claim):
    assert numbers_of([0.0], claim)[0] == 25.0
