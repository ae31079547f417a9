"""Proportions, landmarks and the body that training poses, on the built-in body."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix, identity

from lib.joints import HUMAN36M_17, SMPL_24
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.flexible_body import FlexibleBody
from smplpytorch.smplpytorch.landmarks import landmarks
from smplpytorch.smplpytorch.proportions import PROPORTIONS, with_proportions
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix
from tests.bodies import builtin_body

S = {name: k for k, name in enumerate(SMPL_24.names)}


def every_hundredth() -> list:
    return [identity(len(builtin_body().v_template), format="csr")[::100]]


# --- proportions


def bones(**proportions: float) -> dict[str, float]:
    """Lengths of rest bones, by the joint at their end, of a person with these proportions."""
    model = with_proportions(builtin_body())
    shape = np.zeros(model.shapedirs.shape[-1])
    for name, value in proportions.items():
        shape[builtin_body().shapedirs.shape[-1] + list(PROPORTIONS).index(name)] = value
    joints = model.J_regressor @ (model.v_template + model.shapedirs @ shape)
    return {name: float(np.linalg.norm(joints[k] - joints[SMPL_24.bones[k - 1][0]])) for name, k in S.items() if k}


def test_stature_scales_the_whole_body():
    model = with_proportions(builtin_body())
    direction = model.shapedirs[..., builtin_body().shapedirs.shape[-1] + list(PROPORTIONS).index("stature")]
    np.testing.assert_allclose(direction, model.v_template, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "longer"),
    [
        ("thigh", ("L_Knee", "R_Knee")),
        ("shin", ("L_Ankle", "R_Ankle")),
        ("upper_arm", ("L_Elbow", "R_Elbow")),
        ("forearm", ("L_Wrist", "R_Wrist")),
        ("girth", ()),
    ],
)
def test_a_proportion_lengthens_its_bones_alone_and_both_sides_alike(name, longer):
    before, after = bones(), bones(**{name: 0.2})
    limbs = [f"{side}_{joint}" for side in "LR" for joint in ("Knee", "Ankle", "Elbow", "Wrist")]
    for bone in limbs:
        assert after[bone] / before[bone] == pytest.approx(1.2 if bone in longer else 1, abs=0.025), bone
    for bone in longer:
        assert after[bone] == pytest.approx(after["R" + bone[1:]], abs=1e-6)


# --- landmarks


def offsets(model: BodyModel) -> dict[str, np.ndarray]:
    return {mark.name: mark.offset[:, 0] for mark in landmarks(model)}


def test_a_face_looks_forwards_and_feet_point_there():
    at = offsets(builtin_body())
    assert at["Nose"][2] > at["L_Eye"][2] > at["L_Ear"][2]
    assert at["L_Eye"][1] > at["Nose"][1]
    assert at["L_Ear"][0] > at["L_Eye"][0] > 0.02
    assert at["L_BigToe"][2] > 0.1 > 0 > at["L_Heel"][2]
    assert at["L_SmallToe"][0] > at["L_BigToe"][0]
    assert 0.09 < at["L_Hip"][0] < 0.13  # outside the joint


def test_right_and_left_mirror_each_other():
    at = offsets(builtin_body())
    for name, offset in at.items():
        if name.startswith("L_"):
            np.testing.assert_allclose(at["R" + name[1:]], offset * [-1, 1, 1], atol=2e-3)


def test_landmarks_are_found_by_place_whatever_the_numbers_of_the_vertices():
    order = np.random.default_rng(0).permutation(len(builtin_body().v_template))
    columns = {"v_template", "shapedirs", "posedirs", "lbs_weights"}
    renumbered = replace(
        builtin_body(),
        **{name: getattr(builtin_body(), name)[order] for name in columns},
        J_regressor=builtin_body().J_regressor[:, order],
        joint_regressor=builtin_body().joint_regressor[:, order],
        faces=np.argsort(order)[builtin_body().faces],
    )
    for name, offset in offsets(builtin_body()).items():
        np.testing.assert_allclose(offsets(renumbered)[name], offset, atol=1e-9)


# --- the body


def poses(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    return (torch.as_tensor(rng.normal(0, s, (count, n)), dtype=torch.float32) for s, n in ((0.3, 72), (1, 10)))


def test_the_flexible_body_without_proportions_is_the_coarse_body_about_the_hips():
    pose, betas = poses()
    flexible = FlexibleBody(builtin_body(), every_hundredth())
    shape = torch.cat([betas, torch.zeros(len(betas), len(PROPORTIONS))], dim=1)
    joints, (mesh,), world = flexible.pose(axis_angle_to_matrix(pose.unflatten(1, (-1, 3))), shape)
    still = np.zeros((len(pose), 3))
    (expected,) = CoarseBody(builtin_body(), every_hundredth())(pose.numpy(), betas.numpy(), still)
    shift = expected - mesh.numpy()
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1], shift.shape), atol=2e-6)
    # the shift is the middle of the Human3.6M hips, carried by the root
    rest = builtin_body().v_template + np.einsum("vcs,ns->nvc", builtin_body().shapedirs, betas.numpy())
    hips = np.einsum(
        "v,nvc->nc",
        builtin_body().joint_regressor[[HUMAN36M_17.names.index(n) for n in ("L_Hip", "R_Hip")]].mean(0),
        rest,
    )
    root = np.einsum("v,nvc->nc", builtin_body().J_regressor[0], rest)
    turned = np.einsum("nij,nj->ni", world[:, 0].double().numpy(), hips - root)
    np.testing.assert_allclose(shift[:, 0], root + turned, atol=2e-6)
    # the joints are those of the regressor
    (expected,) = CoarseBody(builtin_body(), [csr_matrix(builtin_body().joint_regressor)])(
        pose.numpy(), betas.numpy(), still
    )
    np.testing.assert_allclose(joints, expected - shift[:, :1], atol=2e-6)


def test_a_body_without_a_regressor_of_its_own_gives_no_joints():
    pose, betas = poses()
    body = replace(builtin_body(), joint_regressor=None)
    shape = torch.cat([betas, torch.zeros(len(betas), len(PROPORTIONS))], dim=1)
    posed = FlexibleBody(body, every_hundredth()).pose(axis_angle_to_matrix(pose.unflatten(1, (-1, 3))), shape)
    assert posed.joints is None
    assert len(posed.meshes) == 1


def test_landmarks_turn_with_the_person_and_keep_their_distance_from_their_joint():
    pose, betas = poses()
    flexible = FlexibleBody(builtin_body(), every_hundredth())
    shape = torch.cat([betas, torch.zeros(len(betas), len(PROPORTIONS))], dim=1)
    rotations = axis_angle_to_matrix(pose.unflatten(1, (-1, 3)))
    joints = torch.randn(len(pose), 17, 3, generator=torch.Generator().manual_seed(0))
    turn = axis_angle_to_matrix(torch.tensor([0.3, -1.2, 0.5]))
    found = flexible.landmarks(joints, flexible.pose(rotations, shape).world, shape)
    rotations[:, 0] = turn @ rotations[:, 0]
    turned = flexible.landmarks(joints @ turn.T, flexible.pose(rotations, shape).world, shape)
    torch.testing.assert_close(turned, found @ turn.T, rtol=0, atol=1e-5)
