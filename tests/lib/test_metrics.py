import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lib.metrics import auc, mpjpe, n_mpjpe, pa_mpjpe, pck, procrustes_align, velocity_errors
from tests.plain.metrics import plain_mpjpe, plain_n_mpjpe, plain_pa_mpjpe


@pytest.fixture
def poses():
    """Predictions and targets (20, 17, 3) in millimetres, about 100 mm apart, roots apart, too."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=(20, 17, 3)) * 300
    return target + rng.normal(size=target.shape) * 60 + rng.normal(size=(20, 1, 3)) * 500, target


def test_mpjpe_of_a_worked_example():
    target = np.array([[[0, 0, 0], [100, 0, 0], [0, 200, 0]]], dtype=float)
    pred = np.array([[[10, 10, 10], [113, 14, 10], [10, 210, 22]]], dtype=float)
    # Root-relative prediction: (0,0,0), (103,4,0), (0,200,12). Off by 0, sqrt(3^2 + 4^2) = 5, 12.
    errors = mpjpe(pred, target)
    assert errors.tolist() == [[0, 5, 12]]
    assert errors.mean() == pytest.approx(17 / 3)  # the root's zero counts


def test_another_joint_may_be_the_root():
    target = np.zeros((1, 2, 3))
    pred = np.array([[[0, 0, 0], [3, 4, 0]]], dtype=float)
    assert mpjpe(pred, target).tolist() == [[0, 5]]
    assert mpjpe(pred, target, root=1).tolist() == [[5, 0]]


def test_pa_mpjpe_of_a_worked_example():
    # A square of half-diagonal 1 and one whose second diagonal is 3 times as long: nothing to turn or shift.
    # Best scale: sum x.y / sum x.x = (1 + 1 + 3 + 3) / 4 = 2, so points at 2 stand against points at 1 and at 3.
    pred = np.array([[[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]], dtype=float)
    target = np.array([[[1, 0, 0], [-1, 0, 0], [0, 3, 0], [0, -3, 0]]], dtype=float)
    assert pa_mpjpe(pred, target)[0].tolist() == pytest.approx([1, 1, 1, 1])


def test_n_mpjpe_of_a_worked_example():
    # best scale: sum x.y / sum x.x = (1 * 2 + 1 * 4) / 2 = 3, so 3 stands against 2 and 4; a mirrored pose scales to nothing
    pred = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 0, 0], [-1, 0, 0], [0, -1, 0]], np.zeros((3, 3))], float)
    target = np.array([[[0, 0, 0], [2, 0, 0], [0, 4, 0]]] * 3, float)
    assert n_mpjpe(pred, target).tolist() == [[0, 1, 1], [0, 2, 4], [0, 2, 4]]


def test_errors_equal_the_plain_loops(poses):
    assert np.allclose(mpjpe(*poses), plain_mpjpe(*poses), rtol=1e-12)
    assert np.allclose(mpjpe(*poses, root=8), plain_mpjpe(*poses, root=8), rtol=1e-12)
    assert np.allclose(pa_mpjpe(*poses), plain_pa_mpjpe(*poses), rtol=1e-9)
    assert np.allclose(n_mpjpe(*poses), plain_n_mpjpe(*poses), rtol=1e-6)


def test_pa_mpjpe_ignores_a_similarity_transform_of_the_prediction(poses):
    pred, target = poses
    rotations = Rotation.random(len(pred), random_state=1).as_matrix()
    moved = 2.7 * pred @ rotations.transpose(0, 2, 1) + np.array([1e3, -2e3, 3e3])
    assert np.allclose(pa_mpjpe(moved, target), pa_mpjpe(pred, target), rtol=1e-9)
    assert np.allclose(pa_mpjpe(0.01 * target @ rotations, target), 0, atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pa_mpjpe_does_not_forgive_a_reflection(poses, axis):
    _, target = poses
    mirrored = target.copy()
    mirrored[..., axis] *= -1
    assert (pa_mpjpe(mirrored, target).mean(1) > 50).all()
    assert np.allclose(pa_mpjpe(mirrored, target), plain_pa_mpjpe(mirrored, target), rtol=1e-9)


def test_pa_mpjpe_is_the_best_of_all_similarities_near_it(poses):
    pred, target = poses
    aligned = procrustes_align(pred, target)
    best = ((aligned - target) ** 2).sum((1, 2))
    centre = aligned.mean(1, keepdims=True)
    rng = np.random.default_rng(2)
    for _ in range(50):
        turn = Rotation.from_rotvec(rng.normal(size=(len(pred), 3)) * 0.02).as_matrix()
        scale, shift = 1 + rng.normal() * 0.02, rng.normal(size=(len(pred), 1, 3))
        other = scale * (aligned - centre) @ turn + centre + shift
        assert (((other - target) ** 2).sum((1, 2)) >= best).all()


def test_mpjpe_ignores_a_shift_and_nothing_else(poses):
    pred, target = poses
    assert np.allclose(mpjpe(pred + [1.0, 2.0, 3.0], target), mpjpe(pred, target))
    assert (mpjpe(1.1 * target, target)[:, 1:] > 0).all()


@pytest.mark.parametrize("metric", [mpjpe, pa_mpjpe])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-2)])
def test_torch_and_numpy_agree_and_each_gets_its_own_kind_back(poses, metric, dtype, tolerance):
    pred, target = (torch.tensor(p, dtype=dtype) for p in poses)
    result = metric(pred, target)
    assert isinstance(result, torch.Tensor)
    assert result.dtype == dtype
    assert isinstance(metric(*poses), np.ndarray)
    assert np.allclose(result, metric(*poses), atol=tolerance)


@pytest.mark.parametrize("metric", [mpjpe, pa_mpjpe])
def test_inputs_stay_as_they_were(poses, metric):
    copies = [p.copy() for p in poses]
    metric(*poses)
    assert all((a == b).all() for a, b in zip(poses, copies, strict=True))


@pytest.mark.parametrize("metric", [mpjpe, pa_mpjpe])
def test_no_poses_give_no_errors(metric):
    assert metric(np.zeros((0, 17, 3)), np.zeros((0, 17, 3))).shape == (0, 17)


def test_a_prediction_in_one_point_is_measured_from_the_centre_of_the_target(poses):
    _, target = poses
    errors = pa_mpjpe(np.full_like(target, 12.5), target)
    assert np.allclose(errors, np.linalg.norm(target - target.mean(1, keepdims=True), axis=2))


@pytest.mark.parametrize("flatten", [(2,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("who", ["prediction", "target", "both"])
def test_flat_straight_and_pointlike_poses_are_finite_and_no_worse_than_shifting_alone(poses, flatten, who):
    pred, target = (p.copy() for p in poses)
    for pose, name in ((pred, "prediction"), (target, "target")):
        if who in (name, "both"):
            pose[..., list(flatten)] = 0
    errors = pa_mpjpe(pred, target)
    assert np.isfinite(errors).all()
    shifted = pred - pred.mean(1, keepdims=True) + target.mean(1, keepdims=True)
    assert ((errors**2).sum(1) <= ((shifted - target) ** 2).sum((1, 2)) + 1e-9).all()


# ---- velocity


def test_velocity_error_of_a_worked_example():
    # Two recordings; the prediction lags behind in the first by (3, 4, 0) in one step, and is exact in the second.
    target = np.zeros((5, 1, 3))
    target[:, 0, 0] = [0, 10, 20, 0, 7]
    pred = target.copy()
    pred[1:3, 0] -= [3, 4, 0]
    errors, later = velocity_errors(pred, target, np.array([0, 0, 0, 1, 1]), np.array([4, 5, 6, 0, 1]))
    assert errors.tolist() == [[5], [0], [0]]
    assert later.tolist() == [1, 2, 4]


def test_only_frames_that_follow_each_other_in_one_sequence_have_a_velocity_in_any_order_of_rows():
    rng = np.random.default_rng(0)
    sequences, frames = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 3, 4, 5, 50])
    pred, target = rng.normal(size=(6, 3, 3)), rng.normal(size=(6, 3, 3))
    errors, later = velocity_errors(pred, target, sequences, frames)
    assert later.tolist() == [1, 4]
    order = rng.permutation(6)
    shuffled, rows = velocity_errors(pred[order], target[order], sequences[order], frames[order])
    assert order[rows].tolist() == [1, 4]
    np.testing.assert_array_equal(shuffled, errors)


def test_no_samples_and_single_frames_have_no_velocity():
    for count in (0, 1):
        errors, later = velocity_errors(*np.zeros((2, count, 17, 3)), np.zeros(count, int), np.zeros(count, int))
        assert errors.shape == (0, 17)
        assert later.shape == (0,)


def test_pck_counts_errors_strictly_below_the_threshold():
    assert pck(np.array([[0.0, 149.9], [150.0, 300.0]]), 150) == 0.5
    assert pck(torch.tensor([150.0, 10.0]), 150) == 0.5


def test_auc_is_the_mean_over_its_thresholds():
    errors = np.array([0.0, 7.0, 200.0])
    assert auc(errors, [0, 5, 10]) == pytest.approx((0 + 1 / 3 + 2 / 3) / 3)
