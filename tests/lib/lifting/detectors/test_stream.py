import threading
import weakref

import cv2
import numpy as np
import pytest

from lib.errors import UserError
from lib.joints import COCO_17
from lib.lifting.detectors.people import detect_people
from lib.lifting.detectors.stream import ahead, detect_video
from tests.films import write_film

FRAMES, SIZE = 24, (320, 240)


class Dots:
    """Finds people who are drawn as blocks: every filled block is a person with all joints on a line down it. From left
    to right, so the order changes where people cross."""

    name, joint_set = "dots", "coco"

    def __call__(self, frame):
        boxes = cv2.connectedComponentsWithStats((frame.max(-1) > 128).astype(np.uint8))[2]
        steps = np.linspace(0, 1, len(COCO_17))
        people = [
            np.column_stack([np.full(len(steps), x + w / 2), y + h * steps, np.full(len(steps), 0.9)])
            for x, y, w, h, area in sorted(boxes[1:].tolist())
            if area > 50
        ]
        return np.array(people).reshape(-1, len(COCO_17), 3)


def crossing(size=SIZE, frames=FRAMES):
    """Two people of different heights walk through each other; where they overlap, the video shows one block."""
    for t in range(frames):
        image = np.zeros((size[1], size[0], 3), np.uint8)
        for x, top in ((20 + 11 * t, 40), (280 - 11 * t, 90)):
            image[top:200, x : x + 16] = 255
        yield image


@pytest.fixture
def film(tmp_path):
    return write_film(tmp_path / "crossing.mp4", crossing(), 12.0)


def test_two_people_who_cross_keep_their_numbers(film):
    found = detect_video(Dots(), film)
    tall, short = sorted((k for k in found.people if len(k.frames) > 5), key=lambda k: k.xy[0, 0, 1])
    assert len(found.people) == 2
    for person, start, speed in ((tall, 28, 11), (short, 288, -11)):
        alone = np.abs(person.frames - 12) > 2
        np.testing.assert_allclose(person.xy[alone, 0, 0], start + speed * person.frames[alone], atol=3)
        assert person.frames[-1] == FRAMES - 1
    assert found.frames == FRAMES
    assert found.notes == []


def test_where_one_person_is_said_to_be_there_the_surest_detection_counts():
    class Two:
        name, joint_set = "two", "coco"

        def __call__(self, frame):
            people = np.ones((2, 17, 3)) * np.array([100, 200])[:, None, None]
            people[..., 2] = np.array([0.4, 0.9])[:, None]
            return people

    frames = [(t, np.zeros((240, 320, 3), np.uint8)) for t in range(3)]
    (person,) = detect_people(Two(), frames, "video", one_person=True)
    assert (person.xy == 200).all()
    assert len(detect_people(Two(), frames, "video")) == 2


def test_one_person_at_a_time_is_one_person_however_far_they_jump():
    def image(x):
        picture = np.zeros((240, 320, 3), np.uint8)
        picture[50:200, x : x + 10] = 255
        return picture

    frames = [(0, image(10)), (1, image(290)), (500, image(10)), (501, np.zeros((240, 320, 3), np.uint8))]
    (person,) = detect_people(Dots(), frames, "video")
    assert person.frames.tolist() == [0, 1, 500]


def test_black_frames_are_one_line():
    frames = [(t, np.zeros((240, 320, 3), np.uint8)) for t in range(3)]
    with pytest.raises(UserError, match=r"video: dots finds no person in any of 3 frames"):
        detect_people(Dots(), frames, "video")


def test_images_that_change_their_size_are_one_line():
    frames = enumerate([next(crossing()), next(crossing((640, 480)))])
    with pytest.raises(UserError, match="change their size, at frame 1"):
        detect_people(Dots(), frames, "video")


def test_a_long_video_never_lies_in_memory():
    """At most a handful of 2,000 images is alive at any time."""
    alive, most = 0, 0

    def forget():
        nonlocal alive
        alive -= 1

    def frames():
        nonlocal alive, most
        for t in range(2000):
            image = np.zeros((4, 4, 3), np.uint8)
            weakref.finalize(image, forget)
            alive += 1
            most = max(most, alive)
            yield t, image

    class Nobody:
        name, joint_set = "nobody", "coco"

        def __call__(self, frame):
            return np.zeros((0, 17, 3))

    with pytest.raises(UserError, match="in any of 2000 frames"):
        detect_people(Nobody(), ahead(frames()), "video")
    assert 1 < most < 10


def test_items_are_made_ahead_on_another_thread_and_its_errors_come_through():
    threads = set()

    def items():
        for n in range(20):
            threads.add(threading.get_ident())
            yield n
        raise UserError("broken in the middle")

    got = ahead(items(), 3)
    assert [next(got) for _ in range(20)] == list(range(20))
    with pytest.raises(UserError, match="broken in the middle"):
        next(got)
    assert threads.isdisjoint({threading.get_ident()})


def test_whoever_stops_early_leaves_no_thread_behind():
    before = threading.active_count()
    items = ahead(iter(range(10**9)))
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before
