import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lib.camera import camera_to_pixel, look_at, normalized_to_pixel, pixel_to_normalized, world_to_camera

F, C, SIZE = np.array([1100.0, 1200.0]), np.array([500.0, 510.0]), (1000, 1002)


def _camera(position, target, roll=0.0):
    return look_at(position, target, F, C, *SIZE, roll=roll)


def _pixels(camera, *points):
    in_camera = world_to_camera(np.array(points, dtype=float), camera.R, camera.t)
    return camera_to_pixel(in_camera, camera.f, camera.c)


def test_world_to_camera_turns_then_shifts():
    R = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # x -> y, y -> -x
    # R @ (1, 2, 3) = (-2, 1, 3); + (10, 20, 30)
    assert world_to_camera(np.array([[1.0, 2, 3]]), R, np.array([10.0, 20, 30])).tolist() == [[8, 21, 33]]


def test_a_worked_projection():
    # x: 1100 * 500 / 2000 + 500 = 775      y: 1200 * -250 / 2000 + 510 = 360
    assert camera_to_pixel(np.array([[500.0, -250, 2000]]), F, C).tolist() == [[775, 360]]


def test_screen_space_spans_the_picture_s_width_and_keeps_its_proportions():
    corners = np.array([[0.0, 0], [800, 0], [800, 600], [400, 300]])
    # x / 800 * 2 - 1; y / 800 * 2 - 600 / 800: one pixel is as long in both directions
    assert pixel_to_normalized(corners, 800, 600).tolist() == [[-1, -0.75], [1, -0.75], [1, 0.75], [0, 0]]


@pytest.mark.parametrize("size", [(1000, 1002), (1, 1), (np.array([640, 1080]), np.array([480, 1920]))])
def test_pixels_to_screen_and_back(size):
    pixels = np.random.default_rng(0).uniform(-100, 2000, (2, 17, 2))
    assert np.allclose(normalized_to_pixel(pixel_to_normalized(pixels, *size), *size), pixels, rtol=0, atol=1e-9)
    assert np.allclose(pixel_to_normalized(normalized_to_pixel(pixels, *size), *size), pixels, rtol=0, atol=1e-9)


def test_one_size_per_picture_is_the_same_as_picture_by_picture():
    pixels = np.random.default_rng(1).uniform(0, 1000, (3, 5, 2))
    widths, heights = np.array([1000, 640, 1080]), np.array([1002, 480, 1920])
    together = pixel_to_normalized(pixels, widths, heights)
    for k in range(3):
        assert (together[k] == pixel_to_normalized(pixels[k], widths[k], heights[k])).all()


def test_one_camera_per_picture_is_the_same_as_picture_by_picture():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(3, 5, 3)) + [0, 0, 9]
    R, t = Rotation.random(3, random_state=3).as_matrix(), rng.normal(size=(3, 3))
    f, c = rng.uniform(900, 1300, (3, 2)), rng.uniform(400, 600, (3, 2))
    for k in range(3):
        assert np.allclose(world_to_camera(points, R, t)[k], world_to_camera(points[k], R[k], t[k]))
        assert np.allclose(camera_to_pixel(points, f, c)[k], camera_to_pixel(points[k], f[k], c[k]))


def test_world_to_camera_can_be_undone_with_the_transposed_rotation():
    points = np.random.default_rng(4).normal(size=(5, 3)) * 1000
    camera = _camera([3000, -4000, 1500], [100, 200, 900], roll=0.3)
    back = (world_to_camera(points, camera.R, camera.t) - camera.t) @ camera.R
    assert np.allclose(back, points, rtol=0, atol=1e-9)


POSITIONS = [(0, -5000, 1500), (3000, 4000, 200), (-2500, 10, 4000), (1, 0, -3000)]


@pytest.mark.parametrize("roll", [0.0, 0.4, -2.0])
@pytest.mark.parametrize("position", POSITIONS)
def test_the_target_is_in_the_principal_point_at_its_distance(position, roll):
    target = np.array([120.0, -80, 950])
    camera = _camera(position, target, roll)
    assert _pixels(camera, target)[0].tolist() == pytest.approx(C.tolist())
    depth = world_to_camera(target[None], camera.R, camera.t)[0, 2]
    assert depth == pytest.approx(np.linalg.norm(target - position))


@pytest.mark.parametrize("position", POSITIONS)
def test_the_matrix_is_a_rotation_and_the_position_is_the_camera_s_origin(position):
    camera = _camera(position, (0, 0, 900), roll=0.7)
    assert np.allclose(camera.R @ camera.R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.R) == pytest.approx(1)
    assert np.allclose(world_to_camera(np.array([position], dtype=float), camera.R, camera.t), 0, atol=1e-9)


@pytest.mark.parametrize("position", POSITIONS)
def test_up_is_up_in_the_picture(position):
    target = np.array([0.0, 0, 900])
    foot, head = _pixels(_camera(position, target), target - [0, 0, 100], target + [0, 0, 100])
    assert head[1] < foot[1]
    assert head[0] == pytest.approx(foot[0])


def test_the_left_hand_of_a_person_facing_the_camera_is_on_the_picture_s_right():
    # The camera stands at -y and looks along +y; the person faces it, so the left hand points to +x.
    left_hand, right_hand = _pixels(_camera((0, -5000, 1000), (0, 0, 1000)), (600, 0, 1000), (-600, 0, 1000))
    # 600 mm at 5000 mm: 1100 * 600 / 5000 = 132 px from the principal point
    assert left_hand.tolist() == pytest.approx([500 + 132, 510])
    assert right_hand.tolist() == pytest.approx([500 - 132, 510])


def test_roll_turns_the_picture_clockwise():
    # A quarter turn takes what was right of the principal point below it: 1200 * 600 / 5000 = 144 px in y.
    camera = _camera((0, -5000, 1000), (0, 0, 1000), roll=np.pi / 2)
    assert _pixels(camera, (600, 0, 1000))[0].tolist() == pytest.approx([500, 510 + 144])


@pytest.mark.parametrize("target", [(0, 0, 2000), (0, 0, -2000)])
def test_looking_straight_up_or_down_is_refused(target):
    with pytest.raises(ValueError, match="vertical"):
        _camera((0, 0, 0), target)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_target_at_the_camera_is_refused_rather_than_nan():
    with pytest.raises(ValueError, match="look_at"):
        _camera((1, 2, 3), (1, 2, 3))


def test_look_at_leaves_its_arguments_as_they_were():
    position, target = np.array([0.0, -5000, 1000]), np.array([0.0, 0, 1000])
    _camera(position, target)
    assert position.tolist() == [0, -5000, 1000]
    assert target.tolist() == [0, 0, 1000]
