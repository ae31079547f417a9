from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from lib.lifting.writers.png import box_2d, write_png
from lib.lifting.writers.video import HEIGHT, WIDTH, turned, write_gif, write_mp4
from tests.waving_person import colour_mask, make_sequence, shows_right_arm_up


def read_mp4(path):
    capture = cv2.VideoCapture(str(path))
    pictures = []
    while (result := capture.read())[0]:
        pictures.append(result[1][..., ::-1])
    return pictures, capture.get(cv2.CAP_PROP_FPS)


def assert_right_arm_up_in_both_halves(picture):
    above_legend = picture[: int(0.94 * len(picture))]
    for half in np.array_split(above_legend, 2, axis=1):
        assert shows_right_arm_up(half)


def test_single_frame_sheet_shows_input_front_side_and_mesh(tmp_path):
    write_png(tmp_path / "a.png", [make_sequence(1)])
    picture = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    flat, front, side, mesh = np.array_split(picture[:380], 4, axis=1)
    assert shows_right_arm_up(flat)
    assert shows_right_arm_up(front)
    assert colour_mask(side, "right").any()
    assert not colour_mask(mesh, "right").any()
    assert (mesh.std(-1) > 5).sum() > 1000


def test_sheet_has_a_column_per_chosen_frame(tmp_path):
    write_png(tmp_path / "a.png", [make_sequence(2, mesh=False)])
    picture = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    for column in np.array_split(picture[:280], 2, axis=1):
        assert shows_right_arm_up(column)


def test_box_holds_all_joints_of_all_persons():
    people = [make_sequence(2, 1, (-1, 0, 4)), make_sequence(2, 2, (1, 0, 6))]
    low, high = box_2d(people)
    for s in people:
        assert (s.pose2d > low).all()
        assert (s.pose2d < high).all()


def test_mp4_has_every_frame_at_the_inputs_rate_upright_and_not_mirrored(tmp_path):
    write_mp4(tmp_path / "a.mp4", [make_sequence(12)])
    pictures, rate = read_mp4(tmp_path / "a.mp4")
    assert len(pictures) == 12
    assert rate == pytest.approx(24)
    assert pictures[0].shape == (HEIGHT, WIDTH, 3)
    assert_right_arm_up_in_both_halves(pictures[0])


def test_film_keeps_the_inputs_time_when_only_every_fourth_frame_is_there(tmp_path):
    write_mp4(tmp_path / "a.mp4", [replace(make_sequence(6), frames=np.arange(6) * 4)])
    pictures, rate = read_mp4(tmp_path / "a.mp4")
    assert (len(pictures), rate) == (6, pytest.approx(6))


def test_gif_lasts_as_long_as_the_input_and_repeats(tmp_path):
    write_gif(tmp_path / "a.gif", [replace(make_sequence(15), fps=30.0)])
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 8  # 0, 2, ..., 14: 15 per second instead of 30
        assert film.info["loop"] == 0
        assert_right_arm_up_in_both_halves(np.asarray(film.convert("RGB")))
        durations = []
        for index in range(film.n_frames):
            film.seek(index)
            durations.append(film.info["duration"])
    assert sum(durations) == pytest.approx(1000 * 8 / 15, abs=5)


def test_viewpoint_turns_once_around_the_vertical_axis():
    wrist = np.array([-0.33, -0.94, -0.06])
    start, half, full = (turned(wrist, angle, 1.0) for angle in (0, np.pi, 2 * np.pi))
    assert start[0] < 0.75 * WIDTH < half[0]  # the right hand is at the left, and from behind at the right
    assert start[1] < HEIGHT / 2
    assert half[1] < HEIGHT / 2
    np.testing.assert_allclose(start, full)


def test_nearer_points_have_less_depth_and_appear_larger():
    near, far = turned(np.array([[0.5, 0, -0.5], [0.5, 0, 0.5]]), 0.0, 1.0)
    assert near[2] < far[2]
    assert near[0] > far[0] > 0.75 * WIDTH
