from dataclasses import replace

import numpy as np
import pytest

from lib.lifting import SMOOTHERS
from lib.lifting.quality import Quality, jitter, limb_spread
from lib.lifting.sequence_smoothing import smoothed, steady_parts, steady_root, without_flips
from tests.waving_person import make_sequence


@pytest.mark.parametrize("way", SMOOTHERS)
def test_smoothing_calms_pose_root_and_meshes_and_starts_anew_after_a_pause(way):
    poses = make_sequence(30)
    poses = replace(poses, pose3d=np.tile(poses.pose3d[:1], (30, 1, 1)), meshes=(poses.meshes[0][[0] * 30],) * 2)
    jitter = np.where(np.arange(30) % 2, 0.01, -0.01)[:, None, None]
    frames = np.where(np.arange(30) < 20, np.arange(30), np.arange(30) + 500)
    shaking = replace(
        poses, pose3d=poses.pose3d + jitter, meshes=(poses.meshes[0] + jitter, poses.meshes[1]), frames=frames,
        root=np.tile([0.0, 0, 4], (30, 1)) + jitter[:, 0],
    )  # fmt: skip
    calm = smoothed(shaking, way)
    for name in ("pose3d", "root"):
        before, after = getattr(shaking, name), getattr(calm, name)
        assert np.abs(np.diff(after[:20], axis=0)).max() < 0.6 * np.abs(np.diff(before[:20], axis=0)).max()
        alone = getattr(smoothed(shaking.rows(slice(20, 30)), way), name)
        np.testing.assert_allclose(after[20:], alone, atol=1e-12)
    assert np.ptp(calm.meshes[0][10:20], axis=0).max() < 0.015
    np.testing.assert_array_equal(calm.frames, frames)


@pytest.mark.parametrize("way", SMOOTHERS)
def test_the_quality_is_that_of_the_smoothed_poses(way):
    poses = make_sequence(30)
    shaking = replace(poses, pose3d=poses.pose3d + np.random.default_rng(0).normal(0, 0.03, poses.pose3d.shape))

    def numbers(sequence):
        return limb_spread(sequence.pose3d, sequence.joint_set), jitter(sequence.pose3d, sequence.frames, sequence.fps)

    before = Quality(numbers(shaking)[0], 0.01, 0.0, numbers(shaking)[1], 0.1)
    calm = smoothed(replace(shaking, quality=before), way)
    spread, shake = numbers(calm)
    assert calm.quality == replace(before, limb_spread=spread, jitter=shake)
    assert shake < 0.5 * before.jitter


def test_gaussian_smoothing_keeps_nine_tenths_of_a_runners_swing_and_does_not_lag():
    """At 1.5 Hz, exp(-(2 pi 1.5 Hz 0.05 s)^2 / 2) = 0.895 of the way is left, in time; one-euro comes late."""
    t = np.arange(90) / 30
    still = make_sequence(90)
    swing = 0.3 * np.sin(2 * np.pi * 1.5 * t)[:, None, None]
    rest = np.repeat(still.pose3d[:1], 90, axis=0)
    moving = replace(still, pose3d=rest + swing, fps=30.0)
    left = {way: (smoothed(moving, way).pose3d - rest)[20:70] for way in SMOOTHERS}
    np.testing.assert_allclose(
        left["gaussian"], np.broadcast_to(0.895 * swing[20:70], left["gaussian"].shape), atol=0.005
    )
    assert np.abs(left["one-euro"] - swing[20:70]).max() > 2 * np.abs(left["gaussian"] - swing[20:70]).max()


def walk_away(frames: int = 96, start: float = 3.0):
    """A person who walks away from the camera at 1 m/s, and where noisy keypoints place them: vague along the line of sight."""
    poses = make_sequence(frames)
    true = np.column_stack([np.zeros((frames, 2)), start + np.arange(frames) / poses.fps])
    seen = poses.pose3d + true[:, None]
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(frames, 3)) * [0.004, 0.004, 0.08]
    pixels = seen[..., :2] / seen[..., 2:] * 500 + [320, 240]
    return replace(poses, pose2d=pixels, root=true + noise), true


def test_a_steady_root_keeps_a_walk_and_loses_what_jumps_along_the_line_of_sight():
    shaky, true = walk_away()
    before, after = shaky.root - true, steady_root(shaky) - true
    assert np.abs(after[:, 2]).mean() < 0.5 * np.abs(before[:, 2]).mean()
    assert np.abs(np.diff(after[:, 2])).mean() < 0.05 * np.abs(np.diff(before[:, 2])).mean()
    assert np.abs(after[:, :2]).max() < 0.01
    np.testing.assert_array_equal(smoothed(shaky).root, steady_root(shaky))
    assert steady_root(replace(shaky, root=None)) is None


def test_a_steady_root_leaps_where_the_person_is_suddenly_elsewhere():
    """Two walks behind one another, 4 m apart: the picture of the second is no reason to move the first."""
    (near, _), (far, _) = walk_away(48), walk_away(48, start=9.0)
    both = replace(
        walk_away()[0],
        pose2d=np.concatenate([near.pose2d, far.pose2d]),
        pose3d=np.concatenate([near.pose3d, far.pose3d]),
        root=np.concatenate([near.root, far.root]),
    )
    np.testing.assert_allclose(steady_root(both)[:48], steady_root(near), atol=1e-6)


@pytest.mark.parametrize("fps", [10.0, 30.0, 120.0])
def test_a_pose_that_turns_over_between_two_frames_is_not_smoothed_over(fps):
    """A back that is taken for a front: the person faces the other way at once. What is half-way between is neither."""
    poses = make_sequence(60)
    second = np.arange(60)[:, None, None] >= 30
    turning = replace(poses, pose3d=np.where(second, poses.pose3d * [-1.0, 1.0, -1.0], poses.pose3d), fps=fps)
    assert steady_parts(turning) == [slice(0, 30), slice(30, 60)]
    for way in SMOOTHERS:
        alone = smoothed(turning.rows(slice(30, 60)), way)
        np.testing.assert_allclose(smoothed(turning, way).pose3d[30:], alone.pose3d, atol=1e-9)


@pytest.mark.parametrize("rows", [1, 5])
def test_a_short_flip_is_mended_and_a_long_one_is_not(rows):
    poses = make_sequence(60)  # 24 frames a second
    mirrored = poses.pose3d * [-1.0, 1.0, -1.0]
    flipped = (np.arange(60) >= 20) & (np.arange(60) < 20 + rows)
    shown = replace(poses, pose3d=np.where(flipped[:, None, None], mirrored, poses.pose3d))
    mended = without_flips(shown)
    assert np.linalg.norm(mended.pose3d - poses.pose3d, axis=-1).mean(1).max() < 0.05
    np.testing.assert_array_equal(mended.pose3d[~flipped], poses.pose3d[~flipped])
    assert steady_parts(mended) == [slice(0, 60)]
    long = (np.arange(60) >= 20) & (np.arange(60) < 35)
    turned = replace(poses, pose3d=np.where(long[:, None, None], mirrored, poses.pose3d))
    np.testing.assert_array_equal(without_flips(turned).pose3d, turned.pose3d)


def test_a_cut_is_no_flip():
    """Another person for three frames, elsewhere in the picture."""
    poses = make_sequence(60)
    other = (np.arange(60) >= 20) & (np.arange(60) < 23)
    shown = replace(
        poses,
        pose3d=np.where(other[:, None, None], poses.pose3d * [-1.0, 1.0, -1.0], poses.pose3d),
        pose2d=np.where(other[:, None, None], poses.pose2d + [600, 0], poses.pose2d),
    )
    np.testing.assert_array_equal(without_flips(shown).pose3d, shown.pose3d)
