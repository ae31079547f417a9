"""People with known joints: what is drawn is where the truth says, and MediaPipe finds it and who is who."""

import importlib.util

import numpy as np
import pytest

from docs.measure_video import LIMBS, write_task
from docs.rendered_people import WARDROBE, Scene, crossing, moving_camera, render, walker, write_video
from lib.joints import HUMAN36M_17
from lib.joints.conversion import convert_joints
from lib.lifting.detectors.mediapipe_pose import MediaPipeTask
from lib.lifting.detectors.stream import detect_video
from smplpytorch.smplpytorch.builtin_body import build_builtin_body

pytestmark = pytest.mark.slow
SIZE = (320, 240)


@pytest.fixture(scope="module")
def body():
    return build_builtin_body()


def colour_at(picture, pixel):
    """Mean of 3 x 3 pixels, relative to its brightest channel: without the light."""
    x, y = np.round(pixel).astype(int)
    mean = picture[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).mean(0)
    return mean / mean.max()


def test_joints_are_where_the_truth_says_and_the_nearer_person_hides_the_other(body):
    """The frame in which both are at one place in the image: what is there is the nearer one's shirt and trousers."""
    frames = 3
    near = walker(body, WARDROBE[0], (0.0, 0.0), 0.01, frames, 25)
    far = walker(body, WARDROBE[1], (0.0, 1.5), 0.01, frames, 25)
    beside = walker(body, WARDROBE[1], (1.0, 1.5), 0.01, frames, 25)
    cameras = moving_camera((0.0, 0.5, 0.95), frames, SIZE, sway=0.0)
    scene = Scene([far, near, beside], cameras, 25.0)
    picture = next(render(scene))
    points, pixels = scene.truth()
    assert points[1, 0, 0, 2] < points[0, 0, 0, 2]
    neck, pelvis, knee = (HUMAN36M_17.names.index(name) for name in ("Neck", "Pelvis", "R_Knee"))
    for person, clothes in ((1, WARDROBE[0]), (2, WARDROBE[1])):
        below_neck = pixels[person, 0, neck] * 0.8 + pixels[person, 0, pelvis] * 0.2
        for place, colour in ((below_neck, clothes.shirt), (pixels[person, 0, knee], clothes.trousers)):
            np.testing.assert_allclose(colour_at(picture, place), np.array(colour) / max(colour), atol=0.08)


def test_a_camera_that_moves_sees_the_standing_room_move(body):
    frames = 10
    scene = Scene([], moving_camera((0.0, 0.5, 0.95), frames, SIZE), 25.0)
    first, *_, last = render(scene)
    assert np.abs(first.astype(int) - last).mean() > 3


@pytest.mark.skipif(importlib.util.find_spec("mediapipe") is None, reason="needs MediaPipe (sh requirements.sh video)")
def test_two_people_who_cross_in_a_video_are_found_and_keep_their_numbers(body, tmp_path):
    scene = crossing(body, seconds=3.0, fps=12.5, size=(640, 480))
    write_video(tmp_path / "crossing.mp4", scene)
    write_task(tmp_path / "pose.task")
    found = detect_video(MediaPipeTask(tmp_path / "pose.task", max_persons=2), tmp_path / "crossing.mp4")
    assert len(found.people) == 2
    pixels = scene.truth()[1]
    frames = len(scene.cameras)
    people = sorted(found.people, key=lambda k: k.xy[0, 0, 0])
    for number, person in enumerate(people):
        own, other = pixels[number, person.frames], pixels[1 - number, person.frames]
        assert len(person.frames) > 0.75 * frames  # the hidden one is not seen for some frames
        assert person.frames[0] < 3
        assert person.frames[-1] > frames - 4
        xy, _ = convert_joints(np.concatenate([person.xy, person.scores[..., None]], axis=-1), "mediapipe")
        distance, swapped = (np.linalg.norm(xy - p, axis=-1)[:, LIMBS] for p in (own, other))
        assert np.nanmean(distance) < 0.04 * np.ptp(own[..., 1])  # limbs, in parts of the person's height
        apart = np.abs(own[:, 0, 0] - other[:, 0, 0]) > 60
        assert (np.nanmean(distance[apart], axis=-1) < np.nanmean(swapped[apart], axis=-1)).all()
