import resource
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from lib.errors import UserError
from lib.lifting.writers import video
from lib.lifting.writers.drawing import Viewpoint, Window, canvas, draw_meshes, ground, rgb
from lib.lifting.writers.png import LABELS, contact_sheet, write_png
from lib.lifting.writers.scene import Scene, box_2d
from lib.lifting.writers.video import HEIGHT, MP4_RATE, WIDTH, playable, write_gif, write_mp4
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


def mesh_pixels(picture) -> int:
    """How many pixels are bluish grey, as meshes are."""
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return int(((blue - red > 12) & (blue - red < 60) & (green > 90) & (blue < 230)).sum())


def test_single_frame_sheet_shows_input_front_side_and_mesh_side_by_side(tmp_path):
    assert write_png(tmp_path / "a.png", [make_sequence(1)]) == [tmp_path / "a.png"]
    picture = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    assert picture.shape[1] > 1.5 * picture.shape[0]
    gaps = np.flatnonzero((picture[30:-40, LABELS:] == 255).all((0, 2)))  # columns of white between the cells
    gaps = np.concatenate([[-1], gaps])
    ends = np.flatnonzero(np.diff(gaps) > 60)
    flat, front, side, mesh = (picture[30:-40, LABELS + gaps[i] + 1 : LABELS + gaps[i + 1]] for i in ends)
    assert shows_right_arm_up(flat)
    assert shows_right_arm_up(front)
    assert colour_mask(side, "right").any()
    assert not colour_mask(mesh, "right").any()
    assert mesh_pixels(mesh) > 2000 > 2 * mesh_pixels(front)


def test_sheet_has_a_labelled_row_per_view_and_a_column_per_chosen_frame():
    sheet = contact_sheet([make_sequence(24)])
    row_names = sheet[:, : LABELS - 2]
    inked = np.flatnonzero((row_names < 200).any((1, 2)))
    assert 1 + (np.diff(inked) > 40).sum() == 4  # 2D input, front, side, mesh
    column_names = sheet[:26, LABELS:]
    inked = np.flatnonzero((column_names < 200).any((0, 2)))
    assert 1 + (np.diff(inked) > 40).sum() == 8
    for column in np.array_split(sheet[: len(sheet) // 2, LABELS:], 8, axis=1)[:1]:
        assert shows_right_arm_up(column)


def test_sheet_is_filled_by_its_figures():
    """The box around the ink of every cell takes most of the cell, in height or in width."""
    sheet = contact_sheet([make_sequence(24, mesh=False)])
    columns = (sheet.shape[1] - LABELS) // 8
    column = sheet[30:-34, LABELS : LABELS + columns]
    figure = colour_mask(column, "right") | colour_mask(column, "left") | colour_mask(column, "middle")
    empty_rows = 1 - figure.any(1).mean()
    assert empty_rows < 0.25
    assert figure.any(0).mean() > 0.5


def test_persons_who_come_and_go_are_on_the_sheet_when_they_are_there():
    late = replace(make_sequence(4, 2, (1, 0, 6)), frames=np.arange(4) + 20)
    sheet = contact_sheet([make_sequence(4, 1, (0, 0, 4)), late])
    assert colour_mask(sheet[:, -150:], "right").any()


def test_box_holds_all_joints_of_all_persons():
    people = [make_sequence(2, 1, (-1, 0, 4)), make_sequence(2, 2, (1, 0, 6))]
    low, high = box_2d(people)
    for s in people:
        assert (s.pose2d > low).all()
        assert (s.pose2d < high).all()


def test_scene_places_joints_and_vertices_alike():
    figure = Scene([make_sequence(3, 1, (0.5, 0, 4))]).figures(2)[0]
    np.testing.assert_allclose(figure.joints[0], (0.5, 0, 4))
    assert np.abs(figure.vertices.mean(0) - figure.joints.mean(0)).max() < 0.1
    assert Scene([make_sequence(3, mesh=False)]).figures(0)[0].vertices.shape == (0, 3)
    assert Scene([make_sequence(3)]).figures(7) == []


def test_mp4_has_every_frame_at_the_inputs_rate_upright_and_not_mirrored(tmp_path):
    write_mp4(tmp_path / "a.mp4", [make_sequence(12)])
    pictures, rate = read_mp4(tmp_path / "a.mp4")
    assert len(pictures) == 12
    assert rate == pytest.approx(24)
    assert pictures[0].shape == (HEIGHT, WIDTH, 3)
    assert_right_arm_up_in_both_halves(pictures[0])


def test_video_shows_the_mesh_and_says_that_its_viewpoint_turns(monkeypatch):
    texts = []
    monkeypatch.setattr(video, "draw_text", lambda picture, text, *rest: texts.append(text))
    with_mesh, without = (
        next(video.pictures_of([s], np.arange(1), video.Layout.of_lines([s])))
        for s in (make_sequence(3, mesh=mesh) for mesh in (True, False))
    )
    right = slice(WIDTH // 2, None)
    assert mesh_pixels(with_mesh[:, right]) > mesh_pixels(without[:, right]) + 500
    assert "3D, the viewpoint turns once in 8 s" in texts


def test_video_keeps_the_inputs_time_when_only_every_fourth_frame_is_there(tmp_path):
    write_mp4(tmp_path / "a.mp4", [replace(make_sequence(6), frames=np.arange(6) * 4)])
    pictures, rate = read_mp4(tmp_path / "a.mp4")
    assert (len(pictures), rate) == (6, pytest.approx(6))


@pytest.mark.parametrize("fps", [0.3333, 23.976, 59.94, 10000])
def test_mp4_takes_every_rate_without_a_word_of_the_codec(tmp_path, capfd, fps):
    write_mp4(tmp_path / "a.mp4", [replace(make_sequence(24), fps=fps)])
    pictures, rate = read_mp4(tmp_path / "a.mp4")
    assert len(pictures) == (24 if fps <= MP4_RATE else 1)
    assert rate == pytest.approx(min(fps, MP4_RATE), rel=0.01)
    assert capfd.readouterr() == ("", "")


def test_frames_too_far_apart_for_a_video_are_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="frames per second are too few for a video; give a higher rate with --fps"):
        playable(tmp_path / "a.mp4", [replace(make_sequence(3), frames=np.arange(3) * 10**6)], 60.0)


def test_a_full_disk_keeps_the_old_video_and_says_so(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"the old one")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # what is written beyond is lost, as on a full disk
    try:
        with pytest.raises(UserError, match=r"a\.mp4: only \d+ of 24 frames could be written; make room"):
            write_mp4(path, [make_sequence(24)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


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
    start, half, full = (Viewpoint(np.zeros(3), angle).seen(wrist) for angle in (0, np.pi, 2 * np.pi))
    assert start[0] < 0 < half[0]  # the right hand is at the left, and from behind at the right
    assert start[1] < 0
    assert half[1] < 0
    np.testing.assert_allclose(start, full)


def test_nearer_points_have_less_depth_and_appear_larger():
    near, far = Viewpoint(np.zeros(3)).seen(np.array([[0.5, 0, -0.5], [0.5, 0, 0.5]]))
    assert near[2] < far[2]
    assert near[0] > far[0] > 0


def test_window_fits_a_box_into_a_panel():
    window = Window.around(np.array([0, 0]), np.array([10, 40]), (100, 200), corner=(1000, 0))
    np.testing.assert_allclose(window(np.array([[0.0, 0], [10, 40], [5, 20]])), [[1025, 0], [1075, 200], [1050, 100]])


def test_nearer_triangles_hide_farther_ones():
    triangle = np.array([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    faces = np.array([[0, 2, 1]])
    tilted = triangle + [[0, 0, 1], [0, 0, 1], [0, 0, 3]]
    window = Window(40.0, np.zeros(2), np.array([50.0, 50.0]))
    alone, far, both, turned = (canvas(100, 100) for _ in range(4))
    draw_meshes(alone, [(triangle, faces)], window)
    draw_meshes(far, [(tilted, faces)], window)
    draw_meshes(both, [(triangle, faces), (tilted, faces)], window)
    draw_meshes(turned, [(tilted, faces), (triangle, faces)], window)
    np.testing.assert_array_equal(both, turned)
    assert (far[40, 50] != alone[40, 50]).any()  # lit differently
    np.testing.assert_array_equal(both[30:60, 45:55], alone[30:60, 45:55])


def test_ground_lies_under_all_points_and_is_never_endless():
    lines = ground(np.array([[0.0, -1, 0], [0.3, 0.5, 2.2]]))
    assert (lines[..., 1] == 0.5).all()
    assert (lines[..., [0, 2]].min((0, 1)).tolist(), lines[..., [0, 2]].max((0, 1)).tolist()) == ([0, 0], [0.5, 2.5])
    assert len(ground(np.array([[0.0, 0, 0], [1e9, 0, 1e9]]))) <= 400


def test_colours_of_the_sides_are_those_of_the_other_pictures():
    assert rgb("right") == (209, 73, 91)
