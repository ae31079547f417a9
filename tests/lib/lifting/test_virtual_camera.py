import numpy as np
import pytest

from lib.camera import camera_to_pixel, pixel_to_normalized
from lib.errors import UserError
from lib.joints import HUMAN36M_17
from lib.lifting.virtual_camera import ASSUMED_FOCAL, SHOWN_SIZE, jumps, lasting_jumps, virtual_camera
from tests.stick_person import stick_people


def _person(place, frames=6) -> np.ndarray:
    """A stick person (T, 17, 3), metres, camera axes, with the pelvis at `place`."""
    joints = stick_people()[0]
    pose = np.stack([joints[name] for name in HUMAN36M_17.names], axis=1)[:frames]
    return pose - pose[:, :1] + np.asarray(place)


def _pixels(points, size, focal):
    return camera_to_pixel(points, np.full(2, focal * max(size)), np.array(size) / 2)


@pytest.mark.parametrize("place", [(0, 0, 4), (1.5, -0.3, 5), (-9, 2, 30), (0.2, 0, 1.9)])
@pytest.mark.parametrize("size", [(1000, 1000), (1920, 1080), (1080, 1920)])
def test_the_view_is_what_a_camera_turned_to_the_person_sees(place, size):
    points = _person(place)
    f, c = np.array([1100.0, 1000.0]), np.array([480.0, 510.0])
    view = virtual_camera(camera_to_pixel(points, f, c), size, (*f, *c))
    seen = points @ view.rotation.transpose(0, 2, 1)
    rays = seen[..., :2] / seen[..., 2:]
    for ray, screen in zip(rays, view.pose2d, strict=True):
        focal = (screen * ray).sum() / (ray * ray).sum()  # one number for all joints of a frame
        np.testing.assert_allclose(screen, focal * ray, atol=1e-5)


@pytest.mark.parametrize("place", [(1.5, -0.3, 5), (-9, 2, 30), (0.2, 0, 1.9)])
def test_rotations_are_rotations_without_roll(place):
    rotation = virtual_camera(_pixels(_person(place), (1000, 1000), 1.2), (1000, 1000)).rotation
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (6, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1)
    np.testing.assert_allclose(rotation[:, 0, 1], 0, atol=1e-12)  # x stays level


@pytest.mark.parametrize("distance", [30, 4, 1.6])
def test_every_person_is_shown_in_the_middle_and_of_one_size(distance):
    pixels = _pixels(_person((0.4 * distance, 0, distance), 1), (1000, 1000), 1.2)
    screen = virtual_camera(pixels, (1000, 1000)).pose2d
    np.testing.assert_allclose(np.ptp(screen, axis=1).max(-1) / 2, SHOWN_SIZE, rtol=1e-6)
    assert (np.abs(screen.min(1) + screen.max(1)) / 2 < 0.05).all()


def test_a_person_of_that_size_in_the_middle_is_shown_as_published():
    joints = np.array([[-200.0, -0.165 * 1280], [200, 0.165 * 1280], [0, 0], [30, -100]])  # px from the middle
    pixels = (joints + [640, 360])[None]
    np.testing.assert_allclose(
        virtual_camera(pixels, (1280, 720)).pose2d, pixel_to_normalized(pixels, 1280, 720), atol=1e-6
    )


def test_portrait_and_landscape_images_of_one_scene_look_the_same():
    points = _person((0.3, 0, 4))
    upright = virtual_camera(_pixels(points, (1080, 1920), 1.0), (1080, 1920))
    lying = virtual_camera(_pixels(points, (1920, 1080), 1.0), (1920, 1080))
    np.testing.assert_allclose(upright.pose2d, lying.pose2d, atol=1e-6)


def test_an_unknown_camera_counts_as_one_of_the_assumed_focal_length():
    pixels = _pixels(_person((1, 0, 6)), (1280, 720), 1.0)
    known = (ASSUMED_FOCAL * 1280, ASSUMED_FOCAL * 1280, 640, 360)
    np.testing.assert_array_equal(
        virtual_camera(pixels, (1280, 720)).pose2d, virtual_camera(pixels, (1280, 720), known).pose2d
    )


def test_one_misplaced_joint_in_one_frame_hardly_moves_the_camera():
    pixels = np.tile(_pixels(_person((0, 0, 5), 1), (1000, 1000), 1.2), (51, 1, 1))
    misplaced = pixels.copy()
    misplaced[25, 16] = (990, 20)
    calm, moved = virtual_camera(pixels, (1000, 1000)), virtual_camera(misplaced, (1000, 1000))
    assert np.abs(calm.pose2d - moved.pose2d)[:, :16].max() < 0.03


def _walk(start, speed, frames=40, fps=25) -> np.ndarray:
    """A stick person (T, 17, 3) who moves sideways at `speed` m/s, from `start`."""
    points = np.tile(_person(start, 1), (frames, 1, 1))
    points[..., 0] += speed * np.arange(frames)[:, None] / fps
    return points


def test_a_pause_is_not_smoothed_over():
    first, second = (_pixels(_person((x, 0, z), 20), (1280, 720), 1.0) for x, z in ((-1, 4), (1, 7)))
    frames = np.concatenate([np.arange(20), 1000 + np.arange(20)])
    both = virtual_camera(np.concatenate([first, second]), (1280, 720), None, frames)
    for rows, pixels in ((slice(20), first), (slice(20, None), second)):
        alone = virtual_camera(pixels, (1280, 720))
        np.testing.assert_allclose(both.pose2d[rows], alone.pose2d, atol=1e-6)
        np.testing.assert_allclose(both.rotation[rows], alone.rotation, atol=1e-9)


@pytest.mark.parametrize("place", [(2.0, 0, 4), (0, 0, 9)])
def test_a_jump_or_a_new_size_without_a_pause_is_not_smoothed_over(place):
    first, second = (_pixels(_person(p, 20), (1280, 720), 1.0) for p in ((-1, 0, 4), place))
    both = virtual_camera(np.concatenate([first, second]), (1280, 720))
    np.testing.assert_allclose(both.pose2d[:20], virtual_camera(first, (1280, 720)).pose2d, atol=1e-6)
    np.testing.assert_allclose(both.pose2d[20:], virtual_camera(second, (1280, 720)).pose2d, atol=1e-6)


def test_a_sprinter_and_misplaced_joints_are_no_jumps():
    pixels = _pixels(_walk((-6, 0, 6), 10.0), (1280, 720), 1.2)
    pixels[7, 3:7] = (0, 0)
    assert not jumps(pixels, np.arange(40) / 25).any()


def test_one_joint_that_comes_nearer_to_the_others_is_no_jump():
    angle = np.arange(17) * 2.4  # all around
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    near = (np.arange(17) < [[8], [9]])[..., None]  # half of the joints in the first frame, one more in the second
    pixels = np.where(near, 20, 100) * ring
    assert not jumps(pixels, np.array([0, 0.04])).any()
    assert jumps(pixels * [[[1.0]], [[1.6]]], np.array([0, 0.04]))[1]


def test_a_jump_lasts_where_the_person_stays_there():
    here, there = (_pixels(_person(place, 20), (1280, 720), 1.0) for place in ((-1, 0, 4), (1, 0, 4)))
    seconds = np.arange(40) / 25
    cut = np.concatenate([here, there])
    assert np.flatnonzero(lasting_jumps(cut, seconds)).tolist() == [20]
    glimpse = np.concatenate([here, there[:2], here[:18]])
    assert np.flatnonzero(jumps(glimpse, seconds)).tolist() == [20, 22]
    assert not lasting_jumps(glimpse, seconds).any()


@pytest.mark.parametrize("fps", [10, 6, 2])
def test_one_frame_elsewhere_is_no_lasting_jump_at_any_rate(fps):
    here, there = (_pixels(_person((x, 0, 4), 1), (1280, 720), 1.0)[0] for x in (-30, 30))
    elsewhere = np.arange(12) == 6
    seconds = np.arange(12) / fps
    pixels = np.where(elsewhere[:, None, None], there, here)
    assert np.flatnonzero(jumps(pixels, seconds)).tolist() == [6, 7]
    assert not lasting_jumps(pixels, seconds).any()
    cut = np.where((np.arange(12) < 6)[:, None, None], here, there)
    assert np.flatnonzero(lasting_jumps(cut, seconds)).tolist() == [6]


def test_a_person_who_crosses_fast_stays_in_the_middle_of_the_view():
    pixels = _pixels(_walk((-6, 0, 6), 8.0), (1280, 720), 1.2)
    screen = virtual_camera(pixels, (1280, 720)).pose2d
    assert np.abs(screen.min(1) + screen.max(1)).max() / 2 < 0.05


def test_all_joints_on_one_pixel_are_refused():
    pixels = _pixels(_person((0, 0, 5), 6), (1000, 1000), 1.2)
    pixels[2] = (300, 300)
    with pytest.raises(UserError, match="all joints are within 4 pixels in frame 2; skip these frames"):
        virtual_camera(pixels, (1000, 1000))


def test_joints_on_one_line_still_give_numbers():
    pixels = _pixels(_person((0, 0, 5), 6), (1000, 1000), 1.2)
    pixels[..., 0] = 300
    assert np.isfinite(virtual_camera(pixels, (1000, 1000)).pose2d).all()
