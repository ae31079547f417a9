import numpy as np
import pytest

from lib.camera import camera_to_pixel
from lib.joints import HUMAN36M_17
from lib.lifting.lifter import Lifter
from lib.lifting.quality import (
    MAX_IMPUTED,
    MAX_INVERTED,
    MAX_JITTER,
    MAX_LIMB_SPREAD,
    MAX_MISFIT,
    Quality,
    inverted,
    jitter,
    limb_spread,
    misfit,
)
from main.benchmarking.quality import cartoon
from tests.stick_person import SIZE, C, F, points_of
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


def test_noise_shakes_alike_whatever_the_rate():
    """Joints that are misplaced anew in every frame: at 100 frames a second four times as often as at 25."""
    pose = np.random.default_rng(0).normal(0, 0.01, (400, 17, 3))
    frames = np.arange(400)
    assert jitter(pose, frames, 100.0) == pytest.approx(jitter(pose[::4], frames[::4], 100.0), rel=0.05)


def test_jitter_never_looks_across_a_pause():
    frames = np.concatenate([np.arange(10), np.arange(10) + 100])
    pose = np.zeros((20, 17, 3))
    pose[10:] += 5.0
    assert jitter(pose, frames, 25.0) == 0


def test_too_few_even_frames_have_no_jitter():
    for frames in ([0], [0, 1], [0, 1, 5]):
        assert jitter(np.zeros((len(frames), 17, 3)), np.array(frames), 25.0) is None


def test_a_pose_that_projects_onto_its_joints_has_no_misfit():
    pose = walking(24)
    assert misfit(pose, 0.3 * pose[..., :2] + [0.2, 0.1]) == pytest.approx(0, abs=1e-12)


def test_misfit_is_a_distance_in_parts_of_the_persons_size():
    # a cross of size 2; one of four joints is 0.4 off, so best moved by 0.1 the distances are 0.1, 0.1, 0.1, 0.3
    cross = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    seen = cross[None, :, :2] + [[0, 0], [0, 0], [0, 0], [0.4, 0]]
    assert misfit(cross[None], seen) == pytest.approx(0.6 / 4 / 2)
    assert misfit(cross[None], 100 * seen) == pytest.approx(0.6 / 4 / 2)


def test_only_people_on_their_hands_are_inverted():
    standing = walking(4)[..., :2]
    bent = standing.copy()
    bent[:, [HUMAN36M_17.names.index(name) for name in ("Neck", "Head")], 1] = 0.5  # head down, feet on the ground
    lying = standing[..., ::-1]
    assert [inverted(pose, HUMAN36M_17) for pose in (standing, bent, lying, -standing)] == [0, 0, 0, 1]
    assert inverted(np.concatenate([standing, -standing]), HUMAN36M_17) == 0.5


def test_the_line_about_a_quality_names_what_is_known():
    assert str(Quality(0.05, 0.01, 0.0, 3.0, 0.25)) == (
        "limb lengths vary by 5.0%, misfit 1.0%, joints accelerate by 3.0 m/s2, 25.0% of the joints imputed"
    )
    assert str(Quality(0.05, 0.01, 0.5, None, 0.0)) == (
        "limb lengths vary by 5.0%, misfit 1.0%, upside down in 50% of the frames"
    )


def test_numbers_above_their_limits_are_warned_about_and_no_others():
    assert Quality(MAX_LIMB_SPREAD, MAX_MISFIT, MAX_INVERTED, MAX_JITTER, MAX_IMPUTED).warnings() == []
    assert Quality(0.0, 0.0, 0.0, None, 0.0).warnings() == []
    lines = Quality(
        MAX_LIMB_SPREAD + 0.1, MAX_MISFIT + 0.1, MAX_INVERTED + 0.1, MAX_JITTER + 5, MAX_IMPUTED + 0.1
    ).warnings()
    assert [line.split()[0] for line in lines] == ["limb", "the", "the", "joints", f"{MAX_IMPUTED + 0.1:.0%}"]


@pytest.fixture(scope="module")
def shipped():
    return Lifter()


def stick_pixels(change=None) -> np.ndarray:
    """(T, 17, 2) of a walking stick person, after `change` of the 3D joints."""
    points = points_of(0)
    return camera_to_pixel(points if change is None else change(points), F, C)


def test_an_ordinary_walk_has_no_warning_with_the_shipped_weights(shipped):
    assert shipped(stick_pixels(), SIZE).quality.warnings() == []


def test_people_upside_down_and_cartoon_figures_are_warned_about(shipped):
    turned = np.array(SIZE) - stick_pixels()
    for pixels in (turned, stick_pixels(cartoon)):
        assert shipped(pixels, SIZE).quality.warnings() != []


def test_shaking_keypoints_are_warned_about(shipped):
    noise = np.random.default_rng(0).normal(0, 6, (30, 17, 2))
    assert any("shake" in warning for warning in shipped(stick_pixels() + noise, SIZE).quality.warnings())
