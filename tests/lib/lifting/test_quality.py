import numpy as np
import pytest

from lib.joints import HUMAN36M_17
from lib.lifting.quality import MAX_IMPUTED, MAX_JITTER, MAX_LIMB_SPREAD, Quality, jitter, limb_spread, measure
from tests.waving_person import walking


def moved(acceleration: float, frames: np.ndarray, fps: float) -> np.ndarray:
    """(T, 17, 3): all joints accelerate along x, m/s2."""
    pose = np.zeros((len(frames), 17, 3))
    pose[..., 0] = 0.5 * acceleration * (frames / fps)[:, None] ** 2
    return pose


def test_rigid_limbs_have_no_spread():
    pose = walking(24)
    # make both sides equally long
    assert limb_spread(pose, HUMAN36M_17) == pytest.approx(0, abs=0.03)
    shrunk = pose * np.where(np.arange(24) % 2, 1.1, 0.9)[:, None, None]
    assert limb_spread(shrunk, HUMAN36M_17) == pytest.approx(0.1, abs=0.01)


def test_spread_counts_the_two_sides_against_each_other():
    pose = np.zeros((1, 17, 3))
    for i, (side, length) in enumerate((("R", 0.3), ("L", 0.5))):
        for j, name in enumerate(("Hip", "Knee", "Ankle")):
            pose[0, HUMAN36M_17.names.index(f"{side}_{name}")] = (i, length * j, 0)
        for j, name in enumerate(("Shoulder", "Elbow", "Wrist")):
            pose[0, HUMAN36M_17.names.index(f"{side}_{name}")] = (i, 0, length * j)
    # lengths 0.3 and 0.5: mean 0.4, standard deviation 0.1
    assert limb_spread(pose, HUMAN36M_17) == pytest.approx(0.25)


@pytest.mark.parametrize("fps", [10, 25, 50, 240])
def test_jitter_is_the_acceleration_whatever_the_rate(fps):
    frames = np.arange(fps)
    assert jitter(moved(7.0, frames, fps), frames, fps) == pytest.approx(7.0)
    every_third = frames[::3]
    assert jitter(moved(7.0, every_third, fps), every_third, fps) == pytest.approx(7.0)


def test_jitter_never_looks_across_a_pause():
    frames = np.concatenate([np.arange(10), np.arange(10) + 100])
    pose = np.zeros((20, 17, 3))
    pose[10:] += 5.0
    assert jitter(pose, frames, 25.0) == 0


def test_too_few_even_frames_have_no_jitter():
    for frames in ([0], [0, 1], [0, 1, 5]):
        assert jitter(np.zeros((len(frames), 17, 3)), np.array(frames), 25.0) is None


def test_measure_takes_everything_together():
    imputed = np.zeros((24, 17), bool)
    imputed[:6] = True
    quality = measure(walking(24), HUMAN36M_17, np.arange(24), 24.0, imputed)
    assert quality.imputed == 0.25
    assert quality.jitter > 0
    assert str(quality).endswith("25.0% of the joints imputed")


def test_numbers_above_their_limits_are_warned_about_and_no_others():
    assert Quality(MAX_LIMB_SPREAD, MAX_JITTER, MAX_IMPUTED).warnings() == []
    assert Quality(0.0, None, 0.0).warnings() == []
    lines = Quality(MAX_LIMB_SPREAD + 0.1, MAX_JITTER + 5, MAX_IMPUTED + 0.1).warnings()
    assert [line.split()[0] for line in lines] == ["limb", "joints", f"{MAX_IMPUTED + 0.1:.0%}"]
