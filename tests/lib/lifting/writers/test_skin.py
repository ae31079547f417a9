from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.errors import UserError
from lib.lifting.fitted_body import FittedBody
from lib.lifting.writers import WRITERS, write_poses
from lib.lifting.writers.skin import AT_ONCE, Skin, shown_mesh
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer
from tests.bodies import resting_body, tiny_body
from tests.waving_person import make_sequence


@pytest.fixture(scope="module")
def body():
    rng = np.random.default_rng(1)
    frames, model = AT_ONCE + 3, tiny_body()
    pose = 0.4 * rng.normal(size=(frames, 72))
    return FittedBody(
        model, pose, rng.normal(size=10), rng.normal(size=(frames, 3)), np.zeros((17, 3)), np.zeros(frames)
    )


def expected(body):
    betas = np.tile(body.betas, (len(body.pose), 1))
    return SMPL_Layer(body.model, torch.float64)(*map(torch.as_tensor, (body.pose, betas, body.transl)))[0].numpy()


def test_the_skin_has_shape_blend_shapes_and_translation(body):
    skin = Skin(body)
    assert len(skin) == len(body.pose)
    np.testing.assert_allclose(skin.vertices(slice(2, 5)), expected(body)[2:5], atol=1e-5)


def test_extremes_have_the_box_of_all_vertices_and_are_vertices(body):
    extremes, whole = Skin(body).extremes(), expected(body)
    assert len(extremes) == len(whole)
    np.testing.assert_allclose(extremes.min(1), whole.min(1), atol=1e-5)
    np.testing.assert_allclose(extremes.max(1), whole.max(1), atol=1e-5)
    away = np.linalg.norm(extremes[-1][:, None] - whole[-1], axis=-1).min(1)
    assert away.max() < 1e-5


def test_the_body_is_shown_where_everybody_has_one():
    with_body = replace(make_sequence(3), body=resting_body(3))
    assert shown_mesh([with_body], None, "x") == "body"
    assert shown_mesh([with_body, make_sequence(3, 1)], None, "x") == "coarse"
    assert shown_mesh([with_body], "coarse", "x") == "coarse"


def test_a_body_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match=r"a\.html: the mesh 'body' is that of a fitted body; add --fit-body"):
        write_poses(tmp_path / "a.html", [make_sequence(3)], mesh="body")
    with pytest.raises(UserError, match="unknown mesh 'fine'; use coarse or body"):
        write_poses(tmp_path / "a.html", [make_sequence(3)], mesh="fine")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_takes_both_meshes_and_writes_the_same_whichever_it_does_not_show(ending, tmp_path):
    if ending.startswith(".usd"):
        pytest.importorskip("pxr", reason="needs usd-core (sh requirements.sh usd)")
    sequence = replace(make_sequence(2), body=resting_body(2))
    for mesh in ("coarse", "body"):
        (tmp_path / mesh).mkdir()
        write_poses(tmp_path / mesh / f"a{ending}", [sequence], mesh=mesh)
    pairs = [[p.read_bytes() for p in sorted((tmp_path / mesh).iterdir())] for mesh in ("coarse", "body")]
    differ = pairs[0] != pairs[1]
    assert differ == (ending in (".html", ".png", ".gif", ".mp4", ".glb", ".obj"))
