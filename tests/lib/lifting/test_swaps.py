"""Left and right exchanged back, on a real person's long step (asset/samples/lunge.npy) at 24 frames a second."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.joints import HUMAN36M_17, JOINT_SETS
from lib.lifting.keypoints.readers import Keypoints
from lib.lifting.lifter import Lifter
from lib.lifting.swaps import LIMBS, LiveSwaps, without_swaps
from lib.lifting.usable import prepare_usable

SIZE, FPS = (1280, 720), 24
LUNGE = np.load(Path(__file__).parents[3] / "asset" / "samples" / "lunge.npy")
NAMES = HUMAN36M_17.names


def person(xy: np.ndarray, frames: np.ndarray | None = None) -> Keypoints:
    xy = np.asarray(xy, np.float64)
    scores = np.linspace(0.5, 1, len(NAMES)) * np.isfinite(xy).all(-1)
    return Keypoints(3, np.arange(len(xy)) if frames is None else frames, xy, scores, "human36", SIZE, "clip")


def exchanged(k: Keypoints, rows, *limbs: str) -> Keypoints:
    """The keypoints of a detector that takes left for right in these rows."""
    xy, scores = k.xy.copy(), k.scores.copy()
    for limb in limbs or LIMBS:
        left, right = ([NAMES.index(f"{side}_{part}") for part in LIMBS[limb]] for side in "LR")
        for row in rows:
            xy[row, left + right] = k.xy[row, right + left]
            scores[row, left + right] = k.scores[row, right + left]
    return replace(k, xy=xy, scores=scores)


@pytest.mark.parametrize(
    ("rows", "limbs"),
    [
        (range(20, 30), ("legs", "arms")),
        ([30], ("legs",)),
        (range(10), ("arms",)),
        (range(50, 64), ("arms",)),
        ([10, 12, 30, 31, 32], ("arms",)),
    ],
)
def test_what_a_detector_exchanged_is_exchanged_back_with_its_scores(rows, limbs):
    right = person(LUNGE)
    mended, lines = without_swaps(exchanged(right, rows, *limbs), FPS)
    np.testing.assert_array_equal(mended.xy, right.xy)
    np.testing.assert_array_equal(mended.scores, right.scores)
    assert [line.split(" exchanged")[0] for line in lines] == [f"person 3: left and right {limb}" for limb in limbs]


def test_what_most_of_a_clip_says_is_right():
    mended, _ = without_swaps(exchanged(person(LUNGE), range(40), "arms"), FPS)
    np.testing.assert_array_equal(mended.xy, exchanged(person(LUNGE), range(64), "arms").xy)


def test_a_line_names_the_frames():
    k = replace(exchanged(person(LUNGE), range(20, 30), "legs"), frames=np.arange(100, 164))
    assert without_swaps(k, FPS)[1] == ["person 3: left and right legs exchanged in frames 120-129"]


def test_right_keypoints_stay_as_they_are_with_noise_and_missing_joints_too():
    noisy = LUNGE + np.random.default_rng(0).normal(0, 4, LUNGE.shape)
    noisy[np.random.default_rng(1).random(noisy.shape[:2]) < 0.2] = np.nan
    for k in (person(LUNGE), person(noisy), person(LUNGE[:1]), person(LUNGE[:2])):
        found, lines = without_swaps(k, FPS)
        assert found is k
        assert lines == []


def test_missing_joints_do_not_hide_an_exchange():
    xy = LUNGE.copy()
    xy[:, NAMES.index("L_Wrist")] = np.nan
    right = person(xy)
    mended, _ = without_swaps(exchanged(right, range(20, 30)), FPS)
    np.testing.assert_array_equal(mended.xy, right.xy)


def test_one_joint_of_a_limb_is_no_evidence():
    """A detector that finds of both arms the elbows alone may have found anything."""
    xy = LUNGE.copy()
    for part in ("Shoulder", "Wrist"):
        xy[:, [NAMES.index(f"{side}_{part}") for side in "LR"]] = np.nan
    assert without_swaps(exchanged(person(xy), range(20, 30), "arms"), FPS)[1] == []


def test_frames_that_do_not_follow_each_other_say_nothing():
    k = exchanged(person(LUNGE), range(20, 30))
    assert without_swaps(k, FPS)[1]
    assert without_swaps(replace(k, frames=3 * k.frames), FPS)[1] == []  # 0.125 s apart
    cut = LUNGE + np.array([300.0, 0]) * (np.arange(len(LUNGE)) >= 20)[:, None, None]
    turned = exchanged(person(cut), range(20, 64))  # another person, seen from behind
    assert without_swaps(turned, FPS)[1] == []


def test_an_exchange_lasts_through_steps_in_which_the_person_moves_fast():
    # thrown up twice, by a seventh of their size from one frame to the next, the second time when the exchange ends
    throws = (np.arange(len(LUNGE)) >= 43).astype(float) + (np.arange(len(LUNGE)) >= 48)
    size = np.ptp(LUNGE, axis=1).max(-1)[43]
    right = person(LUNGE - np.array([0, size / 7]) * throws[:, None, None])
    mended, _ = without_swaps(exchanged(right, range(38, 48), "arms"), FPS)
    np.testing.assert_array_equal(mended.xy, right.xy)


def as_they_come(k: Keypoints) -> np.ndarray:
    """What `LiveSwaps` makes of the frames, one after the other."""
    swaps = LiveSwaps()
    one = [replace(k, frames=k.frames[[t]], xy=k.xy[[t]], scores=k.scores[[t]]) for t in range(len(k.frames))]
    return np.concatenate([swaps(frame, FPS).xy for frame in one])


@pytest.mark.parametrize("rows", [range(20, 30), [30], [10, 12, 30, 31, 32]])
def test_frames_that_come_one_by_one_are_exchanged_back_at_once(rows):
    right = person(LUNGE)
    np.testing.assert_array_equal(as_they_come(exchanged(right, rows, "arms")), right.xy)
    np.testing.assert_array_equal(as_they_come(right), right.xy)


def test_after_a_pause_frames_that_come_one_by_one_are_as_they_are_found():
    found = exchanged(person(LUNGE), range(20, 30), "arms")
    late = replace(found, frames=found.frames + 5 * (found.frames >= 25))
    np.testing.assert_array_equal(as_they_come(late)[25:30], found.xy[25:30])


def test_every_convention_has_the_joints():
    for name, joint_set in JOINT_SETS.items():
        for parts in LIMBS.values():
            assert {f"{side}_{part}" for side in "LR" for part in parts} <= set(joint_set.names), name


def test_keypoints_of_a_file_are_mended_and_arrays_where_their_rate_is_given():
    right = person(LUNGE)
    wrong = exchanged(right, range(20, 30))
    (prepared,), lines = prepare_usable([wrong], FPS)
    np.testing.assert_array_equal(prepared.pixels, right.xy)
    np.testing.assert_array_equal(prepared.scores, right.scores)
    assert len(lines) == 2
    lifter = Lifter()
    of_right, of_wrong = (lifter(k.xy, SIZE, fps=FPS) for k in (right, wrong))
    np.testing.assert_array_equal(of_wrong.pose3d, of_right.pose3d)
    np.testing.assert_array_equal(lifter(wrong.xy, SIZE).pose2d, wrong.xy)  # perhaps no motion: left as it is
