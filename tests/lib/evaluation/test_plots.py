import cv2
import numpy as np
import pytest

from lib.evaluation import plots
from lib.evaluation.plots import (
    bone_sides,
    draw_curves,
    draw_mesh,
    draw_pose,
    frame_3d,
    plot_mesh,
    plot_pose3d,
    upright,
)
from lib.joints import COCO_17, HUMAN36M_17
from tests.waving_person import colour_mask, make_sequence, shows_right_arm_up


@pytest.fixture
def figures(monkeypatch):
    """path -> figure of every picture instead of its file."""
    saved = {}
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: saved.update({path: figure}))
    return saved


def read(path):
    return cv2.imread(str(path))[..., ::-1]


def screen(sequence, t=0):
    width, height = sequence.image_size
    return sequence.pose2d[t] / width * 2 - [1, height / width]


def new_axes():
    return plots.new_figure(4, 4).add_subplot(projection="3d")


def test_bones_take_the_side_of_their_joints():
    sides = dict(zip(HUMAN36M_17.bones, bone_sides(HUMAN36M_17), strict=True))
    assert sides[(0, 7)] == "middle"
    assert sides[(8, 11)] == sides[(4, 5)] == "left"
    assert sides[(8, 14)] == sides[(1, 2)] == "right"
    assert dict(zip(COCO_17.bones, bone_sides(COCO_17), strict=True))[(5, 6)] == "middle"  # between the shoulders


def test_upright_is_a_rotation_that_turns_down_into_minus_up():
    # right, down, forward: x, -z, y of the drawing
    np.testing.assert_array_equal(upright(np.eye(3)), [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    assert np.linalg.det(upright(np.eye(3))) == 1


def test_axes_are_equal_and_hold_all_points():
    points = make_sequence(2).pose3d
    axes = new_axes()
    frame_3d(axes, points, (8, -90))
    limits = np.array([axes.get_xlim(), axes.get_ylim(), axes.get_zlim()])
    np.testing.assert_allclose(np.ptp(limits, axis=1) / np.ptp(limits[0]), axes._box_aspect / axes._box_aspect[0])
    flat = upright(points).reshape(-1, 3)
    assert (flat.min(0) >= limits[:, 0]).all()
    assert (flat.max(0) <= limits[:, 1]).all()


def test_pose_is_upright_and_not_mirrored_in_2d_and_from_the_front(tmp_path):
    sequence = make_sequence(1)
    draw_pose(screen(sequence), sequence.pose3d[0], None, HUMAN36M_17, tmp_path / "a.png", "title")
    picture = read(tmp_path / "a.png")[: -picture_rows(0.15)]
    flat, front, _ = np.array_split(picture, 3, axis=1)
    assert shows_right_arm_up(flat)
    assert shows_right_arm_up(front)


def picture_rows(part, height=450):
    """Rows of the legend below the drawings."""
    return int(part * height)


def test_ground_truth_is_dashed_beside_the_solid_prediction(figures):
    sequence = make_sequence(5)
    draw_pose(screen(sequence), sequence.pose3d[0], sequence.pose3d[4], HUMAN36M_17, "a.png")
    _, front, side = figures["a.png"].axes
    for axes in (front, side):
        styles = [
            c.get_linestyle()[0] for c in axes.collections if len(c.get_linestyle()) and hasattr(c, "_segments3d")
        ]
        assert [dashes is None for _, dashes in styles] == [True, False]
    assert [text.get_text() for text in figures["a.png"].legends[0].get_texts()][2:] == ["prediction", "ground truth"]


def test_skeleton_alone_has_a_segment_per_bone_in_its_colour():
    axes = new_axes()
    plot_pose3d(axes, make_sequence(1).pose3d[0], HUMAN36M_17)
    assert len(axes.collections[0].get_colors()) == len(HUMAN36M_17.bones)


def test_faces_towards_the_light_are_brighter():
    # in camera axes (1, 0, 0) x (0, -1, 0.5) = (0, -0.5, -1): up and towards the camera
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, -1, 0.5]], np.float64)
    shades = []
    for face in ([0, 1, 2], [0, 2, 1]):
        axes = new_axes()
        plot_mesh(axes, vertices, np.array([face]))
        shades.append(axes.collections[0].get_facecolor()[0, :3].mean())
    assert shades[0] > shades[1] + 0.1


def test_mesh_picture_shows_mesh_and_skeleton(tmp_path):
    sequence = make_sequence(1)
    draw_mesh(sequence.meshes[0][0], sequence.faces[0], tmp_path / "a.png", sequence.pose3d[0], HUMAN36M_17)
    front, side, skeleton = np.array_split(read(tmp_path / "a.png")[: -picture_rows(0.15)], 3, axis=1)
    assert not colour_mask(front, "right").any()
    assert shows_right_arm_up(skeleton)
    assert (front.std(-1) > 5).sum() > 1000  # bluish mesh on white and grey
    assert (side.std(-1) > 5).sum() > 1000


def test_curves_hold_every_loss_and_name_the_best_epoch(figures):
    log = [
        {"epoch": 0, "loss": 3.0, "loss_joint": 2.0, "lr": 1e-3, "test": {"mpjpe": 60.0, "pa_mpjpe": 50.0}},
        {"epoch": 1, "loss": 2.0, "loss_joint": 1.0, "lr": 1e-3, "test": None},
        {"epoch": 2, "loss": 1.0, "loss_joint": 0.5, "lr": 1e-3, "test": {"mpjpe": 41.0, "pa_mpjpe": 33.0}},
        {"epoch": 3, "loss": 0.9, "loss_joint": 0.4, "lr": 1e-3, "test": {"mpjpe": 42.5, "pa_mpjpe": 32.0}},
    ]
    draw_curves(log, "loss.png", "error.png")
    curves = {line.get_label(): line.get_xydata().tolist() for line in figures["loss.png"].axes[0].lines}
    assert curves == {
        "loss": [[0, 3], [1, 2], [2, 1], [3, 0.9]],
        "loss_joint": [[0, 2], [1, 1], [2, 0.5], [3, 0.4]],
    }
    axes = figures["error.png"].axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[0, 60], [2, 41], [3, 42.5]]
    assert axes.lines[1].get_xydata().tolist() == [[0, 50], [2, 33], [3, 32]]
    assert "lowest MPJPE 41.00 mm at epoch 2" in axes.get_title()


def test_curves_of_an_empty_log_are_still_pictures(tmp_path):
    draw_curves([], tmp_path / "loss.png", tmp_path / "error.png")
    assert read(tmp_path / "loss.png").shape == read(tmp_path / "error.png").shape == (450, 800, 3)
