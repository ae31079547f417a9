import numpy as np
import pytest

from lib.lifting.floor.plane import Floor
from tests.walking_person import up_of


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (20, 5), (-80, 10), (90, 0), (0, 180)])
def test_level_axes_are_a_rotation_with_y_down_and_the_floor_at_0(pitch, roll):
    up = up_of(pitch, roll)
    floor = Floor(up, -1.4)
    np.testing.assert_allclose(floor.rotation @ floor.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(floor.rotation) == pytest.approx(1)
    np.testing.assert_allclose(floor.rotation @ up, [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(floor.to_level(-1.4 * up), [0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(floor.to_level(np.zeros(3)), [0, -1.4, 0], atol=1e-12)
    points = np.random.default_rng(0).normal(size=(5, 2, 3))
    np.testing.assert_allclose(floor.to_camera(floor.to_level(points)), points, atol=1e-12)


def test_a_level_camera_keeps_its_axes():
    np.testing.assert_allclose(Floor(np.array([0.0, -1.0, 0.0]), -2.0).rotation, np.eye(3), atol=1e-12)


def test_only_an_uncertain_vertical_is_warned_about():
    up = np.array([0.0, -1.0, 0.0])
    assert Floor(up, -1.0, 3.0, 0.1).warnings() == []
    (warning,) = Floor(up, -1.0, 11.0, 0.1).warnings()
    assert "uncertain by 11.0 degrees" in warning
    assert "--up" in warning


def test_a_floor_is_said_to_be_below_or_above_the_camera():
    assert "floor 1.40 m below the camera" in str(Floor(np.array([0.0, -1.0, 0.0]), -1.4))
    assert "floor 0.07 m above the camera" in str(Floor(np.array([0.0, -1.0, 0.0]), 0.07))
