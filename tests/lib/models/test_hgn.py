import numpy as np
import pytest
import torch

from lib.checkpoint import load_state
from lib.graph.scales import GraphScale
from lib.models.hgn import HGN, Fusion, NodeTransfer, scales_per_stage
from tests.plain.hgn import PlainHGN, randomise


def _equal(a, b, tolerance=1e-11):
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance)


def _poses(scales, batch=4):
    generator = torch.Generator().manual_seed(5)
    return torch.rand(batch, len(scales[0]), 2, dtype=torch.float64, generator=generator) * 2 - 1


def _loss(output) -> torch.Tensor:
    pose3d, meshes = output
    return sum((part**3).sum() for part in (pose3d, *meshes))


@pytest.fixture
def plain_hgn(small_scales) -> PlainHGN:
    torch.manual_seed(1)
    model = PlainHGN(small_scales, hidden_dim=4).double()
    randomise(model)
    return model


# --- against the plain network ---


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("training", [True, False])
def test_network_equals_the_plain_one_under_the_released_names(small_scales, plain_hgn, prefix, training):
    model = HGN(small_scales, hidden_dim=4).double()
    load_state(model, {prefix + name: value for name, value in plain_hgn.state_dict().items()}, "released")
    model.train(training)
    plain_hgn.train(training)
    pose_fast, pose_plain = (_poses(small_scales).requires_grad_() for _ in range(2))
    fast, plain = model(pose_fast), plain_hgn(pose_plain)
    assert _equal(fast.pose3d, plain[0])
    assert all(_equal(a, b) for a, b in zip(fast.meshes, plain[1], strict=True))
    _loss(fast).backward()
    _loss(plain).backward()
    assert _equal(pose_fast.grad, pose_plain.grad, 1e-9)
    # Gradients under the released names, too: a model whose parameters are the gradients, loaded the same way.
    gradients = {name: torch.zeros_like(value) for name, value in plain_hgn.state_dict().items()}
    gradients |= {name: parameter.grad for name, parameter in plain_hgn.named_parameters()}
    expected = HGN(small_scales, hidden_dim=4).double()
    load_state(expected, gradients, "gradients")
    for (name, parameter), wanted in zip(model.named_parameters(), expected.parameters(), strict=True):
        assert _equal(parameter.grad, wanted, 1e-9), name


def test_training_updates_the_same_running_statistics_as_the_plain_network(small_scales, plain_hgn):
    model = HGN(small_scales, hidden_dim=4).double()
    load_state(model, plain_hgn.state_dict(), "before")
    for network in (model, plain_hgn):
        for _ in range(2):
            network(_poses(small_scales))
    expected = HGN(small_scales, hidden_dim=4).double()
    load_state(expected, plain_hgn.state_dict(), "after")
    for (name, value), wanted in zip(model.state_dict().items(), expected.state_dict().values(), strict=True):
        assert torch.allclose(value, wanted, rtol=1e-11, atol=1e-11), name


def test_random_starts_have_the_same_spread_as_the_plain_network(small_scales):
    torch.manual_seed(2)
    plain, model = PlainHGN(small_scales, 32), HGN(small_scales, 32)
    as_fast = HGN(small_scales, 32)
    load_state(as_fast, plain.state_dict(), "plain")
    for (name, a), b in zip(model.named_parameters(), as_fast.parameters(), strict=True):
        if a.numel() >= 1000:
            assert a.std().item() == pytest.approx(b.std().item(), rel=0.15), name


# --- sizes ---


def test_parameter_count_follows_from_nodes_entries_and_width(small_scales):
    C = 6
    n, e = [len(s) for s in small_scales], [int(s.adjacency.sum()) for s in small_scales]
    graph_conv = [2 * C * C + entries + C + 2 * C for entries in e]  # W, logits, bias; scale and shift
    non_local = 3 * (C * C // 2 + C // 2) + C + (C * C // 2 + C) + 2 * C  # g theta phi; w; W; scale and shift
    blocks = sum(count * (2 * conv + non_local) for count, conv in zip((4, 4, 2), graph_conv, strict=True))
    ends = (2 * 2 * C + e[0] + C + 2 * C) + sum(2 * C * 3 + entries + 3 for entries in e)
    times = {(0, 1): 5, (1, 0): 4, (0, 2): 3, (1, 2): 3, (2, 0): 2, (2, 1): 2}
    transfers = sum(count * (n[a] * n[b] + n[b]) for (a, b), count in times.items())
    model = HGN(small_scales, hidden_dim=C)
    assert sum(p.numel() for p in model.parameters()) == blocks + ends + transfers


def test_the_published_hierarchy_has_the_published_1_045_621_parameters():
    scales = []
    for nodes, entries in ((17, 49), (48, 241), (96, 487)):
        adjacency = np.zeros((nodes, nodes), dtype=bool)
        adjacency.flat[:entries] = True
        scales.append(GraphScale(adjacency, np.arange(nodes)))
    assert sum(p.numel() for p in HGN(scales).parameters()) == 1_045_621


@pytest.mark.parametrize("training", [True, False])
def test_batches_of_any_size_give_joints_and_real_nodes(small_scales, training):
    model = HGN(small_scales, hidden_dim=4).train(training)
    for batch in (1, 3):
        output = model(torch.rand(batch, 5, 2))
        assert output.pose3d.shape == (batch, 5, 3)
        assert [m.shape for m in output.meshes] == [(batch, 5, 3), (batch, 9, 3)]


def test_an_empty_batch_gives_empty_outputs_when_testing(small_hgn):
    output = small_hgn.eval()(torch.zeros(0, 5, 2))
    assert output.pose3d.shape == (0, 5, 3)
    assert [m.shape for m in output.meshes] == [(0, 5, 3), (0, 9, 3)]


@pytest.mark.parametrize(("scales", "mesh_nodes"), [(1, []), (2, [5]), (3, [5, 9])])
def test_fewer_scales_give_the_joints_and_the_meshes_that_are_left(small_scales, scales, mesh_nodes):
    model = HGN(small_scales[:scales], hidden_dim=4)
    output = model(torch.rand(2, 5, 2))
    assert output.pose3d.shape == (2, 5, 3)
    assert [m.shape for m in output.meshes] == [(2, nodes, 3) for nodes in mesh_nodes]
    _loss(output).backward()
    assert all(p.grad is not None for p in model.parameters())  # nothing of the scales that are not there is left


def test_the_skeleton_alone_is_its_convolutions_one_after_the_other(small_scales):
    model = HGN(small_scales[:1], hidden_dim=4).double()
    randomise(model)
    assert not any("transfers" in name for name, _ in model.named_parameters())
    x = model.input_conv(_poses(small_scales).transpose(0, 1))
    for (block,) in model.stages:
        x = block(x)
    assert torch.equal(model(_poses(small_scales)).pose3d, model.outputs[0](x).transpose(0, 1))


def test_the_fine_mesh_joins_in_the_middle_of_the_stages():
    assert scales_per_stage(4, 3) == [2, 2, 3, 3]  # as published
    assert scales_per_stage(6, 3) == [2, 2, 2, 3, 3, 3]
    assert scales_per_stage(5, 3) == [2, 2, 3, 3, 3]
    assert scales_per_stage(1, 3) == [3]
    assert scales_per_stage(4, 2) == [2, 2, 2, 2]
    assert scales_per_stage(3, 1) == [1, 1, 1]


@pytest.mark.parametrize("stages", [1, 6])
def test_any_number_of_stages_trains(small_scales, stages):
    model = HGN(small_scales, hidden_dim=4, stages=stages)
    _loss(model(torch.rand(2, 5, 2))).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert len(model.stages) == stages


# --- order of the outputs ---


def test_mesh_outputs_come_in_the_order_of_the_real_nodes(small_scales, small_hgn):
    order = np.array([4, 2, 0, 3, 1])
    coarse = small_scales[1]
    renumbered = [small_scales[0], GraphScale(coarse.adjacency, coarse.real_nodes[order]), small_scales[2]]
    other = HGN(renumbered, hidden_dim=4)
    other.load_state_dict(small_hgn.state_dict())
    pose2d = _poses(small_scales).float()
    a, b = small_hgn.eval()(pose2d), other.eval()(pose2d)
    assert torch.equal(b.meshes[0], a.meshes[0][:, order])
    assert torch.equal(b.meshes[1], a.meshes[1])
    assert torch.equal(b.pose3d, a.pose3d)


def test_real_node_k_is_read_at_its_own_position(small_scales):
    # All layers zero but the last transfer into the coarse mesh, whose bias numbers the positions 0, 1, 2, ...;
    # an output layer that hands on a node's own value then gives position * weight of the loop.
    model = HGN(small_scales, hidden_dim=4).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.fusions[-1].transfers["0_1"].bias.copy_(torch.arange(6.0))
        model.outputs[1].weight[0] = 1.0
    mesh = model(torch.zeros(1, 5, 2)).meshes[0][0, :, 0]
    own = model.outputs[1].neighbour_weights().diagonal()
    expected = [4 * p * own[p].item() for p in small_scales[1].real_nodes]  # four channels, each p
    assert mesh.tolist() == pytest.approx(expected)
    assert len(set(mesh.tolist())) > 2


def test_samples_of_a_batch_do_not_see_each_other_when_testing(small_scales, small_hgn):
    small_hgn.double().eval()
    pose2d = _poses(small_scales)
    together = small_hgn(pose2d)
    for b in range(len(pose2d)):
        alone = small_hgn(pose2d[b : b + 1])
        assert _equal(alone.pose3d[0], together.pose3d[b])
        assert _equal(alone.meshes[1][0], together.meshes[1][b])


# --- fusion ---


def _constant_fusion(sizes_before, sizes_after, sequential, factors) -> Fusion:
    """One node per scale; the transfer s -> t multiplies by factors[s, t]."""
    fusion = Fusion(sizes_before, sizes_after, sequential).double()
    with torch.no_grad():
        for (s, t), factor in factors.items():
            fusion.transfers[f"{s}_{t}"].weight.fill_(factor)
            fusion.transfers[f"{s}_{t}"].bias.zero_()
    return fusion


FACTORS = {(0, 1): 2.0, (1, 0): 3.0, (0, 2): 5.0, (1, 2): 7.0, (2, 0): 11.0, (2, 1): 13.0}


def _fuse(fusion, *values):
    return [f.item() for f in fusion([torch.full((1, 1, 1), v, dtype=torch.float64) for v in values])]


def test_released_fusion_hands_updated_features_on():
    fusion = _constant_fusion([1] * 3, [1] * 3, True, FACTORS)
    # f1 = 1 + 3 * 10 + 11 * 100         = 1131
    # f2 = 10 + 2 * 1131 + 13 * 100      = 3572      from the new f1 and the old f3
    # f3 = 100 + 5 * 1131 + 7 * 3572     = 30759     from the new f1 and f2
    assert _fuse(fusion, 1.0, 10.0, 100.0) == [1131, 3572, 30759]


def test_parallel_fusion_reads_all_features_as_they_came():
    fusion = _constant_fusion([1] * 3, [1] * 3, False, FACTORS)
    # f1 as above;  f2 = 10 + 2 * 1 + 13 * 100 = 1312;  f3 = 100 + 5 * 1 + 7 * 10 = 175
    assert _fuse(fusion, 1.0, 10.0, 100.0) == [1131, 1312, 175]


@pytest.mark.parametrize(
    ("sequential", "expected"),
    [
        (True, [31, 10 + 2 * 31, 5 * 31 + 7 * 72]),  # the new scale starts from the updated f1 = 31 and f2 = 72
        (False, [31, 10 + 2 * 1, 5 * 1 + 7 * 10]),
    ],
)
def test_a_new_scale_starts_from_the_sum_of_the_transfers(sequential, expected):
    factors = {k: v for k, v in FACTORS.items() if k[0] < 2}
    assert _fuse(_constant_fusion([1, 1], [1] * 3, sequential, factors), 1.0, 10.0) == expected


@pytest.mark.parametrize("sequential", [True, False])
def test_fusion_leaves_its_inputs_unchanged(sequential):
    features = [torch.randn(n, 2, 3) for n in (4, 6)]
    before = [f.clone() for f in features]
    same_list = list(features)
    fusion = Fusion([4, 6], [4, 6, 8], sequential)
    fusion(features)
    assert all(a is b for a, b in zip(features, same_list, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(features, before, strict=True))


def test_parallel_network_has_the_same_parameters_and_another_output(small_scales, small_hgn):
    parallel = HGN(small_scales, hidden_dim=4, fusion="parallel")
    parallel.load_state_dict(small_hgn.state_dict())
    pose2d = _poses(small_scales).float()
    a, b = small_hgn.eval()(pose2d), parallel.eval()(pose2d)
    assert not torch.allclose(a.pose3d, b.pose3d, atol=1e-3)


def test_a_transfer_weighs_nodes_and_adds_a_bias_per_node():
    transfer = NodeTransfer(2, 3).double()
    with torch.no_grad():
        transfer.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 10.0], [0.0, -1.0]]))
        transfer.bias.copy_(torch.tensor([0.0, 0.5, 100.0]))
    x = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]], dtype=torch.float64)  # two nodes, one sample, two channels
    expected = [[[1, 2]], [[1 + 30 + 0.5, 2 + 40 + 0.5]], [[-3 + 100, -4 + 100]]]
    assert transfer(x).tolist() == expected
