import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from lib.lifting.smoothing import gaussian, one_euro, stretches


def plain_one_euro(x: np.ndarray, fps: float, min_cutoff: float, beta: float, speed_cutoff: float) -> list[float]:
    """The filter as published, for one coordinate."""

    def alpha(cutoff):
        tau, period = 1 / (2 * np.pi * cutoff), 1 / fps
        return 1 / (1 + tau / period)

    out, speed = [x[0]], 0.0
    for value in x[1:]:
        raw = (value - out[-1]) * fps
        speed = alpha(speed_cutoff) * raw + (1 - alpha(speed_cutoff)) * speed
        a = alpha(min_cutoff + beta * abs(speed))
        out.append(a * value + (1 - a) * out[-1])
    return out


def test_equals_the_published_filter_for_one_coordinate():
    x = np.cumsum(np.random.default_rng(0).normal(0, 0.1, 50))
    smooth = one_euro(x[:, None, None], 25, 0.8, 2.0, 1.5)[:, 0, 0]
    np.testing.assert_allclose(smooth, plain_one_euro(x, 25, 0.8, 2.0, 1.5), rtol=1e-12)


def test_worked_example_without_speed_term():
    # cutoff 1 Hz at fps 2 pi: a = 1 / (1 + 2 pi / (2 pi)) = 1/2, so a step of 8 is halved again and again.
    x = np.array([0.0, 8, 8, 8])[:, None, None]
    assert one_euro(x, 2 * np.pi, 1.0, 0.0)[:, 0, 0].tolist() == pytest.approx([0, 4, 6, 7])


def test_joints_do_not_influence_each_other():
    points = np.random.default_rng(1).normal(size=(20, 5, 3))
    np.testing.assert_allclose(one_euro(points[:, 2:3], 50), one_euro(points, 50)[:, 2:3])


def test_rotating_the_axes_rotates_the_result():
    points = np.random.default_rng(2).normal(size=(20, 4, 3))
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    np.testing.assert_allclose(one_euro(points @ rotation, 50), one_euro(points, 50) @ rotation, atol=1e-12)


def test_input_is_kept_and_rest_stays_at_rest():
    points = np.full((10, 17, 3), 2.5)
    out = one_euro(points, 50)
    assert (out == points).all()
    assert out is not points


def test_one_frame_is_returned():
    assert one_euro(np.ones((1, 17, 3)), 50).shape == (1, 17, 3)


def test_defaults_take_four_fifths_of_the_jitter_at_rest_and_lag_less_than_a_frame():
    rng = np.random.default_rng(4)
    rest = rng.normal(0, 0.005, (500, 17, 3))  # 5 mm of noise, metres
    smooth = one_euro(rest, 50)
    jitter = np.diff(smooth[50:], axis=0).std() / np.diff(rest[50:], axis=0).std()
    assert jitter < 0.2
    t = np.arange(100) / 50
    moving = np.zeros((100, 1, 3))
    moving[:, 0, 0] = 2.0 * t  # 2 m/s, 40 mm a frame
    lag = (moving - one_euro(moving, 50))[-1, 0, 0]
    assert 0 < lag < 0.04


def test_stretches_end_at_pauses_in_seconds_and_at_breaks():
    frames = np.array([0, 1, 2, 14, 15, 28, 29])
    assert stretches(frames, 25.0) == [slice(0, 5), slice(5, 7)]  # 12 frames are 0.48 s, 13 are 0.52 s
    assert stretches(frames, 50.0) == [slice(0, 7)]
    breaks = np.array([False, False, True, False, False, False, False])
    assert stretches(frames, 50.0, breaks) == [slice(0, 2), slice(2, 7)]
    assert stretches(frames[:1], 25.0) == [slice(0, 1)]


def test_gaussian_is_the_weighted_mean_in_the_middle_of_even_rows():
    values = np.random.default_rng(0).normal(size=(200, 2, 3))
    smooth = gaussian(values, np.arange(200) / 25, 0.2)
    np.testing.assert_allclose(
        smooth[40:160], gaussian_filter1d(values, 0.2 * 25, axis=0, truncate=3.0)[40:160], atol=1e-12
    )


def test_gaussian_follows_a_steady_motion_to_both_ends_and_over_missing_frames():
    seconds = np.delete(np.arange(30), [5, 11, 12, 13]) / 25
    line = 3 - 2 * seconds
    np.testing.assert_allclose(gaussian(line, seconds, 0.5), line, atol=1e-9)


def test_gaussian_takes_seconds_not_rows():
    values = np.random.default_rng(0).normal(size=60)
    slow, fast = gaussian(values, np.arange(60) / 10, 0.3), gaussian(values, np.arange(60) / 100, 0.03)
    np.testing.assert_allclose(slow, fast, atol=1e-12)


def test_gaussian_of_one_row_or_of_rows_far_apart_changes_nothing():
    assert gaussian(np.array([7.0]), np.array([0.0]), 0.5).tolist() == [7.0]
    assert gaussian(np.array([1.0, 5.0, 2.0]), np.array([0.0, 9, 20]), 0.5).tolist() == [1.0, 5.0, 2.0]


def test_uneven_steps_are_filtered_as_their_times_say():
    x = np.random.default_rng(1).normal(size=(4, 1, 1))
    uneven = one_euro(x, np.array([50.0, 25.0, 50.0]))
    first = one_euro(x[:2], 50.0)
    np.testing.assert_array_equal(uneven[:2], first)
    assert abs(uneven[2, 0, 0] - x[2, 0, 0]) < abs(one_euro(x, 50.0)[2, 0, 0] - x[2, 0, 0])
