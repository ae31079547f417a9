import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lib.lifting.rotations import nearest_rotation, rotation_vector
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 1.0, 3.0, np.pi - 1e-3, np.pi - 1e-6, np.pi])
def test_rotation_vectors_are_the_inverse_of_rodrigues(angle):
    axes = np.random.default_rng(0).normal(size=(50, 3))
    axes = np.concatenate([axes / np.linalg.norm(axes, axis=1, keepdims=True), np.eye(3), -np.eye(3)])
    turned = axis_angle_to_matrix(torch.as_tensor(angle * axes))
    vectors = rotation_vector(turned)
    assert (vectors.norm(dim=-1) <= np.pi + 1e-9).all()
    torch.testing.assert_close(axis_angle_to_matrix(vectors), turned, atol=1e-7, rtol=0)
    if angle < np.pi:
        torch.testing.assert_close(vectors, torch.as_tensor(angle * axes), atol=1e-7, rtol=0)


def test_no_rotation_is_nearer_to_a_matrix_than_its_nearest_one():
    matrices = torch.as_tensor(
        np.random.default_rng(0).normal(size=(20, 3, 3))
    )  # half of them turn left hands into right ones
    nearest = nearest_rotation(matrices)
    torch.testing.assert_close(torch.det(nearest), torch.ones(20, dtype=torch.float64))
    others = torch.as_tensor(Rotation.random(2000, np.random.default_rng(1)).as_matrix())
    away = (nearest - matrices).square().sum((1, 2))
    assert (away <= (others[:, None] - matrices).square().sum((2, 3)).min(0).values).all()
