import numpy as np
import pytest

from lib.lifting.floor.vertical import body_axes, estimate_vertical
from tests.walking_person import filmed, up_of, walking


def degrees(a, b):
    return np.rad2deg(np.arccos(np.clip(a @ b, -1, 1)))


def floor_places(up, count=12, size=2.0, seed=0):
    """Places on the plane 1.4 m below the camera."""
    rng = np.random.default_rng(seed)
    side = np.cross(up, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    ahead = np.cross(side, up)
    return (
        -1.4 * up + rng.uniform(-size / 2, size / 2, (count, 1)) * side + rng.uniform(4, 4 + size, (count, 1)) * ahead
    )


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (15, -5)])
def test_a_walking_person_is_upright_along_the_vertical(pitch, roll):
    axes, upright = body_axes(filmed(walking(), pitch, roll).pose3d)
    assert upright.sum() > 10
    assert degrees(np.median(axes[upright], 0), up_of(pitch, roll)) < 3


def test_someone_who_lies_or_bends_is_not_upright():
    joints = walking()
    lying = (joints - [0, 0.9, 0]) @ np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]).T
    assert not body_axes(filmed(lying).pose3d)[1].any()
    bent = joints.copy()
    upper = [7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    bent[:, upper] = joints[:, [0]] + (joints[:, upper] - joints[:, [0]])[..., [1, 0, 2]]
    assert not body_axes(filmed(bent).pose3d)[1].any()


def test_feet_on_a_wide_floor_decide_against_a_leaning_body():
    up, lean = up_of(10, 2), up_of(18, 2)
    body = np.tile(lean, (100, 1))
    without, with_feet = estimate_vertical(body, 4.0), estimate_vertical(body, 4.0, floor_places(up))
    assert degrees(without.up, lean) < 2.5
    assert degrees(with_feet.up, up) < 2
    assert with_feet.sigma < 0.6 * without.sigma


def test_a_few_places_off_the_floor_do_no_harm():
    up = up_of(10, 2)
    places = floor_places(up, count=20)
    places[::5] += 0.5 * up
    found = estimate_vertical(np.tile(up, (100, 1)), 4.0, places)
    assert degrees(found.up, up) < 1.5


def test_places_on_one_spot_say_nothing():
    up = up_of(10)
    one = estimate_vertical(np.tile(up, (50, 1)), 2.0, floor_places(up, size=0.01))
    none = estimate_vertical(np.tile(up, (50, 1)), 2.0)
    assert one.sigma == pytest.approx(none.sigma, rel=0.05)


def test_without_any_cue_the_camera_is_upright_and_that_is_said_to_be_uncertain():
    found = estimate_vertical(np.zeros((0, 3)), 0.0)
    np.testing.assert_allclose(found.up, [0, -1, 0], atol=1e-12)
    assert found.sigma > 10


def test_stated_uncertainty_covers_the_error_in_most_of_many_clips():
    rng = np.random.default_rng(0)
    ratios = []
    for seed in range(40):
        up = up_of(rng.normal(0, 10), rng.normal(0, 4))
        lean = up + np.deg2rad(4.0) * rng.normal(size=3)
        places = floor_places(up, 8, 1.5, seed) + 0.03 * rng.normal(size=(8, 3))
        found = estimate_vertical(np.tile(lean / np.linalg.norm(lean), (75, 1)), 3.0, places)
        ratios.append(degrees(found.up, up) / found.sigma)
    assert 0.7 < np.sqrt(np.mean(np.square(ratios)) / 2) < 1.4
