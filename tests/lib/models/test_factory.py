import os
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch

from lib import checkpoint
from lib.config import Config, DatasetConfig, ModelConfig, RunConfig, TestConfig, config_to_dict
from lib.errors import UserError
from lib.graph.scales import scales_to_state
from lib.joints import HUMAN36M_17
from lib.models import factory
from lib.models.factory import (
    build_joint_set,
    build_model,
    build_predictor,
    can_fold,
    find_weights,
    load_network,
    output_scales,
)
from lib.models.folded import FoldedHGN
from lib.models.hgn import HGN
from lib.training.factory import build_augmentation, build_loss_weights
from tests.networks import NETWORKS
from tests.plain.hgn import randomise

DATASET = DatasetConfig(("Human36M",), ("Human36M",))


def config(**sections) -> Config:
    return Config(**{"DATASET": DATASET, **sections})


# --- factories


def test_the_network_has_the_width_and_the_fusion_of_the_configuration(small_scales):
    for dim, fusion in ((4, "released"), (6, "parallel")):
        model = build_model(config(MODEL=ModelConfig(hidden_dim=dim, fusion=fusion)), small_scales)
        assert model.outputs[0].weight.shape[-2] == dim
        assert [f.sequential for f in model.fusions] == [fusion == "released"] * 5


def test_both_fusions_train_and_differ(small_scales):
    outputs = []
    for fusion in ("released", "parallel"):
        torch.manual_seed(0)
        model = build_model(config(MODEL=ModelConfig(hidden_dim=4, fusion=fusion)), small_scales)
        output = model(torch.linspace(-1, 1, 30).view(3, 5, 2))
        output.pose3d.square().mean().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        outputs.append(output.pose3d)
    assert not torch.equal(*outputs)


def test_factories_hand_on_what_the_configuration_says():
    cfg = config(MODEL=ModelConfig(joint_loss_weight=7, mesh_loss_weight=5, normal_loss_weight=2, edge_loss_weight=3))
    weights = build_loss_weights(cfg)
    assert (weights.joint, weights.mesh, weights.normal, weights.edge) == (7, 5, 2, 3)
    assert build_joint_set(cfg) is HUMAN36M_17


def test_noise_replaces_the_2d_input_only_where_neither_truth_nor_detections_are_wanted():
    truth, detections = config(), config(DATASET=replace(DATASET, use_gt_input=False, detection_file="d.json"))
    assert build_augmentation(truth).noise is None
    assert build_augmentation(detections).noise is None
    noise = build_augmentation(config(DATASET=replace(DATASET, use_gt_input=False))).noise
    assert (noise.mean, noise.std, noise.outlier_probability, noise.box_shape) == ((0,), (4,), (0.01,), (384, 288))


def test_augmentation_is_off_unless_asked_for():
    cfg = config()
    plain = build_augmentation(cfg)
    assert (plain.flip, plain.rotate_degrees, plain.view_probability) == (False, 0, 0)
    on = build_augmentation(replace(cfg, AUG=replace(cfg.AUG, flip=True, rotate_factor=30.0, view_probability=0.5)))
    assert (on.flip, on.rotate_degrees, on.view_probability) == (True, 30, 0.5)
    assert on.flip_permutation.tolist() == HUMAN36M_17.flip_permutation.tolist()


# --- kinds of networks


def test_every_name_of_the_configuration_is_a_network():
    assert set(factory.NETWORKS) == set(get_args(get_type_hints(ModelConfig)["name"]))
    assert {m.name for m in NETWORKS.values()} == set(factory.NETWORKS)


def test_every_option_of_hgn_changes_the_network_and_the_defaults_are_the_published_one(small_scales):
    def outline(**keys):
        model = build_model(config(MODEL=ModelConfig(hidden_dim=8, **keys)), small_scales)
        return repr(model), [f.sequential for f in model.fusions]

    assert outline() == outline(depth=4, scales=3, fusion="released", modulation=False, attention="nonlocal")
    options = (
        {"depth": 5},
        {"scales": 1},
        {"scales": 2},
        {"fusion": "parallel"},
        {"modulation": True},
        {"attention": "softmax"},
    )
    changed = [str(outline(**option)) for option in options]
    assert len({str(outline()), *changed}) == 1 + len(options)


@pytest.mark.parametrize("name", ["SimpleBaseline", "SemGCN", "ModulatedGCN", "Transformer"])
def test_width_and_depth_of_the_others_follow_from_the_configuration(small_scales, name):
    def count(**keys):
        model = build_model(config(MODEL=ModelConfig(name, **keys)), small_scales)
        return sum(p.numel() for p in model.parameters())

    published = {"SimpleBaseline": 2, "SemGCN": 4, "ModulatedGCN": 4, "Transformer": 6}[name]
    assert count(hidden_dim=8) == count(hidden_dim=8, depth=published)
    per_block = count(hidden_dim=8, depth=3) - count(hidden_dim=8, depth=2)
    assert count(hidden_dim=8, depth=5) - count(hidden_dim=8, depth=3) == 2 * per_block > 0
    assert count(hidden_dim=16) > 2 * count(hidden_dim=8)


@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS.keys())
def test_every_network_has_the_outputs_of_its_scales_for_any_batch_and_samples_do_not_see_each_other(
    small_scales, model
):
    network = build_model(config(MODEL=model), small_scales).double()
    randomise(network)
    pose2d = torch.rand(3, 5, 2, dtype=torch.float64)
    shapes = [(len(s.real_nodes), 3) for s in output_scales(config(MODEL=model), small_scales)]
    network.requires_grad_(False)
    together = network.eval()(pose2d)
    for batch in (0, 1, 3):
        output = network(pose2d[:batch])
        for part, whole, shape in zip(
            (output.pose3d, *output.meshes), (together.pose3d, *together.meshes), shapes, strict=True
        ):
            assert part.shape == (batch, *shape)
            assert torch.allclose(part, whole[:batch], rtol=0, atol=1e-9 * float(whole.abs().max()))


@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS.keys())
def test_what_predicts_says_what_the_network_says_and_keeps_no_tie_to_it(small_scales, model):
    network = build_model(config(MODEL=model), small_scales).double()
    randomise(network)
    pose2d = torch.rand(3, 5, 2, dtype=torch.float64)
    predictor = build_predictor(network.train().requires_grad_(False))
    expected = network.eval()(pose2d)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    output = predictor(pose2d)
    for a, b in zip((output.pose3d, *output.meshes), (expected.pose3d, *expected.meshes), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-9 * float(b.abs().max()))
    assert isinstance(predictor, FoldedHGN) == can_fold(network) == (model.name == "HGN" and model.scales == 3)


@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS.keys())
def test_autocast_and_bfloat16_train_every_network(small_scales, model):
    network = build_model(config(MODEL=model), small_scales)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(torch.rand(3, 5, 2))
    sum(part.float().square().mean() for part in (output.pose3d, *output.meshes)).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


# --- which file TEST.weight_path means


def touch(path: Path, age: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def found(place, experiment="nowhere") -> Path:
    return find_weights(config(TEST=TestConfig(weight_path=str(place)), RUN=RunConfig(str(experiment))))


def test_a_file_is_taken_whatever_it_is_called(tmp_path):
    assert found(touch(tmp_path / "weights.bin")) == tmp_path / "weights.bin"


def test_a_folder_means_best_then_final_then_the_newest(tmp_path):
    newest = [touch(tmp_path / f"epoch_{k:04d}.pth.tar", age=k) for k in (3, 1, 2)][1]
    touch(tmp_path / "notes.txt")
    assert found(tmp_path) == newest
    final = touch(tmp_path / "final.pth.tar", age=50)
    assert found(tmp_path) == final
    best = touch(tmp_path / "best.pth.tar", age=90)
    assert found(tmp_path) == best


def test_a_run_folder_means_its_checkpoint_folder(tmp_path):
    touch(tmp_path / "exp_1" / "checkpoint" / "last.pth.tar")
    best = touch(tmp_path / "exp_1" / "checkpoint" / "best.pth.tar", age=5)
    assert found(tmp_path / "exp_1") == best


def test_the_experiment_folder_means_its_newest_run(tmp_path):
    touch(tmp_path / "exp_1" / "checkpoint" / "best.pth.tar", age=10)
    best = touch(tmp_path / "exp_2" / "checkpoint" / "best.pth.tar", age=5)
    touch(tmp_path / "exp_3" / "checkpoint" / "notes")
    assert found(tmp_path) == best


def test_without_pretrained_the_folder_of_the_published_weights_is_tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    placed = touch(tmp_path / "experiment" / "HGN_human36J_train_human36" / "final.pth.tar")
    assert find_weights(config()).resolve() == placed
    pretrained = touch(tmp_path / "pretrained" / "final.pth.tar", age=99)
    assert find_weights(config()).resolve() == pretrained


def test_no_weights_are_told_with_every_place_that_was_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"looked for .* in pretrained and experiment/HGN_human36J_train_human36; name"):
        find_weights(config())
    touch(tmp_path / "experiment" / "HGN_human36J_train_human36" / "final.pth.tar")
    with pytest.raises(UserError, match=r"in elsewhere; name one with --set TEST\.weight_path=PATH"):
        found("elsewhere", experiment="experiment")  # only the default falls back


# --- networks out of checkpoints


def saved(path: Path, model: HGN, cfg: Config, hierarchy, **changes) -> Path:
    content = {
        "epoch": 3,
        "model_state_dict": model.state_dict(),
        "config": config_to_dict(cfg),
        "scales": scales_to_state(hierarchy),
    }
    checkpoint.save(path, content | changes)
    return path


@pytest.fixture
def parallel():
    return config(MODEL=ModelConfig(hidden_dim=4, fusion="parallel"))


def never():
    raise AssertionError("the checkpoint carries its own hierarchy")


def test_a_checkpoint_needs_neither_body_model_nor_configuration(tmp_path, small_scales, parallel):
    torch.manual_seed(0)
    model = build_model(parallel, small_scales).eval()
    model_again, scales, content = load_network(saved(tmp_path / "a", model, parallel, small_scales), config(), never)
    pose2d = torch.randn(2, 5, 2)
    assert torch.equal(model(pose2d).pose3d, model_again.eval()(pose2d).pose3d)
    assert [len(s) for s in scales] == [5, 6, 12]
    assert content["epoch"] == 3


@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS.keys())
def test_a_checkpoint_of_any_network_brings_it_back_with_the_graphs_of_its_outputs(tmp_path, small_scales, model):
    cfg = config(MODEL=model)
    network = build_model(cfg, small_scales)
    randomise(network)
    again, scales, _ = load_network(saved(tmp_path / "a", network, cfg, small_scales), config(), never)
    pose2d = torch.rand(2, 5, 2)
    expected, output = network.eval()(pose2d), again.eval()(pose2d)
    assert torch.equal(output.pose3d, expected.pose3d)
    assert all(map(torch.equal, output.meshes, expected.meshes))
    assert [len(s.real_nodes) for s in scales] == [5, *(mesh.shape[1] for mesh in output.meshes)]


def test_weights_of_one_network_are_not_those_of_another(tmp_path, small_scales):
    network = build_model(config(MODEL=NETWORKS["SemGCN"]), small_scales)
    path = saved(tmp_path / "a", network, config(MODEL=NETWORKS["ModulatedGCN"]), small_scales)
    with pytest.raises(UserError, match="not the weights of this network: it lacks blocks") as raised:
        load_network(path, config(), never)
    assert "\n" not in str(raised.value)


def test_released_weights_follow_the_configuration_on_the_graphs_of_the_body(tmp_path, small_scales, small_hgn):
    path = tmp_path / "final.pth.tar"
    torch.save({"epoch": 99, "model_state_dict": small_hgn.state_dict()}, path)
    model, scales, content = load_network(path, config(MODEL=ModelConfig(hidden_dim=4)), lambda: small_scales)
    assert [a is b for a, b in zip(scales, small_scales, strict=True)] == [True] * 3
    assert content["epoch"] == 99
    assert torch.equal(model.state_dict()["outputs.0.weight"], small_hgn.state_dict()["outputs.0.weight"])


def test_released_weights_that_do_not_fit_say_which_hierarchy_they_want(tmp_path, small_scales, small_hgn):
    path = tmp_path / "final.pth.tar"
    torch.save({"model_state_dict": small_hgn.state_dict()}, path)
    other = [small_scales[0], small_scales[2], small_scales[1]]
    with pytest.raises(
        UserError,
        match=r"5 joints and meshes of 6 and 12 nodes, .* built here has 5 joints and meshes of 12 and 6 nodes",
    ):
        load_network(path, config(MODEL=ModelConfig(hidden_dim=4)), lambda: other)


DAMAGE = {
    "no hierarchy": {"scales": None},
    "empty hierarchy": {"scales": []},
    "half a hierarchy": {"scales": [{"adjacency": torch.eye(5, dtype=torch.bool)}]},
    "lists instead of tensors": {"scales": [{"adjacency": [[1]], "real_nodes": [0]}] * 3},
    "numbers instead of truths": {"scales": [{"adjacency": torch.eye(5), "real_nodes": torch.arange(5)}] * 3},
    "adjacency of three dimensions": {
        "scales": [{"adjacency": torch.ones(5, 5, 5, dtype=torch.bool), "real_nodes": torch.arange(5)}] * 3
    },
    "real nodes that are none": {
        "scales": [{"adjacency": torch.eye(5, dtype=torch.bool), "real_nodes": torch.tensor([0, 7])}] * 3
    },
    "faces of nodes that are none": {
        "scales": [
            {
                "adjacency": torch.eye(5, dtype=torch.bool),
                "real_nodes": torch.arange(5),
                "faces": torch.tensor([[0, 1, 9]]),
            }
        ]
        * 3
    },
    "no configuration": {"config": None},
    "a configuration of another program": {"config": {"a": 1}},
    "an absurd width": {"config": config_to_dict(config(MODEL=ModelConfig(hidden_dim=2**40)))},
    "a width that is not that of the weights": {"config": config_to_dict(config(MODEL=ModelConfig(hidden_dim=4096)))},
    "a depth that is not that of the weights": {
        "config": config_to_dict(config(MODEL=ModelConfig(hidden_dim=4, depth=32)))
    },
    "weights that are none": {"model_state_dict": {"a": 1}},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_whole_checkpoint_with_nonsense_in_it_is_one_line_with_its_name(tmp_path, small_scales, parallel, damage):
    path = saved(tmp_path / "a.pth.tar", build_model(parallel, small_scales), parallel, small_scales, **damage)
    with pytest.raises(UserError) as raised:
        load_network(path, config(), never)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)
