from functools import cache

import numpy as np
import pytest
import torch

from lib.joints import HUMAN36M_17, JOINT_SETS
from lib.joints.conversion import convert_joints
from lib.joints.imputation import impute_from_body
from lib.training.detector import (
    DETECTED_SETS,
    KEYPOINTS,
    Detector,
    DetectorErrors,
    conversion_matrices,
    conversion_matrix,
    detect,
    keypoint_sources,
)
from tests.people_table import maker_of, people_table

LANDMARKS = ("Nose", "L_Eye", "R_Eye", "L_Ear", "R_Ear", "L_Hip", "R_Hip") + tuple(
    f"{side}_{part}" for side in "LR" for part in ("BigToe", "SmallToe", "Heel")
)
FAULTLESS = DetectorErrors(std=0, quality=0, coarse=0, legs=0, arms=0, all=0, pulled=0, outlier=0, missing=0)
COUNT = 20_000
RNG = np.random.default_rng(2)
JOINTS = torch.as_tensor(RNG.normal(0, 0.3, (17, 2)), dtype=torch.float32).expand(COUNT, 17, 2)
POINTS = torch.as_tensor(RNG.normal(0, 0.3, (len(LANDMARKS), 2)), dtype=torch.float32).expand(COUNT, len(LANDMARKS), 2)
K = {name: i for i, name in enumerate(KEYPOINTS)}


def detector(**errors) -> Detector:
    return Detector(LANDMARKS, "cpu", DetectorErrors(**{**vars(FAULTLESS), **errors}))


@cache
def keypoints() -> torch.Tensor:
    """(COUNT, K, 2) where they are."""
    return detector().sources @ torch.cat([JOINTS, POINTS], dim=1)


def misplaced(seed: int = 0, **errors) -> torch.Tensor:
    """(COUNT, K) how far each keypoint is from its place, over the larger side of the joints' box."""
    found = detector(**errors).misplace(keypoints(), JOINTS, torch.Generator().manual_seed(seed))
    return (found - keypoints()) / (JOINTS[0].amax(0) - JOINTS[0].amin(0)).max()


# --- conversion


@pytest.mark.parametrize("joint_set", DETECTED_SETS)
@pytest.mark.parametrize("missing", [(), ("L_Wrist",), ("R_Elbow", "R_Wrist"), ("Ear",), ("Nose", "Eye"), ("L_Hip",)])
def test_the_matrix_of_a_convention_is_conversion_and_imputation(joint_set, missing):
    names = JOINT_SETS[joint_set].names
    xy = np.random.default_rng(0).normal(0, 100, (20, len(names), 2))
    hidden = [any(name == m or name.endswith("_" + m) for m in missing) for name in names]
    scores = np.where(hidden, 0.0, 1.0)
    detected = np.concatenate([xy, np.broadcast_to(scores, xy.shape[:2])[..., None]], axis=2)
    expected = impute_from_body(convert_joints(detected, joint_set)[0])
    everything = np.full((20, len(KEYPOINTS), 2), 1e6)  # keypoints that the convention lacks must not matter
    everything[:, [K[name] for name in names]] = np.where(np.array(hidden)[:, None], 1e6, xy)
    np.testing.assert_allclose(conversion_matrix(joint_set, missing) @ everything, expected, atol=1e-9)


def test_all_joints_follow_whatever_gets_lost_and_move_with_the_image():
    for matrices in conversion_matrices():
        assert np.isfinite(matrices).all()
        np.testing.assert_allclose(matrices.sum(2), 1, atol=1e-12)


def test_both_sides_get_lost_alike():
    _, partial = conversion_matrices()
    flip = HUMAN36M_17.flip_permutation
    partner = [K[{"L_": "R_", "R_": "L_"}.get(n[:2], n[:2]) + n[2:]] for n in KEYPOINTS]
    left, right = partial[0::2], partial[1::2]
    np.testing.assert_allclose(left[:, flip][:, :, partner], right, atol=1e-12)


def test_a_detector_without_errors_gives_the_converted_landmarks():
    found = detector()(JOINTS, POINTS, torch.Generator().manual_seed(0))
    coco = keypoints()[0, [K[name] for name in JOINT_SETS["coco"].names]].double().numpy()
    expected, _ = convert_joints(coco, "coco")
    same = np.abs(found.numpy() - expected).max((1, 2)) < 1e-5
    assert 0.64 < same.mean() < 0.69  # two of three: without eyes and ears missing, BODY_25 gives what COCO gives
    j = HUMAN36M_17.names.index("L_Hip")
    np.testing.assert_allclose(found[:, j], POINTS[:, LANDMARKS.index("L_Hip")], atol=1e-6)


def test_keypoints_are_landmarks_where_there_are_some_and_joints_elsewhere():
    sources = keypoint_sources(LANDMARKS)
    names = (*HUMAN36M_17.names, *(f"surface {name}" for name in LANDMARKS))

    def used(keypoint):
        row = sources[K[keypoint]]
        return {names[i]: row[i] for i in np.flatnonzero(row)}

    assert used("Nose") == {"surface Nose": 1}
    assert used("L_Knee") == {"L_Knee": 1}
    assert used("Head") == {"Head": 1}
    assert used("Neck") == {"L_Shoulder": 0.5, "R_Shoulder": 0.5}
    assert used("Pelvis") == {"surface L_Hip": 0.5, "surface R_Hip": 0.5}


# --- errors


def test_the_ends_of_limbs_are_found_least_exactly():
    std = misplaced(std=0.01).std((0, 2))
    assert std[K["R_Shoulder"]] == pytest.approx(0.009, rel=0.05)
    assert std[K["L_Wrist"]] > std[K["L_Elbow"]] > std[K["Nose"]]
    assert std[K["L_Ankle"]] > std[K["L_Knee"]]


def test_some_images_are_worse_than_others_and_some_joints_are_far_off():
    plain, uneven, coarse = (misplaced(std=0.01, **more) for more in ({}, {"quality": 0.6}, {"coarse": 0.05}))

    def spread_between_images(error):
        return torch.log(error.norm(dim=-1).square().mean(1)).std()

    assert spread_between_images(uneven) > 2 * spread_between_images(plain)
    far = (coarse[:, K["L_Knee"]].norm(dim=-1) > 0.045).float().mean()
    assert (plain[:, K["L_Knee"]].norm(dim=-1) > 0.045).float().mean() < 1e-3
    assert far == pytest.approx(0.05 * np.exp(-(4.5**2) / 2 / 16), rel=0.2)  # beyond 4.5 of a deviation of 4


@pytest.mark.parametrize(
    ("kind", "parts"), [("legs", ("Hip", "Knee", "Ankle")), ("arms", ("Shoulder", "Elbow", "Wrist"))]
)
def test_left_and_right_change_places_together(kind, parts):
    found = detector(**{kind: 0.1}).misplace(keypoints(), JOINTS, torch.Generator().manual_seed(0))
    swapped = {}
    for name in KEYPOINTS:
        moved = (found[:, K[name]] - keypoints()[:, K[name]]).norm(dim=-1) > 1e-6
        swapped[name] = moved
        expected = 0.1 if name.split("_")[-1] in parts else 0
        assert moved.float().mean() == pytest.approx(expected, abs=0.01)
    assert all(torch.equal(swapped[f"L_{part}"], swapped[f"R_{other}"]) for part in parts for other in parts)
    which = swapped[f"L_{parts[0]}"]
    torch.testing.assert_close(found[which][:, K[f"L_{parts[1]}"]], keypoints()[which][:, K[f"R_{parts[1]}"]])


def test_single_joints_are_found_on_the_other_limb():
    found = detector(pulled=0.05).misplace(keypoints(), JOINTS, torch.Generator().manual_seed(0))
    left, right = K["L_Wrist"], K["R_Wrist"]
    on_the_other = (found[:, left] - keypoints()[:, right]).norm(dim=-1) < 1e-6
    assert on_the_other.float().mean() == pytest.approx(0.05, abs=0.01)
    assert (found[:, K["L_Shoulder"]] == keypoints()[:, K["L_Shoulder"]]).all()


def test_outliers_are_anywhere_in_the_box():
    found = detector(outlier=0.1).misplace(keypoints(), JOINTS, torch.Generator().manual_seed(0))
    moved = (found - keypoints()).norm(dim=-1) > 1e-6
    assert moved.float().mean() == pytest.approx(0.1, abs=0.005)
    low, high = JOINTS[0].amin(0), JOINTS[0].amax(0)
    assert (found[moved] >= low - 1e-6).all()
    assert (found[moved] <= high + 1e-6).all()
    np.testing.assert_allclose(found[moved].mean(0), (low + high) / 2, atol=0.02)
    np.testing.assert_allclose(found[moved].std(0), (high - low) / 12**0.5, rtol=0.05)


def test_missing_keypoints_are_imputed_as_often_as_asked_for():
    found = detector(missing=0.4)(JOINTS, POINTS, torch.Generator().manual_seed(0))
    whole = [matrix @ keypoints()[0].double().numpy() for matrix in conversion_matrices()[0]]
    untouched = np.any([np.abs(found.numpy() - w).max((1, 2)) < 1e-4 for w in whole], axis=0)
    # some of what gets lost is not needed: an eye where the ears are there
    assert 0.6 < untouched.mean() < 0.85


def test_errors_follow_from_the_generator():
    errors = {"std": 0.01, "legs": 0.1, "outlier": 0.1, "missing": 0.5}

    def found(seed):
        return detector(**errors)(JOINTS[:50], POINTS[:50], torch.Generator().manual_seed(seed))

    assert torch.equal(found(1), found(1))
    assert not torch.equal(found(1), found(2))


def test_what_a_detector_finds_is_near_the_joints_in_the_image():
    table = people_table()
    found = detect(table, maker_of(table), "coco", seed=1)
    assert np.array_equal(found, detect(table, maker_of(table), "coco", seed=1))
    seen = table.pose3d + table.root[:, None]
    pixels = seen[..., :2] / seen[..., 2:] * table.camera[:, None, :2] + table.camera[:, None, 2:]
    box = np.ptp(pixels, axis=1).max(1)
    for name in ("L_Knee", "R_Wrist", "L_Shoulder"):
        j, k = JOINT_SETS["coco"].names.index(name), HUMAN36M_17.names.index(name)
        error = np.linalg.norm(found[:, j] - pixels[:, k], axis=1) / box
        assert 0.001 < np.median(error) < 0.03
