import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import lib
from lib.errors import UserError
from lib.graph.scales import GraphScale
from lib.joints import HUMAN36M_17
from lib.lifting.export import CHECKED_BATCHES, TOLERANCE, export
from lib.lifting.lifter import load_model
from lib.models.hgn import HGN
from tests.networks import NETWORKS
from tests.plain.hgn import randomise
from tests.tiny_weights import save_tiny_weights

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

OUTPUTS = ["pose3d", "mesh_coarse", "mesh_fine"]
ENDINGS = [".onnx", pytest.param(".pt2", marks=pytest.mark.slow)]


@pytest.fixture
def network(tmp_path):
    """A network and its meshes' faces."""
    model, faces = load_model(save_tiny_weights(tmp_path / "w.pth.tar"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "non_local.bn" in name:  # else the layer would be the identity
                parameter.uniform_(-0.5, 0.5)
    return model.eval(), faces


def poses(batch: int) -> np.ndarray:
    return np.random.default_rng(batch).uniform(-1, 1, (batch, 17, 2)).astype(np.float32)


def expected(model, pose2d) -> list[np.ndarray]:
    with torch.inference_mode():
        output = model(torch.from_numpy(pose2d))
    return [x.numpy() for x in (output.pose3d, *output.meshes)]


def test_an_onnx_file_says_what_the_network_says_for_any_batch(network, tmp_path):
    model, faces = network
    difference = export(model, faces, tmp_path / "hgn.onnx")
    assert 0 <= difference < TOLERANCE
    session = onnxruntime.InferenceSession(tmp_path / "hgn.onnx", providers=["CPUExecutionProvider"])
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("pose2d", ["batch", 17, 2])]
    shapes = [["batch", 17, 3], ["batch", 4, 3], ["batch", 6, 3]]
    assert [(o.name, o.shape) for o in session.get_outputs()] == list(zip(OUTPUTS, shapes, strict=True))
    for batch in (1, 3, 64):
        for a, b in zip(session.run(OUTPUTS, {"pose2d": poses(batch)}), expected(model, poses(batch)), strict=True):
            np.testing.assert_allclose(a, b, atol=TOLERANCE)


def test_an_onnx_file_names_joints_units_and_faces_and_nothing_of_this_machine(network, tmp_path):
    model, faces = network
    export(model, faces, tmp_path / "hgn.onnx")
    texts = {p.key: p.value for p in onnx.load(tmp_path / "hgn.onnx").metadata_props}
    assert json.loads(texts["joint_names"]) == list(HUMAN36M_17.names)
    assert json.loads(texts["faces_coarse"]) == faces[0].tolist()
    assert "metres, camera axes" in texts["pose3d"]
    assert texts["mesh_fine"].startswith("float32 (batch, 6, 3)")
    assert "pixel" in texts["pose2d"]
    content = (tmp_path / "hgn.onnx").read_bytes()
    for place in (tmp_path, Path(lib.__file__).parent, Path(torch.__file__).parent):
        assert str(place).encode() not in content


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("fusion", ["released", "parallel"])
def test_a_file_equals_the_network_when_nothing_is_zero(small_scales, tmp_path, fusion, ending):
    bones = np.zeros((17, 17), dtype=bool)
    bones[range(16), range(1, 17)] = bones[range(1, 17), range(16)] = True
    skeleton = GraphScale(bones, np.arange(17), None)
    model = HGN([skeleton, *small_scales[1:]], hidden_dim=6, fusion=fusion)
    randomise(model)
    assert export(model, (np.array([[0, 1, 2]]), np.array([[0, 1, 2]])), tmp_path / f"hgn{ending}") > 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_caller_s_model_stays_as_it_is(network, tmp_path, ending):
    model, faces = network
    model.double().train()
    before = copy.deepcopy(model.state_dict())
    export(model, faces, tmp_path / f"hgn{ending}")
    assert all(module.training for module in model.modules())
    assert model.state_dict().keys() == before.keys()
    for name, value in model.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


@pytest.mark.slow
def test_a_pt2_file_says_what_the_network_says_for_any_batch_and_carries_the_metadata(network, tmp_path):
    model, faces = network
    path = tmp_path / "hgn.pt2"
    assert export(model, faces, path) < TOLERANCE
    extra = {"metadata.json": ""}
    module = torch.export.load(path, extra_files=extra).module()
    for a, b in zip(module(torch.from_numpy(poses(9))), expected(model, poses(9)), strict=True):
        np.testing.assert_allclose(a.numpy(), b, atol=TOLERANCE)
    assert json.loads(json.loads(extra["metadata.json"])["joint_names"]) == list(HUMAN36M_17.names)


def test_a_file_that_differs_from_the_network_is_not_kept(network, tmp_path, monkeypatch):
    model, faces = network
    monkeypatch.setattr(
        "lib.lifting.export._open_onnx", lambda path: lambda pose2d: [x + 1e-4 for x in expected(model, pose2d)]
    )
    with pytest.raises(RuntimeError, match=r"the exported pose3d differs from the network's by up to 1\.0\de-04 m"):
        export(model, faces, tmp_path / "hgn.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["w.pth.tar"]
    assert 1 in CHECKED_BATCHES
    assert max(CHECKED_BATCHES) > 1


def test_unknown_endings_and_missing_packages_are_one_clear_line(network, tmp_path, monkeypatch):
    model, faces = network
    with pytest.raises(UserError, match=r"unknown ending '\.pb' for a network; use \.onnx or \.pt2"):
        export(model, faces, tmp_path / "hgn.pb")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UserError, match=r"onnx is missing.*pip install onnx onnxruntime"):
        export(model, faces, tmp_path / "hgn.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "ending"), [*((name, ".onnx") for name in NETWORKS), ("SimpleBaseline", ".pt2"), ("Transformer", ".pt2")]
)
def test_every_network_is_exported_with_the_outputs_it_has(tmp_path, name, ending):
    model, faces = load_model(save_tiny_weights(tmp_path / "w.pth.tar", NETWORKS[name]))
    randomise(model)
    path = tmp_path / f"network{ending}"
    assert export(model, faces, path) < TOLERANCE * 10
    outputs = ["pose3d", "mesh_coarse", "mesh_fine"][: 1 + len(faces)]
    if ending == ".onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        assert [o.name for o in session.get_outputs()] == outputs
        texts = {p.key for p in onnx.load(path).metadata_props}
        assert {key for key in texts if key.startswith("mesh_")} == set(outputs[1:])
