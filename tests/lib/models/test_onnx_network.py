import threading

import pytest
import torch

from lib.models.factory import NETWORKS, build_fast_predictor, build_predictor
from lib.models.hgn import HGN
from lib.models.inference import evaluate_in_parts
from lib.models.modulated_graph_conv import ModulatedSemGraphConv
from lib.models.onnx_network import OnnxNetwork
from tests.plain.hgn import randomise

pytest.importorskip("onnxruntime")
CPU = torch.device("cpu")


def _flat(output):
    return [output.pose3d, *output.meshes]


@pytest.fixture(params=["published", "modulated"])
def network(request, small_scales):
    conv = {"conv": ModulatedSemGraphConv} if request.param == "modulated" else {}
    network = HGN(small_scales, hidden_dim=8, **conv)
    randomise(network)
    return network.eval()


def test_on_a_cpu_the_fast_predictor_is_onnx_runtime_with_the_same_outputs_for_any_batch(network):
    fast = build_fast_predictor(network, CPU, 5)
    assert isinstance(fast, OnnxNetwork)
    for count in (1, 2, 3, 70):
        pose2d = torch.rand(count, 5, 2) * 2 - 1
        with torch.inference_mode():
            wanted = _flat(network(pose2d))
        for a, b in zip(_flat(evaluate_in_parts(fast, pose2d)), wanted, strict=True):
            assert a.dtype == torch.float32
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * float(b.abs().max()))


def test_threads_may_call_it_at_once(network):
    fast, poses = OnnxNetwork(build_predictor(network), 5), [torch.rand(9, 5, 2) for _ in range(8)]
    alone, together = [_flat(fast(x)) for x in poses], {}
    threads = [threading.Thread(target=lambda i=i: together.update({i: _flat(fast(poses[i]))})) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for i in range(8) for a, b in zip(alone[i], together[i], strict=True))


def test_it_keeps_the_weights_it_was_made_of_and_leaves_the_network_alone(network):
    fast, pose2d = build_fast_predictor(network.train(), CPU, 5), torch.rand(3, 5, 2)
    assert network.training
    before = fast(pose2d).pose3d.clone()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert torch.equal(fast(pose2d).pose3d, before)


def test_without_onnx_runtime_pytorch_predicts(network, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    pose2d = torch.rand(2, 5, 2)
    predictor = build_fast_predictor(network, CPU, 5)
    assert isinstance(predictor, torch.nn.Module)
    with torch.inference_mode():
        assert torch.equal(predictor(pose2d).pose3d, build_predictor(network)(pose2d).pose3d)


@pytest.mark.slow
def test_every_network_can_be_run_so(small_scales):
    from lib.config import ModelConfig

    for name, build in NETWORKS.items():
        network = build(ModelConfig(name=name, hidden_dim=8, depth=1 if name != "HGN" else 0), small_scales).eval()
        pose2d = torch.rand(3, 5, 2)
        with torch.inference_mode():
            wanted = network(pose2d).pose3d
        torch.testing.assert_close(OnnxNetwork(network, 5)(pose2d).pose3d, wanted, rtol=1e-4, atol=1e-5)
