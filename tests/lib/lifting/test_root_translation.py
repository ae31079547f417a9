from dataclasses import replace

import numpy as np
import pytest

from lib.camera import camera_to_pixel
from lib.errors import UserError
from lib.joints import HUMAN36M_17
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.root_translation import fit_root_translation, with_root_translation
from tests.stick_person import CAMERA, SIZE, C, F, pixels_of, points_of, stick_people


def scene():
    """pose3d (60, 17, 3), root (60, 3), pixels (60, 17, 2), scores of 1."""
    joints = np.concatenate([np.stack([p[n] for n in HUMAN36M_17.names], 1) for p in stick_people()])
    root = joints[:, 0]
    return joints - root[:, None], root, camera_to_pixel(joints, F, C), np.ones(joints.shape[:2])


def error(pose3d, root, pixels, scores):
    return (scores[..., None] * (camera_to_pixel(pose3d + root[:, None], F, C) - pixels) ** 2).sum((1, 2))


def test_worked_example_with_two_points():
    # A rod of 1 m, its ends at X = 0 and X = 1, 4 m away: u = 100 * 0 / 4 + 50 = 50 and 100 * 1 / 4 + 50 = 75, v = 20.
    rod = np.array([[[0, 0, 0], [1, 0, 0]]], np.float64)
    pixels = np.array([[[50, 20], [75, 20]]], np.float64)
    root = fit_root_translation(rod, pixels, np.ones((1, 2)), np.array([100, 100]), np.array([50, 20]))
    np.testing.assert_allclose(root, [[0, 0, 4]], atol=1e-9)


def test_exact_pixels_give_the_root_exactly():
    pose3d, root, pixels, scores = scene()
    np.testing.assert_allclose(fit_root_translation(pose3d, pixels, scores, F, C), root, atol=1e-9)


def test_different_focal_lengths_in_x_and_y():
    pose3d, root, _, scores = scene()
    f, c = np.array([1000.0, 1300.0]), np.array([600.0, 300.0])
    pixels = camera_to_pixel(pose3d + root[:, None], f, c)
    np.testing.assert_allclose(fit_root_translation(pose3d, pixels, scores, f, c), root, atol=1e-9)


def test_joints_with_score_zero_have_no_influence():
    pose3d, root, pixels, scores = scene()
    scores[:, [2, 9, 16]] = 0
    pixels[:, [2, 9, 16]] += 500
    np.testing.assert_allclose(fit_root_translation(pose3d, pixels, scores, F, C), root, atol=1e-9)


def test_noisy_pixels_end_at_the_minimum_of_the_weighted_reprojection_error():
    pose3d, _, pixels, _ = scene()
    rng = np.random.default_rng(0)
    pixels = pixels + rng.normal(0, 5, pixels.shape)
    scores = rng.uniform(0.1, 1, pixels.shape[:2])
    root = fit_root_translation(pose3d, pixels, scores, F, C)
    best = error(pose3d, root, pixels, scores)
    for step in 0.002 * np.concatenate([np.eye(3), -np.eye(3)]):
        assert (error(pose3d, root + step, pixels, scores) > best).all()


def test_frames_are_independent():
    pose3d, _, pixels, scores = scene()
    pixels = pixels + np.random.default_rng(1).normal(0, 5, pixels.shape)
    whole = fit_root_translation(pose3d, pixels, scores, F, C)
    np.testing.assert_allclose(fit_root_translation(pose3d[7:9], pixels[7:9], scores[7:9], F, C), whole[7:9], atol=1e-9)


@pytest.mark.parametrize("joints", [[], [4]])
def test_fewer_than_two_weighted_joints_are_refused(joints):
    pose3d, _, pixels, scores = scene()
    scores[5] = 0
    scores[5, joints] = 1
    with pytest.raises(UserError, match=r"in 1 of 60 frames \(first: index 5\) the joints with a score above 0"):
        fit_root_translation(pose3d, pixels, scores, F, C)


def test_all_joints_on_one_pixel_are_refused():
    pose3d, _, pixels, scores = scene()
    with pytest.raises(UserError, match=r"in 60 of 60 frames .* do not span the image"):
        fit_root_translation(pose3d, np.full_like(pixels, 300), scores, F, C)


def test_a_body_behind_the_camera_is_refused():
    pose3d, _, pixels, scores = scene()
    upside_down = 2 * C - pixels
    with pytest.raises(UserError, match="not in front of the camera; check the focal length"):
        fit_root_translation(pose3d, upside_down, scores, F, C)


def test_frames_without_a_place_in_front_of_the_camera_are_skipped_with_a_line():
    points = points_of(0)
    poses = PoseSequence(points - points[:, :1], pixels_of(0), HUMAN36M_17, 25.0, SIZE)
    scores = poses.scores.copy()
    scores[7] = 0
    placed, notes = with_root_translation(replace(poses, scores=scores), CAMERA)
    assert placed.frames.tolist() == [t for t in range(30) if t != 7]
    np.testing.assert_allclose(placed.root, points_of(0)[placed.frames, 0], atol=1e-6)
    assert notes == ["person 0: skipped frame 7: no place in front of the camera"]
    with pytest.raises(UserError, match="person 0: root translation: in 30 of 30 frames"):
        with_root_translation(replace(poses, scores=np.zeros_like(scores)), CAMERA)
