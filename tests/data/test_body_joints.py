from dataclasses import replace

import numpy as np
import pytest
import torch

from data.body_joints import REGRESSOR, BodyJoints
from lib.errors import UserError
from smplpytorch.smplpytorch.load_body import model_beside
from smplpytorch.smplpytorch.native.serialization import load_model
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer
from tests.bodies import tiny_body
from tests.main.conftest import write_smpl


@pytest.fixture
def parameters():
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.4, (5, 72)), rng.normal(0, 2, (5, 10)), rng.normal(0, 1, (5, 3))


def regressed(body, regressor, parameters):
    vertices, _ = SMPL_Layer(body, torch.float64)(*map(torch.as_tensor, parameters))
    return 1000 * regressor @ vertices.numpy()


def test_joints_are_those_regressed_from_the_vertices(tmp_path, parameters):
    body = tiny_body()
    joints = BodyJoints(body, tmp_path)("neutral", *parameters)
    np.testing.assert_allclose(joints, regressed(body, body.joint_regressor, parameters), atol=1e-6)


def test_a_model_from_a_file_takes_the_published_regressor_and_each_gender_its_own_model(tmp_path, parameters):
    body = tiny_body()
    folder = tmp_path / "smpl"
    write_smpl(folder / "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl")
    write_smpl(folder / "basicModel_f_lbs_10_207_0_v1.0.0.pkl", scale=0.9)
    neutral = load_model(folder / "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl")
    (tmp_path / REGRESSOR).parent.mkdir()
    np.save(tmp_path / REGRESSOR, body.joint_regressor)
    joints = BodyJoints(neutral, tmp_path)
    female = load_model(folder / "basicModel_f_lbs_10_207_0_v1.0.0.pkl")
    np.testing.assert_allclose(
        joints("female", *parameters), regressed(female, body.joint_regressor, parameters), atol=1e-6
    )
    assert joints.notes() == ()
    np.testing.assert_array_equal(joints("male", *parameters), joints("neutral", *parameters))
    (note,) = joints.notes()
    assert "no SMPL model of male people" in note
    assert joints.notes() == ()
    assert model_beside(neutral, "male") is neutral


def test_the_built_in_body_serves_every_gender():
    body = replace(tiny_body(), source="built-in")
    assert model_beside(body, "female") is body


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "is missing"), (b"text", "not an array file"), (np.zeros((17, 5)), "joints x vertices")],
)
def test_without_a_regressor_that_fits_one_line_names_the_file(tmp_path, parameters, content, text):
    write_smpl(tmp_path / "smpl" / "basicModel_neutral_lbs.pkl")
    body = load_model(tmp_path / "smpl" / "basicModel_neutral_lbs.pkl")
    (tmp_path / REGRESSOR).parent.mkdir()
    if isinstance(content, bytes):
        (tmp_path / REGRESSOR).write_bytes(content)
    elif content is not None:
        np.save(tmp_path / REGRESSOR, content)
    with pytest.raises(UserError, match=text) as error:
        BodyJoints(body, tmp_path)("neutral", *parameters)
    assert "J_regressor_h36m_correct.npy" in str(error.value)
