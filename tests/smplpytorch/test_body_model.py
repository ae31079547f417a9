import dataclasses

import numpy as np
import pytest

from lib.errors import UserError
from smplpytorch.smplpytorch.body_model import BodyModel


def arrays() -> dict:
    """Four vertices, two joints, three shape directions."""
    rng = np.random.default_rng(0)
    return {
        "v_template": rng.normal(size=(4, 3)),
        "shapedirs": rng.normal(size=(4, 3, 3)),
        "posedirs": rng.normal(size=(4, 3, 9)),
        "J_regressor": rng.normal(size=(2, 4)),
        "lbs_weights": rng.uniform(size=(4, 2)),
        "faces": np.array([[0, 1, 2], [0, 2, 3]]),
        "parents": np.array([-1, 0]),
        "source": "folder/model.pkl",
    }


def filled(shape: tuple, value: float) -> np.ndarray:
    return np.full(shape, value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("v_template", np.zeros((5, 3)), "expected"),
        ("v_template", np.zeros((4, 2)), "v_template has shape (4, 2), expected (4, 3)"),
        ("v_template", np.zeros((0, 3)), "expected"),
        ("shapedirs", np.zeros((4, 3)), "shapedirs has shape (4, 3)"),
        ("shapedirs", np.zeros((4, 2, 3)), "shapedirs"),
        ("posedirs", np.zeros((4, 3, 18)), "posedirs has shape (4, 3, 18), expected (4, 3, 9)"),
        ("J_regressor", np.zeros((4, 2)), "J_regressor has shape (4, 2), expected (2, 4)"),
        ("lbs_weights", np.zeros((4, 3)), "lbs_weights has shape (4, 3), expected (4, 2)"),
        ("faces", np.zeros((2, 4), int), "faces has shape (2, 4), expected (2, 3)"),
        ("faces", np.zeros((0, 3), int), "faces"),
        ("faces", np.array([[0, 1, 4]]), "faces name vertices outside 0..3"),
        ("faces", np.array([[0, 1, -1]]), "faces name vertices outside 0..3"),
        ("parents", np.array([-1, 1]), "not a tree"),
        ("parents", np.array([0, 0]), "not a tree"),
        ("parents", np.array([-1, -1]), "not a tree"),
        ("v_template", filled((4, 3), np.nan), "v_template holds NaN"),
        ("shapedirs", filled((4, 3, 3), np.inf), "shapedirs holds NaN or infinite"),
        ("lbs_weights", filled((4, 2), np.nan), "lbs_weights holds NaN"),
    ],
)
def test_arrays_that_make_no_model_are_told_in_one_line_with_the_file(name, value, words):
    with pytest.raises(UserError) as error:
        BodyModel(**arrays() | {name: value})
    assert words in str(error.value)
    assert "folder/model.pkl" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["v_template", "shapedirs", "posedirs", "J_regressor", "lbs_weights", "faces"])
def test_digest_changes_with_every_array(name):
    changed = arrays()
    changed[name] = changed[name][::-1].copy()
    assert BodyModel(**changed).digest() != BodyModel(**arrays()).digest()


def test_digest_changes_with_the_tree_and_with_the_joint_regressor():
    model = BodyModel(**arrays())
    with_regressor = dataclasses.replace(model, joint_regressor=np.ones((17, 4)))
    assert with_regressor.digest() != model.digest()

    def chain(parents):
        three = {"J_regressor": np.ones((3, 4)), "lbs_weights": np.ones((4, 3)), "posedirs": np.ones((4, 3, 18))}
        return BodyModel(**arrays() | three | {"parents": np.array(parents)})

    assert chain([-1, 0, 1]).digest() != chain([-1, 0, 0]).digest()


def test_digest_depends_neither_on_the_file_name_nor_on_memory_order():
    model = BodyModel(**arrays())
    assert dataclasses.replace(model, source="elsewhere").digest() == model.digest()
    assert dataclasses.replace(model, shapedirs=np.asfortranarray(model.shapedirs)).digest() == model.digest()
