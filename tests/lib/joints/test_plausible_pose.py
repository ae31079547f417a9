import numpy as np
import pytest

from lib.joints import HUMAN36M_17
from lib.joints.conversion import convert_joints
from lib.joints.plausible_pose import MIN_KNOWN, PlausiblePose, learn, plausible_pose, save
from tests.stick_person import detections

FLIP = HUMAN36M_17.flip_permutation
PEOPLE = np.concatenate([convert_joints(person, "human36")[0] for person in detections(HUMAN36M_17)])
PEOPLE = PEOPLE[np.isfinite(PEOPLE).all((1, 2))]


def upper_body(xy: np.ndarray) -> np.ndarray:
    out = xy.copy()
    out[:, :8] = np.nan  # pelvis, legs, torso
    return out


def test_conditional_mean_worked_example():
    """Four joints on a line, uncorrelated but for the last two in x: the last follows what the third does."""
    covariance = np.eye(8)
    covariance[4, 6] = covariance[6, 4] = 0.5
    line = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    # All joints fit the mean moved by (10, 20) and doubled, so the last is exactly there: 10 + 2 * 3.
    seen = line * 2 + [10, 20]
    seen[3] = np.nan
    np.testing.assert_allclose(PlausiblePose(line, covariance).complete(seen[None])[0, 3], [16, 20], atol=1e-9)
    # Residuals of a least-squares line through x = 10, 12, 14 + 3: 0.5, -1, 0.5; half of the third's is added.
    seen[2, 0] += 3
    # s = 3.5, t = 9.5 (regression), so 9.5 + 3.5 * 3 + 0.5 * 0.5
    np.testing.assert_allclose(PlausiblePose(line, covariance).complete(seen[None])[0, 3], [20.25, 20], atol=1e-9)


def test_what_is_seen_is_unchanged_and_the_rest_lands_near_the_truth():
    out = plausible_pose().complete(upper_body(PEOPLE))
    assert (out[:, 8:] == PEOPLE[:, 8:]).all()
    size = np.ptp(PEOPLE[..., 1], axis=1)[:, None]
    assert (np.linalg.norm(out - PEOPLE, axis=-1) / size)[:, :8].mean() < 0.1  # of the person: legs swing by more


def test_completion_goes_along_with_place_size_and_mirroring():
    part, pose = upper_body(PEOPLE), plausible_pose()
    whole = pose.complete(part)
    np.testing.assert_allclose(pose.complete(part * 3 + [10, -7]), whole * 3 + [10, -7])
    # The file is single precision.
    np.testing.assert_allclose(pose.complete((part * [-1, 1])[:, FLIP]), (whole * [-1, 1])[:, FLIP], atol=0.1)


def test_people_upside_down_get_their_legs_above():
    out = plausible_pose().complete(-upper_body(PEOPLE))
    np.testing.assert_allclose(out, -plausible_pose().complete(upper_body(PEOPLE)), atol=1e-6)


def test_too_few_joints_say_nothing():
    xy = PEOPLE[:1].copy()
    xy[:, MIN_KNOWN - 1 :] = np.nan
    assert np.isnan(plausible_pose().complete(xy)[:, MIN_KNOWN - 1 :]).all()
    assert plausible_pose().distance(xy).tolist() == [np.inf]


def test_people_are_near_whatever_their_size_and_scrambled_joints_are_far():
    pose = plausible_pose()
    near = pose.distance(PEOPLE)
    assert near.max() < 2
    np.testing.assert_allclose(pose.distance(PEOPLE * 5 + 100), near)
    np.testing.assert_allclose(pose.distance(-PEOPLE), near)  # upside down
    assert pose.distance(PEOPLE[:, np.random.default_rng(0).permutation(17)]).min() > 2 * near.max()
    assert pose.distance(np.full((1, 17, 2), 5.0)).tolist() == [np.inf]


def test_learning_recovers_a_known_gaussian_and_saving_keeps_it(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(17, 2))
    poses = (mean + rng.normal(0, 0.05, (20_000, 17, 2))) * rng.uniform(1, 9, (20_000, 1, 1)) + 50
    found = learn(poses, 0.1)
    centred = mean - mean.mean(0)
    size = np.sqrt((centred**2).sum(-1).mean())
    np.testing.assert_allclose(found.mean, centred / size, atol=0.01)
    # 0.05 over the size, less what centring takes away, and the detection noise of 0.1
    assert np.diag(found.covariance).mean() == pytest.approx((0.05 / size) ** 2 * 16 / 17 + 0.01, rel=0.05)
    save(found, tmp_path / "a.npz")
    monkeypatch.setattr("lib.joints.plausible_pose.FILE", tmp_path / "a.npz")
    np.testing.assert_allclose(plausible_pose.__wrapped__().covariance, found.covariance, atol=1e-7)
