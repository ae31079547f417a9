from dataclasses import replace

import numpy as np
import pytest

from lib.camera import camera_to_pixel
from lib.errors import UserError
from lib.lifting.root_translation import with_root_translation
from lib.lifting.stature import chain_length, scaled, sequence_stature, with_height
from smplpytorch.smplpytorch.builtin_body import build_builtin_body
from tests.walking_person import F, filmed, walking


def test_a_worked_example_of_the_chain():
    # legs of 0.44 + 0.44 m; pelvis to torso 0.24, to the neck 0.25, to the head 0.25, and their lean
    assert chain_length(filmed(walking()).pose3d) == pytest.approx(0.88 + 0.74 / np.cos(np.deg2rad(3.5)), abs=1e-3)


def test_the_built_in_body_at_rest_is_as_tall_as_its_bones_say():
    body = build_builtin_body()
    joints = (body.joint_regressor @ body.v_template)[None]
    sequence = replace(filmed(walking()).rows([0]), pose3d=joints)
    assert sequence_stature(sequence) == pytest.approx(np.ptp(body.v_template[:, 1]), rel=0.01)


def test_a_given_height_scales_pose_place_and_mesh_and_keeps_the_image():
    sequence = filmed(walking())
    sequence, _ = with_root_translation(sequence, sequence.camera)
    mesh = sequence.pose3d[:, :3]
    tall = with_height(replace(sequence, meshes=(mesh,), faces=(np.array([[0, 1, 2]]),)), 2.1)
    assert sequence_stature(tall) == pytest.approx(2.1)
    factor = 2.1 / sequence_stature(sequence)
    np.testing.assert_allclose(tall.meshes[0], factor * mesh)
    seen = camera_to_pixel(tall.pose3d + tall.root[:, None], np.array([F, F]), np.array([640, 360]))
    np.testing.assert_allclose(seen, sequence.pose2d, atol=1e-6)


def test_a_fitted_body_is_not_scaled():
    fitted = filmed(walking())
    object.__setattr__(fitted, "body", object())
    with pytest.raises(UserError, match="scale before a body is fitted"):
        scaled(fitted, 2.0)
