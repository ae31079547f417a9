import numpy as np
import pytest

from lib.lifting.floor.contacts import Contact
from lib.lifting.floor.feet import Feet
from lib.lifting.floor.path import Cue, solve_path

T = 60
SECONDS = np.arange(T) / 30
WHOLE = [slice(0, T)]
UP = np.array([0.0, -1.0, 0.0])


def scene(noise=0.03, seed=0):
    """A root that moves 1 m/s to the right; a foot (T, 1, 3) that stands at x = 1 from row 10 to 50; and a noisy cue."""
    root = np.stack([SECONDS, 0 * SECONDS, 5 + 0 * SECONDS], -1)
    foot = np.array([1.0, 0.9, 5.0]) - root
    none = np.zeros((T, 2, 3))
    feet = Feet(("R_Ankle",), foot[:, None], np.array([0.1]), np.array([0]), none, none, np.ones((T, 2)))
    cue = root + noise * np.random.default_rng(seed).normal(size=(T, 3)) * [0.2, 0.2, 1.0]
    return root, feet, Cue(cue, np.tile(np.diag([1e4, 1e4, 400.0]), (T, 1, 1)))


def test_a_planted_foot_stands_still_and_carries_the_root():
    root, feet, cue = scene()
    path, places = solve_path(cue, feet, [Contact(0, 10, 50)], SECONDS, WHOLE)
    foot = (path[:, None] + feet.points)[10:50, 0]
    assert np.ptp(foot, axis=0).max() < 0.01
    assert np.linalg.norm(foot - places[0], axis=-1).max() < 0.01
    assert np.linalg.norm(np.diff(path - root, axis=0), axis=-1).max() < 0.01
    assert np.linalg.norm(np.diff(cue.root - root, axis=0), axis=-1).max() > 0.05


def test_without_contacts_the_cue_is_followed_smoothly():
    root, feet, cue = scene()
    path, places = solve_path(cue, feet, [], SECONDS, WHOLE)
    assert places.shape == (0, 3)
    assert np.linalg.norm(path - root, axis=-1).mean() < np.linalg.norm(cue.root - root, axis=-1).mean()


def test_a_motion_is_smoothed_alike_at_every_frame_rate():
    def left(fps):
        """What is left of a swing of 10 cm along the line of sight, once a second, as the cue shows it."""
        seconds = np.arange(int(4 * fps)) / fps
        swing = np.zeros((len(seconds), 3))
        swing[:, 2] = 5 + 0.1 * np.sin(2 * np.pi * seconds)
        cue = Cue(swing, np.tile(np.diag([1e4, 1e4, 400.0]), (len(seconds), 1, 1)))
        path, _ = solve_path(cue, None, [], seconds, [slice(0, len(seconds))])
        return np.ptp(path[len(path) // 4 : -len(path) // 4, 2]) / 0.2

    assert 0.1 < left(30) < 0.9
    for fps in (10, 60, 240):
        assert left(fps) == pytest.approx(left(30), abs=0.02)


def test_a_known_floor_holds_planted_feet_at_their_clearance():
    _, feet, cue = scene()
    _, places = solve_path(cue, feet, [Contact(0, 10, 50)], SECONDS, WHOLE, (UP, -1.02))
    assert places[0] @ UP == pytest.approx(-1.02 + 0.1, abs=0.015)
    # half a metre off is no floor for this foot
    _, free = solve_path(cue, feet, [Contact(0, 10, 50)], SECONDS, WHOLE, (UP, -1.5))
    assert free[0] @ UP == pytest.approx(-0.9, abs=0.03)


def test_a_wrong_contact_is_overruled():
    root, feet, cue = scene(noise=0.01)
    moving = np.array([1.0, 0.9, 5.0]) - root + np.stack([2 * SECONDS, 0 * SECONDS, 0 * SECONDS], -1)
    feet = Feet(("a", "b"), np.stack([feet.points[:, 0], moving], 1), np.full(2, 0.1), np.arange(2), feet.hips,
                feet.ankles, feet.reach)  # fmt: skip
    path, _ = solve_path(cue, feet, [Contact(0, 10, 50), Contact(1, 20, 40)], SECONDS, WHOLE)
    assert np.linalg.norm(path - root, axis=-1).max() < 0.05


def test_parts_do_not_pull_at_each_other():
    _, feet, cue = scene(noise=0.0)
    jump = cue.root + np.where(np.arange(T) < 30, 0.0, 3.0)[:, None] * [1.0, 0, 0]
    cue = Cue(jump, cue.precision)
    path, _ = solve_path(cue, feet, [], SECONDS, [slice(0, 30), slice(30, T)])
    np.testing.assert_allclose(path, jump, atol=1e-6)


def test_one_frame_is_its_cue():
    root, feet, cue = scene(noise=0.0)
    one = Feet(feet.names, feet.points[:1], feet.clearance, feet.side, feet.hips[:1], feet.ankles[:1], feet.reach[:1])
    path, places = solve_path(Cue(cue.root[:1], cue.precision[:1]), one, [Contact(0, 0, 1)], np.zeros(1), [slice(0, 1)])
    np.testing.assert_allclose(path, root[:1], atol=1e-6)
    np.testing.assert_allclose(places[0], [1.0, 0.9, 5.0], atol=1e-6)
