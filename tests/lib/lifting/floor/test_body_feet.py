from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.transform import Rotation

from lib.joints import HUMAN36M_17, SMPL_24
from lib.lifting.fitted_body import FittedBody
from lib.lifting.floor.body_feet import BodyFeet, sole_points
from lib.lifting.floor.ground import on_floor
from lib.lifting.floor.level import in_camera_axes, levelled
from lib.lifting.floor.plane import Floor
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.drawing import Window
from lib.lifting.writers.overlay import Overlay
from lib.lifting.writers.scene import Scene
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer
from tests.bodies import tiny_body
from tests.walking_person import CAMERA_HEIGHT, DISTANCE, SIZE, F, up_of

FRAMES = 60
K = len(SMPL_24)


@pytest.fixture(scope="module")
def model():
    return tiny_body()


@pytest.fixture(scope="module")
def feet(model):
    return BodyFeet(model, [sp.csr_matrix(model.joint_regressor)])


def marching(model, feet, pitch=6.0):
    """A body that lifts its feet in turns, where it stands, and shakes; as it was fitted, with its place."""
    t = np.arange(FRAMES) / 25
    pose = 0.02 * np.random.default_rng(0).normal(size=(FRAMES, 3 * K))
    for phase, side in ((0.0, "R"), (0.6, "L")):
        lift = np.clip(np.sin(2 * np.pi * (t + phase) / 1.2), 0, None)
        for name, sign in (("Hip", -0.6), ("Knee", 1.2), ("Ankle", -0.6)):
            pose[:, 3 * SMPL_24.names.index(f"{side}_{name}")] += sign * lift
    pose[:, :3] = (Rotation.from_euler("x", 180 + pitch, degrees=True)).as_rotvec()
    body = FittedBody(
        model, pose, np.array([0.5] + [0.0] * 9), np.zeros((FRAMES, 3)), np.zeros((17, 3)), np.ones(FRAMES)
    )
    like = PoseSequence(np.zeros((FRAMES, 17, 3)), np.zeros((FRAMES, 17, 2)), HUMAN36M_17, 25.0, SIZE, body=body)
    joints = posed_points(feet, like)[:, :17]
    root = joints[:, :1]
    body = replace(body, transl=body.transl - root[:, 0])
    place = np.array([0.0, 0.0, DISTANCE])
    seen = joints - root + place
    pixels = F * seen[..., :2] / seen[..., 2:] + np.array(SIZE) / 2
    camera = (F, F, SIZE[0] / 2, SIZE[1] / 2)
    return replace(
        like, pose3d=joints - root, pose2d=pixels, body=body, root=np.tile(place, (FRAMES, 1)), camera=camera
    )


def posed_points(feet, sequence):
    posed = feet._posed(sequence)
    return (feet.points(posed.rotations, posed.shape)[0] + posed.transl[:, None]).double().numpy()


def vertices_of(sequence):
    body = sequence.body
    betas = np.tile(body.betas, (len(body.pose), 1))
    layer = SMPL_Layer(body.model, torch.float64)
    vertices, _ = layer(*map(torch.as_tensor, (body.pose, betas, body.transl)))
    return vertices.numpy() + sequence.root[:, None]


def test_soles_are_the_lowest_vertices_behind_and_in_front(model):
    names, rows = sole_points(model)
    assert names == ("R_Heel", "R_Toe", "L_Heel", "L_Toe")
    points = rows @ model.v_template
    np.testing.assert_allclose(rows.sum(1), 1)
    assert (points[:, 1] < model.v_template[:, 1].min() + 0.02).all()
    assert (points[[1, 3], 2] > points[[0, 2], 2] + 0.1).all()  # toes are in front
    assert (points[:2, 0] < 0).all()  # the person's right, who faces +Z


def test_heels_and_toes_are_where_the_bodys_vertices_are(model, feet):
    sequence = marching(model, feet)
    expected = np.einsum("pv,tvc->tpc", feet.rows.toarray(), vertices_of(sequence))
    np.testing.assert_allclose(feet(sequence).points + sequence.root[:, None], expected, atol=1e-4)


def test_feet_are_moved_with_small_turns_of_the_legs_alone(model, feet):
    sequence = marching(model, feet)
    moves = 0.02 * np.random.default_rng(1).normal(size=(1, 4, 3)).repeat(FRAMES, 0)
    moves[:, [1, 3]] = moves[:, [0, 2]]  # heel and toe together
    moves[..., 1] = -0.03
    moved = feet.plant(sequence, moves)
    goal = feet(sequence).points + moves + sequence.root[:, None]
    np.testing.assert_allclose(feet(moved).points + moved.root[:, None], goal, atol=0.006)
    before, after = (s.body.pose.reshape(FRAMES, K, 3) for s in (sequence, moved))
    legs = [k for k, name in enumerate(SMPL_24.names) if name.split("_")[-1] in ("Hip", "Knee", "Ankle", "Foot")]
    upper = [k for k in range(K) if k not in legs]
    np.testing.assert_allclose(after[:, upper], before[:, upper], atol=0.02)
    np.testing.assert_array_equal(moved.body.betas, sequence.body.betas)
    np.testing.assert_allclose(moved.pose3d[:, 0], 0, atol=1e-9)


def test_feet_that_both_stand_elsewhere_take_the_pelvis_along_and_leave_the_pose_as_it_was(model, feet):
    sequence = marching(model, feet)
    moved = feet.plant(sequence, np.tile([0.0, 0.0, 0.04], (FRAMES, 4, 1)))
    assert (moved.root - sequence.root)[:, 2].mean() > 0.01
    assert np.linalg.norm(moved.pose3d - sequence.pose3d, axis=-1).mean() < 0.0065


def test_nothing_moves_that_is_not_asked_to(model, feet):
    sequence = marching(model, feet)
    same = feet.plant(sequence, np.zeros((FRAMES, 4, 3)))
    np.testing.assert_allclose(same.pose3d, sequence.pose3d, atol=1e-4)
    np.testing.assert_allclose(same.root, sequence.root, atol=1e-4)


def test_planted_heels_and_toes_of_a_shaking_body_stand_still_on_the_floor(model, feet):
    sequence = marching(model, feet)
    (result,), notes = on_floor([sequence], up_of(6), feet, feet.plant)
    assert notes == []
    points = feet(result).points + result.root[:, None]
    planted = np.stack([result.extras[f"contact_{name}"] for name in feet.names], 1) > 0
    assert 0.3 < planted.mean() < 0.95
    for p in range(4):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], planted[:, p], [0]]).astype(int))).reshape(-1, 2)
        for a, b in edges:
            assert np.linalg.norm(points[a:b, p] - points[a:b, p].mean(0), axis=-1).max() < 0.01
    assert (points[..., 1] + feet(result).clearance).max() < 0.003  # y points down: nothing is under the floor
    assert vertices_of(result)[..., 1].max() < 0.02  # nor, by more than feet roll, a sole's edge
    before = feet(sequence).points + sequence.root[:, None]
    assert np.linalg.norm(np.diff(before, axis=0), axis=-1)[planted[1:]].mean() > 0.004
    bones = [(s.body.rest_joints, s.body.offsets) for s in (sequence, result)]
    np.testing.assert_array_equal(bones[0][0], bones[1][0])
    np.testing.assert_array_equal(bones[0][1], bones[1][1])


def test_level_axes_turn_joints_meshes_and_vertices_alike_and_back(model, feet):
    sequence = marching(model, feet)
    sequence = replace(sequence, meshes=(sequence.pose3d[:, :3],), faces=(np.array([[0, 1, 2]]),))
    floor = Floor(up_of(10, 4), -CAMERA_HEIGHT)
    level = levelled(sequence, floor)
    np.testing.assert_allclose(vertices_of(level), floor.to_level(vertices_of(sequence)), atol=1e-9)
    np.testing.assert_allclose(level.meshes[0], level.pose3d[:, :3], atol=1e-12)
    back = in_camera_axes(level)
    assert back.floor is None
    for name in ("pose3d", "root"):
        np.testing.assert_allclose(getattr(back, name), getattr(sequence, name), atol=1e-12)
    np.testing.assert_allclose(vertices_of(back), vertices_of(sequence), atol=1e-9)
    assert in_camera_axes(back) is back


def test_a_person_in_level_axes_is_drawn_over_the_image_where_the_camera_saw_them(model, feet):
    sequence = marching(model, feet).rows(np.arange(3))
    sequence = replace(sequence, meshes=(sequence.pose3d[:, [1, 4, 10]],), faces=(np.array([[0, 1, 2]]),))
    level = levelled(sequence, Floor(up_of(25, 10), -CAMERA_HEIGHT))
    pictures = []
    for s in (sequence, level):
        picture = np.zeros((*SIZE[::-1], 3), np.uint8)
        Overlay([s]).draw(picture, Scene([s]).figures(1), 1, Window(1.0, np.zeros(2), np.zeros(2)))
        pictures.append(picture.astype(int))
    assert pictures[0].any()
    assert (np.abs(pictures[0] - pictures[1]).max(-1) > 60).mean() < 1e-4
