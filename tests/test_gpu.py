"""What only a CUDA device can show; skipped where there is none. docs/benchmarks.md tells how to run it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import distributed as dist

from lib import checkpoint
from lib.config import AugConfig, Config, DatasetConfig, ModelConfig, RunConfig, TestConfig, TrainConfig
from lib.device import data_parallel
from lib.distributed import distribute
from lib.evaluation.evaluate import predict
from lib.lifting.lifter import Lifter
from lib.models.folded import fold
from lib.models.hgn import HGN
from lib.models.inference import evaluate_in_parts
from lib.run_dir import RunDir, create_run_dir
from lib.training.augment import DetectionNoise
from lib.training.batches import Augmentation, BatchSource
from lib.training.factory import build_learner
from lib.training.trainer import Trainer
from tests.plain.hgn import randomise
from tests.tables import FIVE_JOINTS, random_table
from tests.tiny_weights import save_tiny_weights
from tests.trainers import assemble

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
TABLE, TEST_TABLE = random_table(23, joints=FIVE_JOINTS), random_table(7, seed=1, joints=FIVE_JOINTS)
AUGMENTATION = Augmentation(
    FIVE_JOINTS.flip_permutation,
    flip=True,
    rotate_degrees=20.0,
    view_probability=0.5,
    noise=DetectionNoise((0.0,), (2.0,), (0.1,), (384, 288)),
)
SMALL = 1e-4  # as a part of the largest value: products and sums in another order


@pytest.fixture(autouse=True)
def no_plots(monkeypatch):
    monkeypatch.setattr("lib.training.reporter.draw_curves", lambda log, loss, error: loss.write_bytes(b"curve"))


def config(folder, **train) -> Config:
    return Config(
        DatasetConfig(("Human36M",), ("Human36M",)),
        ModelConfig(hidden_dim=4),
        TrainConfig(batch_size=6, **({"end_epoch": 1, "lr": 1e-3} | train)),
        AugConfig(),
        TestConfig(batch_size=7),
        RunConfig(str(folder)),
    )


def network(scales, device=GPU) -> HGN:
    torch.manual_seed(0)
    return HGN(scales, 4).to(device)


def batches_on(device) -> BatchSource:
    return BatchSource([TABLE], device, 6, True, 0, AUGMENTATION)


def trainer_on(device, cfg, scales, run: RunDir | None = None) -> Trainer:
    tests = {"Human36M": TEST_TABLE}
    return assemble(cfg, network(scales, device), scales, batches_on(device), tests, run or create_run_dir(cfg))


def steps(learner, batches, numbers=range(4)) -> list[float]:
    """The total loss of each step of the first epoch: three batches of six samples, one of five."""
    order, losses = batches.order(0), []
    for number in numbers:
        losses.append(sum(learner.step(number, batches.batch(order, 0, number)).values()))
    return [float(loss) for loss in losses]


def outputs_of(output) -> list[torch.Tensor]:
    return [x.cpu() for x in (output.pose3d, *output.meshes)]


def assert_near(values, wanted, tolerance=SMALL):
    for a, b in zip(values, wanted, strict=True):
        assert (a - b).abs().max() <= tolerance * b.abs().max()


def test_augmented_batches_are_the_same_as_on_the_cpu():
    there, here = batches_on(GPU), batches_on(CPU)
    assert torch.equal(there.order(0).cpu(), here.order(0))
    a, b = (source.batch(source.order(0), 0, 1) for source in (there, here))
    assert_near([a.pose2d.cpu(), a.pose3d.cpu()], [b.pose2d, b.pose3d])


def test_steps_give_the_losses_of_the_cpu(tmp_path, small_scales):
    losses = {}
    for device in (CPU, GPU):
        learner = build_learner(config(tmp_path), network(small_scales, device), small_scales, [device])
        losses[device] = steps(learner, batches_on(device))
    assert losses[GPU] == pytest.approx(losses[CPU], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiled_steps_give_the_losses_of_uncompiled_ones_over_two_epochs(tmp_path, small_scales, precision):
    losses = {}
    for compiling in ("off", "on"):
        cfg = config(tmp_path, compile=compiling, precision=precision)
        learner, batches = build_learner(cfg, network(small_scales), small_scales, [GPU]), batches_on(GPU)
        losses[compiling] = steps(learner, batches) + steps(learner, batches)  # the short batch between others
    assert losses["on"] == pytest.approx(losses["off"], rel=1e-3 if precision == "fp32" else 0.05)


@pytest.mark.parametrize(
    "train",
    [{}, {"precision": "bf16"}, {"optimizer": "sgd"}, {"average_weights": 0.9}, {"loss": "mpjpe"}],
    ids=["published", "bf16", "sgd", "average of weights", "mean distance"],
)
def test_a_step_never_waits_for_the_gpu(tmp_path, small_scales, train):
    learner, batches = (
        build_learner(config(tmp_path, **train), network(small_scales), small_scales, [GPU]),
        batches_on(GPU),
    )
    order = batches.order(0)
    learner.step(0, batches.batch(order, 0, 0))  # first uses of libraries may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        learner.step(1, batches.batch(order, 0, 1), batches.weight(1))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert learner.skipped_steps() == []


def test_a_step_that_is_not_finite_changes_nothing(tmp_path, small_scales):
    learner, batches = (
        build_learner(
            config(tmp_path),
            network(small_scales),
            small_scales,
            [GPU],
        ),
        batches_on(GPU),
    )
    learner.guard.allowed = 1
    steps(learner, batches, range(1))
    before = copy.deepcopy(learner.state())
    batch = batches.batch(batches.order(0), 0, 1)
    learner.step(1, replace(batch, pose3d=torch.full_like(batch.pose3d, float("nan"))))
    assert [skipped.step for skipped in learner.skipped_steps()] == [1]
    after = learner.state()
    for name, value in before["model_state_dict"].items():
        if value.is_floating_point():
            assert torch.equal(after["model_state_dict"][name], value), name
    for state, kept in zip(
        after["optim_state_dict"]["state"].values(), before["optim_state_dict"]["state"].values(), strict=True
    ):
        assert all(torch.equal(state[name], kept[name]) for name in state)


@pytest.mark.parametrize("written_on", [CPU, GPU], ids=["cpu", "gpu"])
def test_a_run_goes_on_from_a_checkpoint_of_either_device(tmp_path, small_scales, written_on):
    first = trainer_on(written_on, config(tmp_path), small_scales)
    first.train()
    path = first.checkpoints.folder / "last.pth.tar"
    cfg = config(tmp_path, end_epoch=2)
    resumed = trainer_on(GPU, cfg, small_scales, RunDir(path.parent.parent))
    resumed.restore(path, checkpoint.read(path))
    resumed.train()
    whole = trainer_on(GPU, cfg, small_scales)
    whole.train()
    a, b = (t.progress.log[-1] for t in (resumed, whole))
    assert a["epoch"] == b["epoch"] == cfg.TRAIN.end_epoch
    assert a["loss"] == pytest.approx(b["loss"], rel=0.02)
    assert a["test"]["mpjpe"] == pytest.approx(b["test"]["mpjpe"], rel=0.05)


def test_one_rank_of_nccl_takes_the_steps_of_a_process_alone(tmp_path, small_scales):
    cfg, batches = config(tmp_path), batches_on(GPU)
    alone = steps(build_learner(cfg, network(small_scales), small_scales, [GPU]), batches)
    store = f"file://{tmp_path}/store"
    dist.init_process_group("cpu:gloo,cuda:nccl", init_method=store, rank=0, world_size=1)
    try:
        model = network(small_scales)
        learner = build_learner(cfg, model, small_scales, [GPU])
        learner.forward = distribute(model, sync_bn=True)
        assert steps(learner, batches) == pytest.approx(alone, rel=1e-3)
    finally:
        dist.destroy_process_group()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_data_parallel_trains_and_predicts_on_both_gpus(tmp_path, small_scales, precision):
    devices = [GPU, torch.device("cuda", 1)]
    model, batches = network(small_scales), batches_on(GPU)
    used = []
    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda module, x, y: used.append((y.device, y.dtype)) if type(module).__name__ == "SemGraphConv" else None
    )
    learner = build_learner(config(tmp_path, precision=precision), model, small_scales, devices)
    try:
        assert all(np.isfinite(steps(learner, batches)))
        assert {device for device, _ in used} == set(devices)
        assert {dtype for _, dtype in used} == {torch.bfloat16 if precision == "bf16" else torch.float32}
        used.clear()
        both = predict(data_parallel(model, devices), TEST_TABLE.pose2d, 7, GPU)
        assert {device for device, _ in used} == set(devices)
    finally:
        hook.remove()
    one = predict(model, TEST_TABLE.pose2d, 7, GPU)
    np.testing.assert_allclose(both.pose3d, one.pose3d, atol=1e-2)  # mm


@pytest.mark.parametrize("count", [1, 7, 500])
def test_prediction_gives_what_the_cpu_gives(small_scales, count):
    model = network(small_scales, CPU)
    randomise(model)
    folded, pose2d = fold(model.eval()), torch.rand(count, 5, 2) * 2 - 1
    here, there = evaluate_in_parts(folded, pose2d), evaluate_in_parts(copy.deepcopy(folded).to(GPU), pose2d.to(GPU))
    assert_near(outputs_of(there), outputs_of(here))


def test_a_lifter_gives_what_it_gives_on_the_cpu(tmp_path):
    weights = save_tiny_weights(tmp_path / "w.pth.tar")
    keypoints = np.random.default_rng(0).uniform(300, 700, (9, 17, 2))
    here, there = (Lifter(weights, device)(keypoints, (1280, 720)) for device in (CPU, GPU))
    np.testing.assert_allclose(there.pose3d, here.pose3d, atol=1e-4)
