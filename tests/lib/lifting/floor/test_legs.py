import numpy as np
import pytest

from lib.lifting.floor.feet import ankles, leg_joints
from lib.lifting.floor.legs import move_ankles, move_nodes, within_reach
from tests.walking_person import filmed, walking

ANKLES, KNEES, HIPS = leg_joints("Ankle"), leg_joints("Knee"), leg_joints("Hip")


def poses():
    return filmed(walking(seconds=2)).pose3d


def test_ankles_go_where_they_are_sent_and_bones_keep_their_lengths():
    pose = poses()
    moves = 0.03 * np.random.default_rng(0).normal(size=(len(pose), 2, 3)) - [0, 0.05, 0]
    moved = move_ankles(pose, moves)
    np.testing.assert_allclose(moved[:, ANKLES], pose[:, ANKLES] + moves, atol=1e-9)
    for a, b in ((HIPS, KNEES), (KNEES, ANKLES)):
        before, after = (np.linalg.norm(p[:, a] - p[:, b], axis=-1) for p in (pose, moved))
        np.testing.assert_allclose(after, before, atol=1e-9)
    assert np.linalg.norm(moved[:, KNEES] - pose[:, KNEES], axis=-1).max() < 0.2


def test_a_leg_reaches_no_farther_than_it_is_long():
    pose = poses()
    moved = move_ankles(pose, np.tile([0.0, 0.5, 0.0], (len(pose), 2, 1)))
    length = np.linalg.norm(moved[:, ANKLES] - moved[:, HIPS], axis=-1)
    np.testing.assert_allclose(length, 0.88, atol=1e-3)


def test_a_straight_leg_bends_its_knee_forwards():
    pose = poses()[:1].copy()
    pose[:, KNEES] = pose[:, HIPS] + [0, 0.44, 0]
    pose[:, ANKLES] = pose[:, HIPS] + [0, 0.88, 0]
    bent = move_ankles(pose, np.tile([0.0, -0.2, 0.0], (1, 2, 1)))
    left = pose[0, HIPS[1]] - pose[0, HIPS[0]]
    forward = np.cross(left, [0.0, -1.0, 0.0])
    assert ((bent[0, KNEES] - pose[0, KNEES]) @ forward > 0.01).all()


def test_the_pelvis_comes_down_for_a_foot_out_of_reach_and_only_then():
    sequence = filmed(walking(seconds=2))
    feet, seconds = ankles(sequence), np.arange(50) / 25
    parts = [slice(0, 50)]
    assert not within_reach(feet, np.tile([0.0, -0.05, 0.0], (50, 2, 1)), seconds, parts).any()
    moves = np.tile([0.0, 0.08, 0.0], (50, 2, 1))
    shift = within_reach(feet, moves, seconds, parts)
    length = np.linalg.norm(feet.ankles + moves - feet.hips - shift[:, None], axis=-1)
    assert (length / feet.reach).max() < 1.0
    assert 0.02 < shift[:, 1].max() < 0.08
    assert np.abs(np.diff(shift, n=2, axis=0)).max() < 0.01


def test_nodes_follow_the_joint_that_they_are_at():
    pose = poses()[:1]
    after = pose.copy()
    after[:, ANKLES[0]] += [0.1, 0, 0]
    nodes = pose[:, [ANKLES[0], 10]] + 0.001
    moved = move_nodes(nodes, pose, after) - nodes
    assert moved[0, 0] == pytest.approx([0.1, 0, 0], abs=1e-4)
    assert moved[0, 1] == pytest.approx([0, 0, 0], abs=1e-4)
