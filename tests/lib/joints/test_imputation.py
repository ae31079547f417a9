import numpy as np
import pytest

from lib.errors import UserError
from lib.joints import HUMAN36M_17
from lib.joints.imputation import (
    BODY_RULES,
    MAX_STEP,
    MIN_JOINTS,
    frame_ranges,
    impute_from_body,
    impute_from_time,
    impute_missing,
)

FPS = 25
H = {name: i for i, name in enumerate(HUMAN36M_17.names)}

# An upright person: x to the picture's right, y down; left joints at larger x.
STANDING = {
    "Pelvis": (100, 100), "R_Hip": (90, 100), "R_Knee": (88, 140), "R_Ankle": (88, 180), "L_Hip": (110, 100),
    "L_Knee": (112, 140), "L_Ankle": (112, 180), "Torso": (100, 80), "Neck": (100, 60), "Nose": (100, 45),
    "Head": (100, 30), "L_Shoulder": (116, 60), "L_Elbow": (120, 80), "L_Wrist": (122, 100), "R_Shoulder": (84, 60),
    "R_Elbow": (80, 80), "R_Wrist": (78, 100),
}  # fmt: skip


def standing(frames: int) -> np.ndarray:
    return np.tile(np.array([STANDING[n] for n in HUMAN36M_17.names], np.float64), (frames, 1, 1))


def test_complete_people_are_unchanged_and_unmarked():
    xy = standing(3)
    out, imputed = impute_missing(xy, np.arange(3), FPS)
    assert (out == xy).all()
    assert not imputed.any()


def test_a_short_gap_is_bridged_on_a_straight_line_by_frame_number():
    xy = standing(3)
    frames = np.array([10, 13, 14])
    xy[0, H["Nose"]], xy[1, H["Nose"]], xy[2, H["Nose"]] = (100, 40), np.nan, (108, 60)
    out, imputed = impute_missing(xy, frames, FPS)
    assert out[1, H["Nose"]].tolist() == [106, 55]  # 3/4 of the way: 100 + 0.75 * 8, 40 + 0.75 * 20
    assert imputed[1, H["Nose"]]
    assert imputed.sum() == 1


def test_inputs_are_not_changed():
    xy = standing(3)
    xy[1, 5] = np.nan
    for out in (
        impute_missing(xy, np.arange(3), FPS)[0],
        impute_from_time(xy, np.arange(3), FPS),
        impute_from_body(xy),
    ):
        assert np.isfinite(out).all()
        assert np.isnan(xy[1, 5]).all()


def bridged(frames: np.ndarray, fps: float, first: int, last: int) -> bool:
    """Whether a wrist that moves steadily and is missing in these rows comes from a straight line, in all rows or in none."""
    xy = standing(len(frames))
    xy[:, H["L_Wrist"], 0] += frames  # the body rule would give a constant x
    line = xy[first : last + 1, H["L_Wrist"]].copy()
    xy[first : last + 1, H["L_Wrist"]] = np.nan
    out, _ = impute_missing(xy, frames, fps)
    on_line = np.isclose(out[first : last + 1, H["L_Wrist"]], line).all(1)
    assert len(set(on_line.tolist())) == 1
    return bool(on_line[0])


@pytest.mark.parametrize(
    ("fps", "step"),
    [(25, 1), (100, 1), (240, 1), (10, 1), (2.5, 1), (100, 4), (125, 5)],
    ids=lambda value: f"{value:g}",
)
def test_the_same_time_is_bridged_at_every_frame_rate_and_by_sparse_frame_numbers_too(fps, step):
    longest = round(0.4 * fps / step)  # frames without the wrist, 0.4 s
    frames = 70 + step * np.arange(longest + 6)
    assert bridged(frames, fps, 2, 1 + longest)
    assert not bridged(frames, fps, 2, 2 + longest)


@pytest.mark.parametrize(("fps", "step"), [(2, 1), (1 / MAX_STEP, 1), (25, 15)], ids=lambda value: f"{value:g}")
def test_at_low_rates_one_missing_frame_is_bridged_and_no_two(fps, step):
    frames = step * np.arange(6)
    assert bridged(frames, fps, 2, 2)
    assert not bridged(frames, fps, 2, 3)


@pytest.mark.parametrize(("fps", "step"), [(1, 1), (25, 1000)])
def test_frames_so_far_apart_that_the_body_knows_as_much_are_not_bridged(fps, step):
    assert not bridged(step * np.arange(6), fps, 2, 2)


@pytest.mark.parametrize(
    ("missing", "joint", "expected"),
    [
        (["R_Wrist"], "R_Wrist", (82, 100)),  # R_Elbow (80, 80) + L_Wrist - L_Elbow = (2, 20)
        (["L_Hip"], "L_Hip", (110, 100)),  # 2 * (100, 100) - (90, 100)
        (["L_Hip", "Pelvis", "Torso"], "L_Hip", (122, 100)),  # R_Hip + L_Shoulder - R_Shoulder = 90 + 32
        (["Head"], "Head", (100, 30)),  # 2 * 45 - 60
        (["Nose"], "Nose", (100, 45)),  # (60 + 30) / 2
        (["Torso", "Pelvis"], "Torso", (100, 80)),  # the hips give the pelvis, pelvis and neck the torso
        (["R_Hip", "R_Knee", "R_Ankle"], "R_Ankle", (92, 180)),  # hip 90, knee 90 + 2, ankle 92 + 0
    ],
)
def test_body_rules_worked_examples(missing, joint, expected):
    xy = standing(1)
    xy[0, [H[n] for n in missing]] = np.nan
    out, imputed = impute_missing(xy, np.array([0]), FPS)
    assert out[0, H[joint]].tolist() == list(expected)
    assert [HUMAN36M_17.names[j] for j in np.flatnonzero(imputed[0])] == sorted(missing, key=H.get)


@pytest.mark.parametrize("joint", BODY_RULES)
def test_every_single_joint_can_be_filled_and_rules_commute_with_shifts(joint):
    xy = standing(1)
    xy[0, H[joint]] = np.nan
    out, _ = impute_missing(xy, np.array([0]), FPS)
    moved, _ = impute_missing(xy + [5, -3], np.array([0]), FPS)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(moved, out + [5, -3])


def test_mirroring_the_person_mirrors_what_is_filled():
    xy = standing(1)
    xy[0, [H[n] for n in ("R_Shoulder", "R_Elbow", "L_Knee")]] = np.nan
    out, _ = impute_missing(xy, np.array([0]), FPS)
    flip = HUMAN36M_17.flip_permutation
    mirrored, _ = impute_missing(xy[:, flip] * [-1, 1], np.array([0]), FPS)
    np.testing.assert_allclose(mirrored, out[:, flip] * [-1, 1])


def test_frames_with_too_few_joints_are_refused_by_number():
    xy = standing(40)
    seen = np.isin(
        range(17), [H[n] for n in HUMAN36M_17.names[7:]][: MIN_JOINTS - 1]
    )  # no legs, no pelvis, no right arm
    xy[5:30, ~seen] = np.nan
    with pytest.raises(
        UserError, match=r"fewer than 8 of 17 joints are seen, .* in frames 5-29; skip .* --min-joints N"
    ):
        impute_missing(xy, np.arange(40), FPS)
    impute_missing(xy, np.arange(40), FPS, MIN_JOINTS - 1)
    xy[5:30, H["R_Elbow"]] = STANDING["R_Elbow"]
    impute_missing(xy, np.arange(40), FPS)


@pytest.mark.parametrize("missing", [("Ankle",), ("Knee", "Ankle"), ("Hip", "Knee", "Ankle")])
def test_legs_that_are_never_seen_come_from_a_plausible_pose_below_the_body(missing):
    xy = standing(3)
    gone = [H[f"{s}_{n}"] for s in "LR" for n in missing] + ([H["Pelvis"], H["Torso"]] if "Hip" in missing else [])
    xy[:, gone] = np.nan
    out, imputed = impute_missing(xy, np.arange(3), FPS)
    assert np.isfinite(out).all()
    assert imputed[:, gone].all()
    assert imputed.sum() == 3 * len(gone)
    known = np.setdiff1d(range(17), gone)
    assert (out[:, known] == standing(1)[0, known]).all()
    assert np.abs(out[0, gone] - standing(1)[0, gone]).max() < 25  # the person is 150 px tall
    assert out[0, H["L_Ankle"], 0] > out[0, H["R_Ankle"], 0]


def test_frame_ranges_are_short_text():
    assert frame_ranges(np.array([3])) == "frame 3"
    assert frame_ranges(np.arange(-10, 20)) == "frames -10 to 19"
    assert frame_ranges(np.array([3, 7, 8, 9])) == "frames 3, 7-9"
    assert frame_ranges(np.arange(0, 20, 2)) == "frames 0, 2, 4, 6, 8 and 5 more"
