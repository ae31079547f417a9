from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.transform import Rotation

from lib.errors import UserError
from lib.graph.scales import build_scales
from lib.joints import HUMAN36M_17
from lib.lifting import body_fitter
from lib.lifting.body_fit import _PoseSolver
from lib.lifting.body_fitter import BodyFitter, build_fitter
from lib.lifting.body_points import BodyPoints
from lib.lifting.pose_prior import PosePrior, learn_pose_prior, load_pose_prior, save_pose_prior
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.rotations import rotation_vector
from lib.lifting.sequence_smoothing import smoothed
from lib.metrics import mpjpe
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer
from tests.bodies import tiny_body

LEVELS = 5
K, S = 24, 10
FRAMES = 12
EXACT = 3e-7  # precision of the betas where sizes are known


@pytest.fixture(scope="module")
def model():
    return tiny_body()


@pytest.fixture(scope="module")
def scales(model):
    return build_scales(HUMAN36M_17, model.faces, LEVELS)[1:]


@pytest.fixture(scope="module")
def coarse(model, scales):
    return CoarseBody(model, [sp.csr_matrix(model.joint_regressor), *(scale.pooling for scale in scales)])


@pytest.fixture(scope="module")
def fitter(model, scales):
    poolings = [scale.pooling for scale in scales]
    return BodyFitter(model, model.joint_regressor, poolings, betas_precision=EXACT)


def motion(seed=0, frames=FRAMES, betas=(1.5, -1.0)):
    """Pose (T, 72), upright in camera axes and turning, and betas (10,): limbs swing smoothly by up to 0.6 rad."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 2, frames)[:, None]
    pose = 0.3 * rng.normal(size=3 * K) * np.sin(3 * time + rng.uniform(0, 6, 3 * K))
    upright = Rotation.from_euler("x", 180, degrees=True)
    pose[:, :3] = (Rotation.from_euler("y", time * 40, degrees=True) * upright).as_rotvec()
    return pose, np.array([*betas, *np.zeros(S - len(betas))])


def sequence_of(coarse, scales, pose, betas, noise=0.0, **changes):
    """What a network would say of this body, with Gaussian noise in metres."""
    points = coarse(pose, np.tile(betas, (len(pose), 1)), np.zeros((len(pose), 3)))
    rng = np.random.default_rng(1)
    root = points[0][:, :1]
    pose3d, *meshes = (p - root + noise * rng.normal(size=p.shape) for p in points)
    return replace(
        PoseSequence(
            pose3d=pose3d,
            pose2d=pose3d[..., :2],
            joint_set=HUMAN36M_17,
            fps=25.0,
            image_size=(100, 100),
            meshes=tuple(meshes),
            faces=tuple(scale.faces for scale in scales),
        ),
        **changes,
    )


@pytest.fixture(scope="module")
def fit(coarse, scales, fitter):
    """Gaussian noise in metres -> the fitted sequence of `motion()`, each computed once; not to be changed."""
    return cache(lambda noise=0.0: fitter(sequence_of(coarse, scales, *motion(), noise=noise)))


def angles(pose, other):
    """(T, K) degrees between the rotations of two poses."""
    a, b = (Rotation.from_rotvec(p.reshape(-1, 3)) for p in (pose, other))
    return np.rad2deg((a.inv() * b).magnitude()).reshape(len(pose), K)


def limb_lengths(pose3d):
    a, b = np.array(HUMAN36M_17.bones).T
    return np.linalg.norm(pose3d[:, a] - pose3d[:, b], axis=-1)


def test_points_are_those_of_the_coarse_body_and_markers_ride_on_their_bones(coarse):
    points = BodyPoints(coarse, 17, dtype=torch.float64)
    pose, betas = motion()
    rotations = axis_angle_to_matrix(torch.as_tensor(pose).unflatten(1, (-1, 3)))
    plain = np.concatenate(coarse(pose, np.tile(betas, (len(pose), 1)), np.zeros((len(pose), 3))), axis=1)
    offsets = torch.as_tensor(np.random.default_rng(2).normal(0, 0.03, (17, 3)))
    nodes, _, world, _ = points(rotations, torch.cat([torch.as_tensor(betas), offsets.flatten()]))
    np.testing.assert_allclose(nodes[:, 17:].numpy(), plain[:, 17:], atol=1e-9)
    moved = (world[:, points.carrier] @ offsets[..., None]).squeeze(-1).numpy()
    np.testing.assert_allclose(nodes[:, :17].numpy() - moved, plain[:, :17], atol=1e-9)


def test_lever_arms_are_the_derivative_by_a_turn_of_each_joint(model, scales):
    stiff = replace(model, posedirs=0 * model.posedirs)  # the derivative leaves the pose blend shapes out
    coarse = CoarseBody(stiff, [sp.csr_matrix(model.joint_regressor), *(scale.pooling for scale in scales)])
    points = BodyPoints(coarse, 17, dtype=torch.float64)
    pose, betas = motion(frames=2)
    shape = torch.cat([torch.as_tensor(betas), 0.02 * torch.ones(51, dtype=torch.float64)])
    rotations = axis_angle_to_matrix(torch.as_tensor(pose).unflatten(1, (-1, 3)))
    nodes, arms, world, _ = points(rotations, shape)
    step = 1e-6
    for k in range(K):
        for axis in torch.eye(3, dtype=torch.float64):
            parent = world[:, points.parents[k]] if k else torch.eye(3, dtype=torch.float64).expand(2, 3, 3)
            turned = rotations.clone()
            turned[:, k] = axis_angle_to_matrix(parent.transpose(1, 2) @ (step * axis)) @ rotations[:, k]
            numeric = (points(turned, shape)[0] - nodes) / step
            analytic = torch.linalg.cross(axis.expand_as(numeric), arms[:, :, k])
            torch.testing.assert_close(numeric, analytic, atol=1e-5, rtol=0)


def test_points_are_linear_in_the_shape_with_the_given_derivative(coarse):
    points = BodyPoints(coarse, 17, dtype=torch.float64)
    pose, _ = motion(frames=2)
    rotations = axis_angle_to_matrix(torch.as_tensor(pose).unflatten(1, (-1, 3)))
    zero = torch.zeros(points.shape_size, dtype=torch.float64)
    nodes, _, world, _ = points(rotations, zero)
    derivative = points.by_shape(world)
    for column in range(points.shape_size):
        change = zero.clone()
        change[column] = 0.5
        torch.testing.assert_close(points(rotations, change)[0], nodes + 0.5 * derivative[..., column])


def test_a_posed_body_is_found_again(coarse, scales, model):
    pose, betas = motion()
    weak = PosePrior(np.tile(np.eye(3), (K - 1, 1, 1)), 1e-3 * np.eye(3 * (K - 1)))
    found = BodyFitter(model, model.joint_regressor, [scale.pooling for scale in scales], weak, betas_precision=EXACT)
    fitted = found(sequence_of(coarse, scales, pose, betas))
    assert fitted.body.residual.max() < 0.002
    limbs = [0, 1, 2, 4, 5, 16, 17, 18, 19]  # pelvis, hips, knees, shoulders, elbows
    assert angles(fitted.body.pose, pose)[:, limbs].mean() < 3
    np.testing.assert_allclose(fitted.body.betas[:2], betas[:2], atol=0.3)


def test_the_shipped_prior_leaves_plausible_poses_nearly_where_they_are(fit):
    assert fit().body.residual.mean() < 0.006


def test_the_vertices_of_the_body_lie_on_the_sequence(scales, fit, model):
    sequence = fit(0.01)
    fitted = sequence.body
    layer = SMPL_Layer(model, torch.float64)
    betas = np.tile(fitted.betas, (FRAMES, 1))
    vertices, _ = layer(*map(torch.as_tensor, (fitted.pose, betas, fitted.transl)))
    for scale, mesh in zip(scales, sequence.meshes, strict=True):
        np.testing.assert_allclose(scale.pooling @ vertices.numpy().transpose(1, 0, 2).reshape(len(vertices[0]), -1),
                                   mesh.transpose(1, 0, 2).reshape(mesh.shape[1], -1), atol=1e-4)  # fmt: skip


@pytest.mark.slow
def test_noise_is_lowered_not_raised_and_limbs_keep_their_length(coarse, scales, fitter):
    pose, betas = motion(frames=24)
    truth = sequence_of(coarse, scales, pose, betas)
    noisy = sequence_of(coarse, scales, pose, betas, noise=0.02)
    noisy = replace(noisy, pose3d=noisy.pose3d - noisy.pose3d[:, :1])
    fitted = fitter(noisy)
    before, after = (mpjpe(s.pose3d, truth.pose3d).mean() for s in (noisy, fitted))
    assert after < 0.8 * before
    assert limb_lengths(fitted.pose3d).std(0).max() < 0.3 * limb_lengths(noisy.pose3d).std(0).max()
    assert (np.linalg.norm(fitted.pose3d[:, 0], axis=-1) < 1e-9).all()


def test_joints_beside_the_regressors_are_followed_as_markers(coarse, scales, fitter):
    pose, betas = motion()
    truth = sequence_of(coarse, scales, pose, betas)
    world = fitter.points(axis_angle_to_matrix(torch.as_tensor(pose, dtype=torch.float32).unflatten(1, (-1, 3))),
                          torch.zeros(fitter.points.shape_size))[2]  # fmt: skip
    offsets = np.random.default_rng(4).normal(0, 0.02, (17, 3, 1)) * (np.arange(17) > 0)[:, None, None]
    beside = (world[:, fitter.points.carrier].double().numpy() @ offsets).squeeze(-1)
    shifted = replace(truth, pose3d=truth.pose3d + beside)
    fitted = fitter(shifted)
    assert mpjpe(truth.pose3d, shifted.pose3d).mean() > 0.02
    assert mpjpe(fitted.pose3d, shifted.pose3d).mean() < 0.01


def test_one_wild_joint_hardly_moves_the_rest(coarse, scales, fitter):
    pose, betas = motion()
    truth = sequence_of(coarse, scales, pose, betas)
    wild = truth.pose3d.copy()
    wrist = HUMAN36M_17.names.index("L_Wrist")
    wild[::6, wrist] += [0.0, 0.0, 1.0]
    fitted = fitter(replace(truth, pose3d=wild))
    assert np.linalg.norm(fitted.pose3d - truth.pose3d, axis=-1).max() < 0.05


def test_imputed_and_doubtful_joints_weigh_little(coarse, scales, fitter):
    truth = sequence_of(coarse, scales, *motion())
    wrist = HUMAN36M_17.names.index("L_Wrist")
    imputed = np.zeros((FRAMES, 17), bool)
    imputed[::2, wrist] = True
    scores = np.ones((FRAMES, 17))
    scores[::2, wrist] = 0.01
    weights = [fitter._weights(replace(truth, **c))[0] for c in ({}, {"imputed": imputed}, {"scores": scores})]
    assert weights[0].sum() == pytest.approx(1)
    for low in weights[1:]:
        assert low[wrist] <= 0.11 * weights[0][wrist]
        assert low[0] == weights[0][0]
    assert (weights[1] < weights[0])[17:].any()  # nodes near the wrist too


@pytest.mark.slow
def test_results_are_the_same_each_time_and_do_not_depend_on_other_people(coarse, scales, fitter, fit, model):
    first = fit(0.02)
    fitter(sequence_of(coarse, scales, *motion(seed=3), noise=0.02))
    sequence = sequence_of(coarse, scales, *motion(), noise=0.02)
    poolings = [scale.pooling for scale in scales]
    again = BodyFitter(model, model.joint_regressor, poolings, betas_precision=EXACT)(sequence)
    np.testing.assert_array_equal(first.body.pose, again.body.pose)
    np.testing.assert_array_equal(first.body.betas, again.body.betas)


@pytest.mark.parametrize("name", ["one frame", "lying", "upside down", "still", "everything imputed", "points at 0"])
def test_odd_clips_give_a_finite_body(coarse, scales, fitter, fit, name):
    pose, betas = motion()
    sequence = sequence_of(coarse, scales, pose, betas, noise=0.01)
    if name == "one frame":
        sequence = sequence.rows([3])
    elif name in ("lying", "upside down"):
        turn = Rotation.from_euler("x", 90 if name == "lying" else 180, degrees=True).as_matrix()
        sequence = replace(
            sequence, pose3d=sequence.pose3d @ turn.T, meshes=tuple(mesh @ turn.T for mesh in sequence.meshes)
        )
    elif name == "still":
        sequence = replace(sequence.rows([0] * 1), frames=np.array([7]))
    elif name == "everything imputed":
        sequence = replace(sequence, imputed=np.ones((FRAMES, 17), bool))
    else:
        sequence = replace(sequence, pose3d=0 * sequence.pose3d, meshes=tuple(0 * m for m in sequence.meshes))
    fitted = fitter(sequence)
    for values in (fitted.pose3d, fitted.body.pose, fitted.body.betas, fitted.body.residual):
        assert np.isfinite(values).all()
    if name in ("lying", "upside down"):
        assert fitted.body.residual.mean() < 0.025
        assert fitted.body.residual == pytest.approx(fit(0.01).body.residual, abs=0.002)


def test_a_pose_that_is_not_finite_is_refused_with_its_frames(coarse, scales, fitter):
    sequence = sequence_of(coarse, scales, *motion())
    sequence.pose3d[4:6, 3] = np.nan
    with pytest.raises(UserError, match="person 0: frames 4-5 hold NaN"):
        fitter(sequence)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"height": 0.0}, "height 0: must be 0.3 to 3 metres"),
        ({"height": 180.0}, "height 180: must be 0.3 to 3 metres"),
        ({"height": np.nan}, "height nan: must be 0.3 to 3 metres"),
        ({"smoothness": -1.0}, "smoothness -1: must be 0 or more seconds"),
        ({"smoothness": np.nan}, "smoothness nan: must be 0 or more seconds"),
    ],
)
def test_heights_and_smoothness_that_mean_nothing_are_refused(coarse, scales, fitter, options, words):
    with pytest.raises(UserError, match=words):
        fitter(sequence_of(coarse, scales, *motion()), **options)


def test_the_root_position_moves_with_the_fitted_pelvis(coarse, scales, fitter):
    sequence = sequence_of(coarse, scales, *motion(), noise=0.02, root=np.tile([0.0, 0.0, 4.0], (FRAMES, 1)))
    fitted = fitter(sequence)
    plain = fitter(replace(sequence, root=None))
    assert plain.root is None
    moved = fitted.root - sequence.root
    np.testing.assert_allclose(fitted.body.transl + moved, plain.body.transl + moved, atol=1e-12)
    assert 0 < np.linalg.norm(moved, axis=1).max() < 0.05
    # joints in space lie where the network's do, on average
    assert np.abs((fitted.pose3d + fitted.root[:, None] - sequence.pose3d - sequence.root[:, None]).mean()) < 0.005


def test_smoothing_comes_first_and_lowers_the_turning_of_joints(coarse, scales, fitter, fit):
    noisy = sequence_of(coarse, scales, *motion(), noise=0.02)
    shaky, calm = fit(0.02).body.pose, fitter(smoothed(noisy)).body.pose
    assert np.diff(calm[:, 3:], n=2, axis=0).std() < 0.8 * np.diff(shaky[:, 3:], n=2, axis=0).std()
    with pytest.raises(UserError, match="smooth before a body is fitted"):
        smoothed(fit(0.02))


def test_rows_of_a_sequence_keep_their_bodies(fit):
    fitted = fit()
    np.testing.assert_array_equal(fitted.rows([2, 5]).body.pose, fitted.body.pose[[2, 5]])
    with pytest.raises(ValueError, match="a body in 12 frames for 2"):
        replace(fitted.rows([2, 5]), body=fitted.body)


def test_the_body_must_be_the_one_behind_the_meshes(model, scales, monkeypatch, tmp_path):
    faces = tuple(scale.faces for scale in scales)
    other = replace(model, faces=model.faces[:, [1, 2, 0]][::-1].copy(), source="other")
    bodies = {"built-in": model, str(tmp_path): other}
    monkeypatch.setattr(body_fitter, "load_body", lambda folder: bodies[folder])
    assert build_fitter(faces, LEVELS, tmp_path, tmp_path / "none.npy").model is model
    cut = tuple(f[:-1] for f in faces)
    with pytest.raises(UserError, match="belong neither to the built-in body nor to other"):
        build_fitter(cut, LEVELS, tmp_path, tmp_path / "none.npy")
    with pytest.raises(UserError, match="this network has no meshes"):
        build_fitter((), LEVELS, tmp_path, tmp_path / "none.npy")

    def none_there(folder):
        if folder != "built-in":
            raise UserError(f"no SMPL model in {folder}")
        return model

    monkeypatch.setattr(body_fitter, "load_body", none_there)
    with pytest.raises(UserError, match="not trained on the built-in body: no SMPL model in"):
        build_fitter(cut, LEVELS, tmp_path, tmp_path / "none.npy")


def test_weights_trained_on_smpl_take_smpl_with_the_published_regressor(model, scales, monkeypatch, tmp_path):
    faces = tuple(scale.faces for scale in scales)
    smpl = replace(model, joint_regressor=None, source="SMPL.pkl")
    other = replace(model, faces=model.faces[:, [1, 2, 0]][::-1].copy())
    other = replace(other, faces=other.faces[:-40])
    bodies = {"built-in": other, str(tmp_path): smpl}
    monkeypatch.setattr(body_fitter, "load_body", lambda folder: bodies[folder])
    with pytest.raises(UserError, match=r"regressor\.npy is missing"):
        build_fitter(faces, LEVELS, tmp_path, tmp_path / "regressor.npy")
    np.save(tmp_path / "regressor.npy", model.joint_regressor)
    fitter = build_fitter(faces, LEVELS, tmp_path, tmp_path / "regressor.npy")
    assert fitter.model is smpl
    own = BodyFitter(model, model.joint_regressor, [scale.pooling for scale in scales])
    torch.testing.assert_close(fitter.points.folded, own.points.folded)


def test_a_prior_pulls_joints_towards_what_it_learned_where_nothing_is_seen(coarse, scales, model):
    bent = np.zeros((200, 3 * K))
    bent[:, 3 * 18] = np.random.default_rng(0).normal(0.8, 0.05, 200)
    prior = learn_pose_prior(bent)
    poolings = [scale.pooling for scale in scales]
    fitter = BodyFitter(model, model.joint_regressor, poolings, prior)
    sequence = sequence_of(coarse, scales, *motion())
    sequence = replace(sequence, imputed=np.ones((FRAMES, 17), bool), scores=np.zeros((FRAMES, 17)))
    weights = 1e-6 * fitter._weights(sequence)
    fitter._weights = lambda _: weights
    np.testing.assert_allclose(fitter(sequence).body.pose[:, 3 * 18], 0.8, atol=0.05)


def test_poses_that_nothing_holds_go_to_the_priors_mean_wherever_they_start(fitter):
    pose, _ = motion(frames=3)
    solver = _PoseSolver(fitter.points, fitter.prior)
    rotations = axis_angle_to_matrix(torch.as_tensor(pose, dtype=torch.float32).unflatten(1, (-1, 3)))
    target, weights = torch.zeros(3, fitter.points.count, 3), torch.full((3, fitter.points.count), 1e-9)
    shape = torch.zeros(fitter.points.shape_size)
    found, *_ = solver.solve(target, weights, shape, rotations, torch.zeros(3, 3))
    away, before = (
        rotation_vector(r[:, 1:] @ torch.as_tensor(fitter.prior.mean).transpose(-1, -2)).norm(dim=-1)
        for r in (found, rotations)
    )
    assert away.mean() < 0.8 * before.mean()


def test_a_learned_prior_has_the_mean_and_spread_of_the_poses_and_a_floor():
    rng = np.random.default_rng(0)
    poses = np.zeros((5000, 9))
    poses[:, 3] = rng.normal(0.5, 0.3, 5000)
    prior = learn_pose_prior(poses)
    mean = rotation_vector(torch.as_tensor(prior.mean)).numpy()
    np.testing.assert_allclose(mean, [[0.5, 0, 0], [0, 0, 0]], atol=0.02)
    spread = np.linalg.inv(prior.precision)
    np.testing.assert_allclose(np.sqrt(np.diag(spread)), [np.hypot(0.3, 0.1), *[0.1] * 5], rtol=0.05)


def test_a_prior_survives_its_file_and_a_damaged_one_is_refused(tmp_path):
    prior = learn_pose_prior(np.random.default_rng(0).normal(0, 0.3, (50, 9)))
    save_pose_prior(tmp_path / "p.npz", prior)
    again = load_pose_prior(tmp_path / "p.npz")
    for name in ("mean", "precision", "low", "high"):
        np.testing.assert_array_equal(getattr(again, name), getattr(prior, name).astype(np.float32))
    np.savez(tmp_path / "q.npz", mean=prior.mean, precision=prior.precision[:3], low=prior.low, high=prior.high)
    (tmp_path / "r.npz").write_bytes(b"no")
    for name in ("q.npz", "r.npz", "none.npz"):
        with pytest.raises(UserError, match="is not a pose prior"):
            load_pose_prior(tmp_path / name)


def test_the_shipped_prior_is_small_valid_and_of_the_bodies_joints():
    from lib.lifting.pose_prior import SHIPPED

    prior = load_pose_prior()
    assert SHIPPED.stat().st_size < 60_000
    assert len(prior.mean) == K - 1
    np.testing.assert_allclose(np.linalg.det(prior.mean), 1, atol=1e-4)
    assert np.linalg.eigvalsh(prior.precision.astype(np.float64)).min() > 0


def test_a_prior_for_another_body_is_refused(model, scales):
    prior = PosePrior(np.tile(np.eye(3), (2, 1, 1)), np.eye(6))
    with pytest.raises(UserError, match="prior is for 3 joints"):
        BodyFitter(model, model.joint_regressor, [scale.pooling for scale in scales], prior)


def knees(frames, degrees):
    pose = np.zeros((frames, 3 * K))
    pose[:, :3] = [np.pi, 0, 0]
    pose[:, 3 * 4] = pose[:, 3 * 5] = np.deg2rad(degrees)
    return pose, np.zeros(S)


@pytest.mark.slow
def test_a_knee_that_is_lifted_the_wrong_way_is_held_near_its_limit(coarse, scales, model):
    rng = np.random.default_rng(0)
    poses = np.zeros((500, 3 * K))
    poses[:, 3 * 4] = poses[:, 3 * 5] = rng.uniform(0, 1.5, 500)
    learned = learn_pose_prior(poses)
    free = PosePrior(learned.mean, 1e-3 * np.eye(3 * (K - 1)))
    limited = replace(free, low=learned.low, high=learned.high)
    wrong = sequence_of(coarse, scales, *knees(8, -40))
    bent = []
    for prior in (free, limited):
        fitter = BodyFitter(model, model.joint_regressor, [scale.pooling for scale in scales], prior)
        bent.append(np.rad2deg(fitter(wrong).body.pose[:, 3 * 4]).mean())
    assert bent[0] < -30
    assert bent[1] > -20
    right = sequence_of(coarse, scales, *knees(8, 60))
    fits = [BodyFitter(model, model.joint_regressor, [s.pooling for s in scales], p)(right) for p in (free, limited)]
    np.testing.assert_allclose(fits[0].body.pose, fits[1].body.pose, atol=1e-4)


@pytest.mark.slow
def test_a_smooth_fit_turns_less_jerkily_and_stays_nearer_to_the_truth(coarse, scales, fitter):
    pose, betas = motion(frames=60)
    noisy = sequence_of(coarse, scales, pose, betas, noise=0.03)
    truth = sequence_of(coarse, scales, pose, betas).pose3d
    rough, calm = fitter(noisy), fitter(noisy, smoothness=0.06)
    jerk = [np.diff(fitted.pose3d - truth, n=2, axis=0).std() for fitted in (rough, calm)]
    assert jerk[1] < 0.5 * jerk[0]
    assert mpjpe(calm.pose3d, truth).mean() < 0.95 * mpjpe(rough.pose3d, truth).mean()


@pytest.mark.slow
def test_a_smooth_fit_steadies_the_root_and_mends_a_short_flip(coarse, scales, fitter):
    steady = sequence_of(coarse, scales, *motion(frames=40))
    place = np.tile([0.0, 0.0, 4.0], (40, 1))
    seen = steady.pose3d + place[:, None]
    shaky = place + np.random.default_rng(0).normal(size=place.shape) * [0.0, 0.0, 0.08]
    flipped = (np.arange(40) >= 20) & (np.arange(40) < 22)
    turn = np.where(flipped, -1.0, 1.0)[:, None, None] * [1.0, 0.0, 1.0] + [0.0, 1.0, 0.0]
    shown = replace(
        steady,
        pose2d=seen[..., :2] / seen[..., 2:] * 1000 + 500,
        root=shaky,
        pose3d=steady.pose3d * turn,
        meshes=tuple(mesh * turn for mesh in steady.meshes),
    )
    rough, calm = fitter(shown), fitter(shown, smoothness=0.06)
    jumps = [np.abs(np.diff(fitted.root[:, 2])).mean() for fitted in (rough, calm)]
    assert jumps[1] < 0.1 * jumps[0]
    errors = [mpjpe(fitted.pose3d, steady.pose3d)[flipped].mean() for fitted in (rough, calm)]
    assert errors[1] < 0.3 * errors[0]


@pytest.mark.slow
def test_a_smooth_fit_leaves_a_steady_turn_alone_and_does_not_reach_across_a_pause(coarse, scales, fitter):
    pose, betas = knees(40, 0)
    pose[:, 3 * 4] = np.linspace(0.1, 1.5, 40)  # constant speed
    steady = sequence_of(coarse, scales, pose, betas)
    np.testing.assert_allclose(fitter(steady, smoothness=0.06).pose3d, fitter(steady).pose3d, atol=0.004)
    pose[:, 3 * 4] = np.where(np.arange(40) < 20, 0.1, 1.3)
    frames = np.arange(40) + 100 * (np.arange(40) >= 20)
    jump = sequence_of(coarse, scales, pose, betas, frames=frames)
    np.testing.assert_allclose(fitter(jump, smoothness=0.06).pose3d, fitter(jump).pose3d, atol=0.004)
    together = replace(jump, frames=np.arange(40))
    assert np.abs(fitter(together, smoothness=0.06).pose3d - fitter(together).pose3d).max() > 0.02


@pytest.mark.slow
def test_batches_of_a_smooth_fit_meet_without_a_seam(coarse, scales, fitter, monkeypatch):
    noisy = sequence_of(coarse, scales, *motion(frames=60), noise=0.02)
    whole = fitter(noisy, smoothness=0.04).pose3d
    monkeypatch.setattr("lib.lifting.body_fit.BATCH", 25)
    np.testing.assert_allclose(fitter(noisy, smoothness=0.04).pose3d, whole, atol=1e-3)


@pytest.mark.parametrize("height", [1.3, pytest.param(1.9, marks=pytest.mark.slow)])
def test_a_given_height_scales_everything(coarse, scales, model, height):
    fitter = BodyFitter(model, model.joint_regressor, [scale.pooling for scale in scales])
    sequence = sequence_of(coarse, scales, *motion(), root=np.tile([0.0, 0.0, 4.0], (FRAMES, 1)))
    own, fitted = fitter(sequence), fitter(sequence, height=height)
    assert fitted.body.height == pytest.approx(height, rel=0.005)
    scale = limb_lengths(fitted.pose3d).mean() / limb_lengths(own.pose3d).mean()
    assert scale == pytest.approx(height / own.body.height, rel=0.15)
    # the place moves along the line of sight with the size: the image stays
    assert fitted.root[:, 2].mean() / own.root[:, 2].mean() == pytest.approx(scale, rel=0.03)
