import json
import os
import re
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lib import checkpoint
from lib.config import AugConfig, Config, DatasetConfig, ModelConfig, RunConfig, TestConfig, TrainConfig
from lib.errors import Stopped, UserError
from lib.evaluation.report import evaluate
from lib.models.factory import load_network
from lib.models.hgn import HGN
from lib.pose_table import PoseTable
from lib.run_dir import RunDir, create_run_dir
from lib.training.augment import DetectionNoise
from lib.training.batches import Augmentation, BatchSource
from lib.training.factory import build_learner
from lib.training.interrupt import StopRequest
from lib.training.schedule import step_factor
from lib.training.trainer import Trainer
from tests.conftest import make_small_scales
from tests.tables import FIVE_JOINTS, random_table
from tests.trainers import assemble

CPU = torch.device("cpu")
TRAIN_TABLE = random_table(23, joints=FIVE_JOINTS)  # 3 batches of 6 and one of 5
TEST_TABLE = random_table(7, seed=1, joints=FIVE_JOINTS)


def leave_curves_out(patch) -> None:
    patch.setattr("lib.training.reporter.draw_curves", lambda log, loss, error: loss.write_bytes(b"curve"))


@pytest.fixture(autouse=True)
def no_plots(monkeypatch):
    leave_curves_out(monkeypatch)


def config(folder, **train) -> Config:
    defaults = {"batch_size": 6, "end_epoch": 1, "lr": 1e-3}
    return Config(
        DatasetConfig(("Human36M",), ("Human36M",)),
        ModelConfig(hidden_dim=4),
        TrainConfig(**{**defaults, **train}),
        AugConfig(),
        TestConfig(batch_size=7),
        RunConfig(str(folder)),
    )


STEPS = [5, *(pytest.param(steps, marks=pytest.mark.slow) for steps in (1, 4))]
"""After which a run is taken up again: in the second epoch, in the first, between them."""

NOISY = Augmentation(FIVE_JOINTS.flip_permutation, True, 20.0, noise=DetectionNoise((0.0,), (2.0,), (0.1,), (384, 288)))


def make_trainer(cfg, scales, run=None, seed=0, train=TRAIN_TABLE, tests=None, kind=Trainer) -> Trainer:
    torch.manual_seed(seed)
    model = HGN(scales, cfg.MODEL.hidden_dim)
    batches = BatchSource([train], CPU, cfg.TRAIN.batch_size, cfg.TRAIN.shuffle, seed, NOISY)
    tests = {"Human36M": TEST_TABLE} if tests is None else tests
    return assemble(cfg, model, scales, batches, tests, run or create_run_dir(cfg), kind=kind)


@pytest.fixture
def trainer(tmp_path, small_scales):
    return make_trainer(config(tmp_path), small_scales)


def weights_of(trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.learner.model.state_dict().items()}


def step(trainer) -> dict[str, torch.Tensor]:
    """The next step of the first epoch, alone."""
    progress = trainer.progress
    batch = trainer.batches.batch(trainer.batches.order(0), 0, progress.step)
    return trainer.learner.step(progress.step, batch)


def before_each_step(trainer, action) -> None:
    """Have the trainer call `action` before every step that it takes."""
    take = trainer.learner.step

    def act_and_take(*arguments):
        action()
        return take(*arguments)

    trainer.learner.step = act_and_take


def run_of(trainer) -> RunDir:
    return trainer.reporter.run


def equal(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- training


def test_the_rate_of_an_epoch_is_set_and_logged(trainer):
    trainer.settings = replace(trainer.settings, lr_step=(1,), lr_factor=0.1)
    trainer.train()
    np.testing.assert_allclose([entry["lr"] for entry in trainer.progress.log], [1e-3, 1e-4])
    np.testing.assert_allclose(trainer.learner.optimizer.param_groups[0]["lr"], 1e-4)


def test_every_step_has_its_own_part_of_the_rate(tmp_path, small_scales):
    cfg, rates = config(tmp_path, scheduler="cosine", warmup_epochs=0.5, lr=0.01), []
    trainer = make_trainer(cfg, small_scales)
    before_each_step(trainer, lambda: rates.append(trainer.learner.rate))
    trainer.train()
    wanted = [0.01 * step_factor(cfg.TRAIN, epoch, number, 4) for epoch in range(2) for number in range(4)]
    assert rates == pytest.approx(wanted)
    assert len(set(rates)) > 4


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_every_optimizer_trains(tmp_path, small_scales, name):
    trainer = make_trainer(config(tmp_path, optimizer=name, end_epoch=0), small_scales)
    before = weights_of(trainer)
    trainer.train()
    assert type(trainer.learner.optimizer).__name__.lower() == name
    assert not equal(before, weights_of(trainer))


def test_training_lowers_the_loss_and_the_error_of_what_it_trains_on(tmp_path, small_scales):
    trainer = make_trainer(config(tmp_path, end_epoch=3, lr=3e-2), small_scales, tests={"train": TRAIN_TABLE})
    trainer.batches.augmentation = Augmentation(FIVE_JOINTS.flip_permutation)
    trainer.train()
    assert trainer.progress.log[-1]["loss"] < 0.5 * trainer.progress.log[0]["loss"]
    assert trainer.progress.log[-1]["test"]["mpjpe"] < 0.8 * trainer.progress.log[0]["test"]["mpjpe"]


def test_the_log_has_the_mean_of_every_loss_and_the_test_of_every_epoch(trainer):
    trainer.train()
    lines = (run_of(trainer).root / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == trainer.progress.log
    assert [entry["epoch"] for entry in trainer.progress.log] == [0, 1]
    for entry in trainer.progress.log:
        np.testing.assert_allclose(entry["loss"], sum(entry[f"loss_{n}"] for n in ("joint", "mesh_0", "mesh_1")))
        assert entry["test"]["mpjpe"] == entry["test"]["sets"]["Human36M"]["mpjpe"]
        assert "chosen on these very subjects" in entry["test"]["sets"]["Human36M"]["protocol"]
    report, _ = trainer.evaluator.run("Human36M", trainer.learner.model, "")
    assert report.mpjpe == trainer.progress.log[-1]["test"]["mpjpe"]


def test_one_step_is_the_gradient_clipped_to_one(tmp_path, small_scales):
    trainer = make_trainer(config(tmp_path, optimizer="sgd", lr=1.0, momentum=0.0, nesterov=False), small_scales)
    trainer.learner.model.train()
    before = [p.detach().clone() for p in trainer.learner.model.parameters()]
    step(trainer)
    change = torch.cat(
        [(p.detach() - q).flatten() for p, q in zip(trainer.learner.model.parameters(), before, strict=True)]
    )
    assert abs(float(change.norm()) - 1) < 1e-3


def test_a_last_batch_of_one_sample_trains(tmp_path, small_scales):
    table = TRAIN_TABLE.take(np.arange(9))
    make_trainer(config(tmp_path, end_epoch=0), small_scales, train=table).train()


def test_same_seed_same_weights_bit_for_bit_another_seed_other_weights(tmp_path, small_scales):
    runs = []
    for seed in (0, 0, 1):
        trainer = make_trainer(config(tmp_path), small_scales, seed=seed)
        torch.rand(3)  # what else uses the global random state plays no part
        trainer.train()
        runs.append(weights_of(trainer))
    assert equal(runs[0], runs[1])
    assert not equal(runs[0], runs[2])


def test_several_test_sets_are_reported_each_and_the_best_epoch_goes_by_their_mean(tmp_path, small_scales):
    tests = {"a": TEST_TABLE, "b": TRAIN_TABLE}
    trainer = make_trainer(config(tmp_path, end_epoch=0), small_scales, tests=tests)
    trainer.train()
    sets = trainer.progress.log[0]["test"]["sets"]
    assert list(sets) == ["a", "b"]
    np.testing.assert_allclose(trainer.progress.best_error, (sets["a"]["mpjpe"] + sets["b"]["mpjpe"]) / 2)


# --- checkpoints of a run


def names_in(run: RunDir) -> list[str]:
    return sorted(p.name.removesuffix(".pth.tar") for p in run.checkpoint.iterdir())


class ScriptedEvaluator:
    """Reports test errors from a list in place of the real ones."""

    tables = ("Human36M",)

    def __init__(self, *errors: float):
        self.errors = iter(errors)

    def run(self, name, model, weights, note):
        zero = np.zeros((1, 5, 3))
        return replace(evaluate(zero, zero, np.array(["Walking"])), mpjpe=next(self.errors)), None


def test_last_previous_and_best_are_kept_and_of_the_others_as_many_as_asked_for(tmp_path, small_scales):
    trainer = make_trainer(config(tmp_path, end_epoch=3, keep=2), small_scales)
    trainer.evaluator = ScriptedEvaluator(50.0, 40.0, 45.0, 42.0)
    trainer.train()
    assert names_in(run_of(trainer)) == ["best", "epoch_0002", "epoch_0003", "last", "previous"]
    read = {name: checkpoint.read(run_of(trainer).checkpoint / f"{name}.pth.tar") for name in names_in(run_of(trainer))}
    assert {name: content["epoch"] for name, content in read.items()} == {
        "best": 2, "epoch_0002": 3, "epoch_0003": 4, "last": 4, "previous": 3,
    }  # fmt: skip
    assert trainer.progress.best_error == 40.0


def test_a_checkpoint_holds_all_that_is_needed_to_go_on_and_to_test(trainer):
    trainer.train()
    content = checkpoint.read(run_of(trainer).checkpoint / "last.pth.tar")
    assert {
        "config", "scales", "joint_names", "model_state_dict", "optim_state_dict", "random_state", "epoch", "step", "log",
        "seed", "samples", "versions",
    } <= content.keys()  # fmt: skip
    assert content["joint_names"] == list(FIVE_JOINTS.names)
    assert content["versions"]["torch"] == torch.__version__
    assert equal(content["model_state_dict"], trainer.learner.model.state_dict())


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.slow
def test_a_run_taken_up_after_any_step_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, small_scales, steps):
    cfg = config(tmp_path)
    whole = make_trainer(cfg, small_scales)
    whole.train()

    halted = make_trainer(cfg, small_scales)

    def halt():
        if (halted.progress.epoch, halted.progress.step) == divmod(steps, 4):
            halted.checkpoints.save("last", halted.state())
            raise Stopped(1)

    before_each_step(halted, halt)
    with pytest.raises(Stopped):
        halted.train()
    resumed = make_trainer(cfg, small_scales, run=run_of(halted))
    with torch.no_grad():
        for p in resumed.learner.model.parameters():
            p.zero_()
    path = run_of(halted).checkpoint / "last.pth.tar"
    resumed.restore(path, checkpoint.read(path))
    assert (resumed.progress.epoch, resumed.progress.step) == divmod(steps, 4)
    resumed.train()
    assert equal(weights_of(resumed), weights_of(whole))
    for a, b in zip(resumed.progress.log, whole.progress.log, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}


def test_a_signal_saves_after_the_step_and_stops(trainer):
    def signal_once():
        if (trainer.progress.epoch, trainer.progress.step) == (0, 2):
            os.kill(os.getpid(), signal.SIGTERM)

    before_each_step(trainer, signal_once)
    with pytest.raises(Stopped) as stopped:
        trainer.train()
    assert stopped.value.code == 143
    content = checkpoint.read(run_of(trainer).checkpoint / "last.pth.tar")
    assert (content["epoch"], content["step"]) == (0, 3)


def saves_of(trainer) -> list[tuple[str, int, int]]:
    """A list that gets the name, epoch and step of every checkpoint that the trainer writes from now on."""
    saves, save = [], trainer.checkpoints.save

    def note(name, state):
        saves.append((name, state["epoch"], state["step"]))
        save(name, state)

    trainer.checkpoints.save = note
    return saves


def test_a_checkpoint_inside_an_epoch_is_written_when_its_time_has_come(tmp_path, small_scales):
    trainer = make_trainer(config(tmp_path, end_epoch=0, checkpoint_minutes=1e-9), small_scales)
    saves = saves_of(trainer)
    trainer.train()
    assert saves == [("last", 0, k) for k in range(1, 4)] + [("best", 1, 0), ("last", 1, 0)]


def test_the_best_checkpoint_is_written_before_the_last_so_that_a_kill_between_them_loses_none(tmp_path, small_scales):
    trainer = make_trainer(config(tmp_path, end_epoch=0, keep=1), small_scales)
    saves = saves_of(trainer)
    trainer.train()
    assert [name for name, *_ in saves] == ["best", "epoch_0000", "last"]


# --- what a resumed run must not accept


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The last checkpoint of a run."""
    trainer = make_trainer(config(tmp_path_factory.mktemp("finished")), make_small_scales())
    with pytest.MonkeyPatch.context() as patch:
        leave_curves_out(patch)
        trainer.train()
    return run_of(trainer).checkpoint / "last.pth.tar"


@pytest.fixture
def saved(finished):
    """That checkpoint and its content, which may be changed."""
    return finished, checkpoint.read(finished)


def test_another_seed_cannot_go_on(saved, tmp_path, small_scales):
    with pytest.raises(UserError, match="was trained with --seed 0, not 1"):
        make_trainer(config(tmp_path), small_scales, seed=1).restore(*saved)


def test_other_data_cannot_go_on(saved, tmp_path, small_scales):
    few = make_trainer(config(tmp_path), small_scales, train=TRAIN_TABLE.take(np.arange(8)))
    with pytest.raises(
        UserError, match=r"trained on \[23\] samples .*here are \[8\]; give the same data \(and --debug\)"
    ):
        few.restore(*saved)


def test_another_network_cannot_go_on(saved, tmp_path, small_scales):
    path, content = saved
    content["config"]["MODEL"]["hidden_dim"] = 6
    wide = make_trainer(replace(config(tmp_path), MODEL=ModelConfig(hidden_dim=6)), small_scales)
    with pytest.raises(UserError, match="do not fit"):
        wide.restore(path, content)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"TRAIN": {"batch_size": 5}}, "TRAIN.batch_size 6, not 5"),
        ({"TRAIN": {"average_weights": 0.5}}, "TRAIN.average_weights 0.0, not 0.5"),
        ({"MODEL": {"fusion": "parallel"}}, "MODEL.fusion released, not parallel"),
        ({"AUG": {"flip": True}}, "AUG.flip False, not True"),
        ({"DATASET": {"use_gt_input": False}}, "DATASET.use_gt_input True, not False"),
    ],
)
def test_another_configuration_cannot_go_on_and_the_key_is_named(saved, tmp_path, small_scales, changed, words):
    cfg = config(tmp_path)
    for section, keys in changed.items():
        cfg = replace(cfg, **{section: replace(getattr(cfg, section), **keys)})
    with pytest.raises(UserError, match=re.escape(words)):
        make_trainer(cfg, small_scales).restore(*saved)


def test_where_things_are_how_they_are_computed_and_the_rate_may_change(saved, tmp_path, small_scales):
    cfg = config(tmp_path, lr=1e-4, end_epoch=9, keep=3, compile="off", checkpoint_minutes=1.0)
    cfg = replace(cfg, DATASET=replace(cfg.DATASET, data_dir="elsewhere", workers=5), RUN=RunConfig("elsewhere"))
    resumed = make_trainer(cfg, small_scales, run=RunDir(saved[0].parent.parent))
    resumed.restore(*saved)
    assert resumed.progress.epoch == 2


def test_with_a_cosine_the_last_epoch_may_not_change(tmp_path, small_scales):
    trainer = make_trainer(config(tmp_path, scheduler="cosine"), small_scales)
    content = trainer.checkpoints.run | trainer.state()
    with pytest.raises(UserError, match=r"TRAIN\.end_epoch 1, not 4"):
        make_trainer(config(tmp_path, scheduler="cosine", end_epoch=4), small_scales).restore("old", content)


def test_a_checkpoint_from_before_a_key_existed_goes_on_with_its_default(saved, tmp_path, small_scales):
    path, content = saved
    del content["config"]["TRAIN"]["average_weights"]
    make_trainer(config(tmp_path), small_scales, run=RunDir(path.parent.parent)).restore(path, content)


@pytest.mark.parametrize(
    "key", ["optim_state_dict", "epoch", "step", "log", "loss_sums", "random_state", "seed", "samples"]
)
def test_a_checkpoint_that_no_training_run_wrote_cannot_go_on(saved, tmp_path, small_scales, key):
    path, content = saved
    del content[key]
    with pytest.raises(UserError, match="cannot be resumed"):
        make_trainer(config(tmp_path), small_scales).restore(path, content)


def test_the_gradients_of_the_step_before_are_gone_before_the_forward_pass(trainer):
    """A compiled network's forward pass may take over the memory in which they lie."""
    learner, seen = trainer.learner, []
    forward = learner.forward

    def look(pose2d):
        seen.append([p.grad for p in learner.model.parameters() if p.grad is not None])
        return forward(pose2d)

    learner.forward = look
    step(trainer)
    step(trainer)
    assert seen == [[], []]


def test_an_optimizer_is_fused_here_whatever_wrote_its_state_and_knows_before_it_places_the_step_counts(
    saved, tmp_path, small_scales, monkeypatch
):
    path, content = saved
    for group in content["optim_state_dict"]["param_groups"]:
        group["fused"] = None
    trainer = make_trainer(config(tmp_path), small_scales, run=RunDir(path.parent.parent))
    loaded, optimizer = [], trainer.learner.optimizer
    load = optimizer.load_state_dict
    monkeypatch.setattr(optimizer, "load_state_dict", lambda state: loaded.append(state) or load(state))
    trainer.restore(path, content)
    assert [group["fused"] for group in loaded[0]["param_groups"]] == [True]
    assert optimizer.param_groups[0]["fused"] is True


# --- a device that is not waited for


class Strict(TorchDispatchMode):
    """Lets no copy from the CPU through that the host would wait for, nor any other meeting of two devices."""

    copies = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and args[0].device != kwargs.get("device", args[0].device):
            assert kwargs.get("non_blocking"), "a copy that the host waits for"
            self.copies += 1
        else:
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            assert len({tensor.device.type for tensor in tensors}) <= 1, f"{func} on two devices"
        return func(*args, **kwargs)


class KernelOnly(torch.optim.SGD):
    """Stands for a fused optimiser, whose step is one kernel, where the device has none."""

    _step_supports_amp_scaling = True

    def step(self):
        assert self.found_inf.device.type == "meta"


@pytest.mark.parametrize(
    ("losses", "options"),
    [
        ({}, {}),
        ({"normal_loss_weight": 0.1, "edge_loss_weight": 20.0}, {}),
        ({}, {"loss": "mpjpe", "average_weights": 0.9}),
    ],
    ids=["published", "all losses", "mean distance and average of weights"],
)
def test_the_host_waits_for_nothing_in_a_step(monkeypatch, tmp_path, small_scales, losses, options):
    """On torch's meta device no tensor has values: whoever asks for one, as in `if loss > 0`, fails."""
    monkeypatch.setattr("lib.training.factory.build_optimizer", lambda train, model: KernelOnly(model.parameters()))
    meta, cfg = torch.device("meta"), config(tmp_path, **options)
    scales = [small_scales[0], *(replace(s, faces=np.array([[0, 1, 2], [2, 3, 4]])) for s in small_scales[1:])]
    noise = DetectionNoise((0.0, 1.0, 0.0, 1.0, 0.0), (2.0,), (0.1,), (384, 288))
    every = Augmentation(FIVE_JOINTS.flip_permutation, True, 20.0, view_probability=0.5, noise=noise)
    batches = BatchSource([TRAIN_TABLE], meta, 6, True, 0, every)
    model = HGN(scales, 4).to(meta)
    cfg = replace(cfg, MODEL=replace(cfg.MODEL, **losses))
    learner = build_learner(cfg, model, scales, [meta])
    order = batches.order(0)
    monkeypatch.setattr(torch.Tensor, "new_tensor", None, raising=False)  # copies that dispatch does not see
    tensor = torch.tensor
    monkeypatch.setattr(torch, "tensor", lambda *values, dtype=None: tensor(*values, dtype=dtype))
    with Strict() as strict:
        losses = learner.step(0, batches.batch(order, 0, 0), batches.weight(0))
    assert strict.copies == 5  # the order, and the random numbers of each augmentation in one copy
    with pytest.raises(RuntimeError, match="meta"):
        float(losses["joint"])
    with pytest.raises(RuntimeError, match="meta"):
        learner.skipped_steps()


# --- losses that are not finite


def poisoned(row: int = 11) -> PoseTable:
    pose3d = TRAIN_TABLE.pose3d.copy()
    pose3d[row, 3] = np.nan
    return replace(TRAIN_TABLE, pose3d=pose3d)


def test_a_loss_that_is_not_finite_stops_with_epoch_batch_and_samples_and_the_weights_untouched(tmp_path, small_scales):
    cfg = config(tmp_path, batch_size=3)
    trainer = make_trainer(cfg, small_scales, train=poisoned())
    names = [trainer.batches.sample_names(trainer.batches.order(0), step) for step in range(8)]
    bad = next(k for k, n in enumerate(names) if "picture_000011.jpg" in n)
    good = make_trainer(cfg, small_scales)

    def halt():
        if good.progress.step == bad:
            raise Stopped(1)

    before_each_step(good, halt)
    with pytest.raises(Stopped):
        good.train()
    with pytest.raises(UserError) as raised:
        trainer.train()
    message = str(raised.value)
    assert message.startswith(f"epoch 0, batch {bad}: the loss is nan")
    assert all(name in message for name in names[bad])
    assert "TRAIN.skip_nonfinite" in message
    before, after = weights_of(good), weights_of(trainer)
    counters = [name for name in after if name.endswith("num_batches_tracked")]
    for name in counters:  # counts that nothing reads
        del before[name], after[name]
    assert counters
    assert equal(before, after)


def test_as_many_steps_as_allowed_are_left_out_and_told(tmp_path, small_scales, capfd):
    trainer = make_trainer(config(tmp_path, skip_nonfinite=2), small_scales, train=poisoned())
    trainer.train()
    assert trainer.progress.skipped == 2
    assert all(np.isfinite(entry["loss"]) for entry in trainer.progress.log)
    assert all(torch.isfinite(p).all() for p in trainer.learner.model.parameters())
    out = capfd.readouterr()
    assert "skipped, 1 of 2" in out.out + out.err
    assert "skipped, 2 of 2" in out.out + out.err
    third = make_trainer(config(tmp_path, skip_nonfinite=2, end_epoch=2), small_scales, train=poisoned())
    with pytest.raises(UserError, match="epoch 2"):
        third.train()


@pytest.mark.parametrize("print_freq", [1, 3, 100])
def test_training_stops_at_the_next_update_of_the_progress_bar(tmp_path, small_scales, print_freq):
    cfg = config(tmp_path, batch_size=3, print_freq=print_freq)
    second_batch = make_trainer(cfg, small_scales).batches.order(0)[3:6]
    trainer = make_trainer(cfg, small_scales, train=poisoned(int(second_batch[0])))
    with pytest.raises(UserError, match="batch 1: the loss is nan"):
        trainer.train()
    assert trainer.progress.step == {1: 2, 3: 3, 100: 8}[print_freq]


@pytest.mark.parametrize("allowed", [0, pytest.param(1, marks=pytest.mark.slow), 2])
@pytest.mark.slow
def test_a_resumed_run_trains_on_whatever_number_of_left_out_steps_is_allowed_now(tmp_path, small_scales, allowed):
    trainer = make_trainer(config(tmp_path, skip_nonfinite=2, end_epoch=0), small_scales, train=poisoned())
    trainer.train()
    path = run_of(trainer).checkpoint / "last.pth.tar"
    content = checkpoint.read(path)
    resumed = make_trainer(config(tmp_path, skip_nonfinite=allowed), small_scales, run=run_of(trainer))
    resumed.restore(path, content)
    before = weights_of(resumed)
    resumed.train()
    assert not equal(weights_of(resumed), before)
    assert resumed.progress.log[1]["loss"] > 0
    spoilt = make_trainer(config(tmp_path, skip_nonfinite=allowed, end_epoch=2), small_scales, train=poisoned())
    spoilt.restore(path, content)
    with pytest.raises(UserError, match=f"epoch {max(allowed, 1)}, "):
        spoilt.train()


def test_a_checkpoint_of_an_optimizer_that_was_not_fused_goes_on_fused(tmp_path, small_scales):
    cfg = config(tmp_path, optimizer="sgd", end_epoch=0)
    trainer = make_trainer(cfg, small_scales)
    content = trainer.checkpoints.run | trainer.state()
    for group in content["optim_state_dict"]["param_groups"]:
        group["fused"] = None
    trainer.restore("old", content)
    before = weights_of(trainer)
    trainer.train()
    assert not equal(weights_of(trainer), before)


def test_a_rate_that_explodes_is_told_and_spoils_no_checkpoint(tmp_path, small_scales):
    trainer = make_trainer(config(tmp_path, optimizer="sgd", lr=1e30, checkpoint_minutes=1e9), small_scales)
    with pytest.raises(UserError, match=r"not finite|the loss is"):
        trainer.train()
    assert names_in(run_of(trainer)) == []


# --- a disk that is full


def test_a_log_or_curve_that_cannot_be_written_costs_a_line_not_the_run(trainer, monkeypatch, capfd):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lib.training.reporter.draw_curves", full)
    trainer.train()
    assert trainer.progress.epoch == 2
    out = capfd.readouterr()
    assert (out.out + out.err).count("log and curves could not be written (No space left on device); going on") == 2
    assert names_in(run_of(trainer)) == ["best", "last", "previous"]


def test_stop_requests_are_only_listened_to_while_training(trainer):
    before = signal.getsignal(signal.SIGTERM)
    trainer.train()
    assert signal.getsignal(signal.SIGTERM) is before
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) is not before


# --- an average of weights


AVERAGED = {"average_weights": 0.8, "loss": "mpjpe", "scheduler": "cosine", "warmup_epochs": 0.5}


@pytest.mark.parametrize("steps", STEPS)
def test_with_every_recipe_option_a_run_taken_up_after_any_step_ends_as_an_uninterrupted_one(
    tmp_path, small_scales, steps
):
    whole, resumed = (make_trainer(config(tmp_path, **AVERAGED), small_scales) for _ in range(2))
    whole.train()
    halted = make_trainer(config(tmp_path, **AVERAGED), small_scales)

    def halt():
        if (halted.progress.epoch, halted.progress.step) == divmod(steps, 4):
            halted.checkpoints.save("last", halted.state())
            raise Stopped(1)

    before_each_step(halted, halt)
    with pytest.raises(Stopped):
        halted.train()
    path = run_of(halted).checkpoint / "last.pth.tar"
    resumed.restore(path, checkpoint.read(path))
    resumed.train()
    assert equal(weights_of(resumed), weights_of(whole))
    assert equal(resumed.learner.network.state_dict(), whole.learner.network.state_dict())
    assert [e["test"] for e in resumed.progress.log] == [e["test"] for e in whole.progress.log]
    assert [e["lr"] for e in resumed.progress.log] == [e["lr"] for e in whole.progress.log]


def test_the_average_is_what_is_tested_and_kept_as_the_network_of_a_checkpoint(tmp_path, small_scales):
    trainer = make_trainer(config(tmp_path, **AVERAGED), small_scales)
    trainer.train()
    content = checkpoint.read(run_of(trainer).checkpoint / "last.pth.tar")
    model, _, _ = load_network(run_of(trainer).checkpoint / "last.pth.tar", config(tmp_path), None)
    assert equal(content["trained_state_dict"], trainer.learner.model.state_dict())
    assert not equal(content["model_state_dict"], content["trained_state_dict"])
    report, _ = trainer.evaluator.run("Human36M", model, "")
    assert report.mpjpe == trainer.progress.log[-1]["test"]["mpjpe"]


def test_averaging_and_gathering_statistics_leave_the_training_of_the_weights_as_it_is(tmp_path, small_scales):
    plain, averaged = (make_trainer(config(tmp_path, average_weights=a), small_scales) for a in (0.0, 0.8))
    plain.train()
    averaged.train()
    assert equal(weights_of(plain), weights_of(averaged))


def test_a_diverged_step_touches_the_average_no_more_than_the_weights(tmp_path, small_scales):
    trainer = make_trainer(config(tmp_path, average_weights=0.8, skip_nonfinite=2), small_scales, train=poisoned())
    trainer.train()
    assert trainer.progress.skipped == 2
    assert all(torch.isfinite(value).all() for value in trainer.learner.network.state_dict().values())
