"""A moving body that skins in files can hold exactly."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lib.joints import HUMAN36M_17
from lib.lifting.fitted_body import FittedBody
from lib.lifting.pose_sequence import PoseSequence
from tests.bodies import skinnable_body

T, K = 7, 24


@pytest.fixture(scope="module")
def model():
    return skinnable_body()


@pytest.fixture
def sequence(model):
    rng = np.random.default_rng(0)
    pose = 0.5 * rng.normal(size=(1, 3 * K)) + 0.2 * rng.normal(size=(T, 3 * K))
    pose[:, 66:] = 0  # SMPL+H has no such joints
    pose[:, :3] += Rotation.from_euler("x", 180, degrees=True).as_rotvec()
    betas = np.array([1.0, -0.5, *np.zeros(8)])
    body = FittedBody(model, pose, betas, rng.normal(0, 0.1, (T, 3)), np.zeros((17, 3)), np.full(T, 0.01))
    zeros = np.zeros((T, 17, 3))
    root = np.array([0.5, 0.2, 4.0]) + np.arange(T)[:, None] * [0.1, 0, 0.05]
    return PoseSequence(zeros, zeros[..., :2], HUMAN36M_17, 30.0, (100, 100), root=root, body=body)
