from dataclasses import replace

import numpy as np
import pytest

from lib.joints import COCO_19, HUMAN36M_17
from lib.lifting.writers.bvh import rest_direction, spanning_tree, write_bvh
from tests.waving_person import make_sequence

TO_BVH = np.array([100.0, -100.0, -100.0])
"""Camera axes in metres -> Y up in centimetres."""


def read_bvh(path):
    """Own reader and forward kinematics: {joint name: (T, 3) cm}, names of channels, motion (T, C), frame time."""
    words, _, motion = path.read_text().partition("MOTION")
    positions, channels, stack, tokens = {}, [], [], iter(words.split())
    lines = motion.strip().splitlines()
    values = np.array([[float(x) for x in line.split()] for line in lines[2:]])
    assert int(lines[0].split()[1]) == len(values)
    for token in tokens:
        if token in ("ROOT", "JOINT", "End"):
            name = next(tokens)
        elif token == "{":
            parent = stack[-1] if stack else (np.zeros((len(values), 3)), np.tile(np.eye(3), (len(values), 1, 1)))
            stack.append(parent)
        elif token == "}":
            stack.pop()
        elif token == "OFFSET":
            where, turn = stack[-1]
            offset = np.array([float(next(tokens)) for _ in range(3)])
            stack[-1] = (where + turn @ offset, turn)
            if name != "Site":
                positions[name] = stack[-1][0]
        elif token == "CHANNELS":
            where, turn = stack[-1]
            for _ in range(int(next(tokens))):
                channel, column = next(tokens), values[:, len(channels)]
                axis = "XYZ".index(channel[0])
                if channel.endswith("position"):
                    where = where.copy()
                    where[:, axis] += column
                else:
                    turn = turn @ about(axis, np.deg2rad(column))
                channels.append(f"{name}.{channel}")
            stack[-1] = (where, turn)
            positions[name] = where
    assert values.shape[1] == len(channels)
    return positions, channels, values, float(lines[1].split()[2])


def about(axis, angle):
    """Rotations (T, 3, 3) about a coordinate axis, counter-clockwise seen from its tip."""
    j, k = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.tile(np.eye(3), (len(angle), 1, 1))
    matrix[:, j, j] = matrix[:, k, k] = np.cos(angle)
    matrix[:, k, j] = np.sin(angle)
    matrix[:, j, k] = -matrix[:, k, j]
    return matrix


def joints(positions):
    return np.stack([positions[name] for name in HUMAN36M_17.names], axis=1)


def test_forward_kinematics_gives_back_the_joints_of_a_rigid_skeleton(tmp_path):
    sequence = make_sequence(24, root=(0.5, 0.2, 4.0))
    write_bvh(tmp_path / "a.bvh", [sequence])
    positions, _, _, frame_time = read_bvh(tmp_path / "a.bvh")
    want = (sequence.pose3d + [0.5, 0.2, 4.0]) * TO_BVH
    np.testing.assert_allclose(joints(positions), want, atol=0.001)
    assert frame_time == pytest.approx(1 / 24)
    # right arm up, at negative x when the person faces +Z: the person's own right
    assert positions["R_Wrist"][0, 1] > positions["Head"][0, 1]
    assert positions["R_Wrist"][0, 0] < positions["L_Wrist"][0, 0]


def test_bone_directions_are_exact_and_lengths_the_median_when_lengths_change(tmp_path):
    sequence = make_sequence(25)
    noisy = replace(sequence, pose3d=sequence.pose3d + np.random.default_rng(0).normal(0, 0.02, (25, 17, 3)))
    write_bvh(tmp_path / "a.bvh", [noisy])
    got, want = joints(read_bvh(tmp_path / "a.bvh")[0]), noisy.pose3d * TO_BVH
    for a, b in HUMAN36M_17.bones:
        u, v = got[:, b] - got[:, a], want[:, b] - want[:, a]
        lengths = np.linalg.norm(v, axis=-1)
        np.testing.assert_allclose(np.linalg.norm(u, axis=-1), np.median(lengths), atol=0.001)
        np.testing.assert_allclose((u * v).sum(-1), np.median(lengths) * lengths, rtol=1e-6)


def test_poses_of_any_orientation_are_reproduced(tmp_path):
    sequence = make_sequence(6)
    pose = sequence.pose3d.copy()
    angles = np.arange(6) * np.pi / 3
    pose = np.einsum("tij,tnj->tni", about(0, angles) @ about(2, 2 * angles), pose)
    sequence = replace(sequence, pose3d=pose)
    write_bvh(tmp_path / "a.bvh", [sequence])
    got, want = joints(read_bvh(tmp_path / "a.bvh")[0]), pose * TO_BVH
    bones = np.array(HUMAN36M_17.bones)
    u, v = (p[:, bones[:, 1]] - p[:, bones[:, 0]] for p in (got, want))
    cosine = (u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
    np.testing.assert_allclose(cosine, 1, atol=1e-8)


def test_bone_exactly_opposite_to_its_rest_direction_is_turned_half_way(tmp_path):
    pose = np.zeros((2, 17, 3))
    for a, b in HUMAN36M_17.bones:  # a T-pose, and the left forearm folded back to the shoulder
        pose[:, b] = pose[:, a] + 0.25 * rest_direction(HUMAN36M_17.names[b]) * [1, -1, -1]
    pose[:, 13] = pose[:, 11]
    write_bvh(tmp_path / "a.bvh", [replace(make_sequence(2), pose3d=pose)])
    np.testing.assert_allclose(joints(read_bvh(tmp_path / "a.bvh")[0]), pose * TO_BVH, atol=0.001)


def test_angles_do_not_jump_while_a_thigh_rises_over_the_horizontal_and_the_body_turns_twice(tmp_path):
    pose = make_sequence(60).pose3d.copy()
    rise = np.linspace(0, 2.2, 60)
    thigh = 0.4 * np.stack([np.full(60, -0.02), np.cos(rise), -np.sin(rise)], axis=-1)
    pose[:, 2], pose[:, 3] = pose[:, 1] + thigh, pose[:, 1] + 2 * thigh
    pose = np.einsum("tij,tnj->tni", about(1, np.linspace(0, 4 * np.pi, 60)), pose)
    write_bvh(tmp_path / "a.bvh", [replace(make_sequence(60), pose3d=pose)])
    _, channels, values, _ = read_bvh(tmp_path / "a.bvh")
    turning = [i for i, name in enumerate(channels) if name.endswith("rotation")]
    assert np.abs(np.diff(values[:, turning], axis=0)).max() < 40


def test_rest_pose_is_a_t_pose(tmp_path):
    write_bvh(tmp_path / "a.bvh", [make_sequence(2)])
    header, _, motion = (tmp_path / "a.bvh").read_text().partition("Frame Time:")
    still = tmp_path / "still.bvh"
    first, *rows = motion.strip().splitlines()
    still.write_text(f"{header}Frame Time: {first}\n" + "\n".join(" ".join("0" for _ in row.split()) for row in rows))
    positions, *_ = read_bvh(still)
    assert positions["R_Wrist"][0, 0] < positions["R_Shoulder"][0, 0] < 0 < positions["L_Wrist"][0, 0]
    assert positions["R_Wrist"][0, 1] == positions["L_Wrist"][0, 1] == positions["Neck"][0, 1] > 0
    assert positions["R_Ankle"][0, 1] < positions["R_Knee"][0, 1] < 0


def test_missing_frames_are_interpolated_to_keep_time(tmp_path):
    sequence = replace(make_sequence(4), frames=np.array([0, 2, 4, 8]))
    write_bvh(tmp_path / "a.bvh", [sequence])
    positions, _, values, frame_time = read_bvh(tmp_path / "a.bvh")
    assert len(values) == 5  # 0, 2, 4, (6), 8
    assert frame_time == pytest.approx(2 / 24)
    np.testing.assert_allclose(positions["R_Knee"][4], sequence.pose3d[3, 2] * TO_BVH, atol=0.001)


def test_each_of_several_persons_has_a_file(tmp_path):
    write_bvh(tmp_path / "a.bvh", [make_sequence(2, 3), make_sequence(2, 7)])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a_person_3.bvh", "a_person_7.bvh"]


def test_spanning_tree_reaches_every_joint_once_even_where_bones_close_a_loop():
    children = spanning_tree(COCO_19)
    reached = sorted(child for below in children for child in below)
    assert reached == [j for j in range(19) if j != COCO_19.root]
