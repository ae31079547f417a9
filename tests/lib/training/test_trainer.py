import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lib import checkpoint
from lib.config import AugConfig, Config, DatasetConfig, ModelConfig, RunConfig, TestConfig, TrainConfig
from lib.errors import Stopped, UserError
from lib.evaluation.evaluate import describe_protocol, evaluate_table, predict
from lib.joints import HUMAN36M_17
from lib.models.hgn import HGN
from lib.pose_table import PoseTable
from lib.run_dir import RunDir, create_run_dir
from lib.training.augment import DetectionNoise
from lib.training.batches import Augmentation, BatchSource
from lib.training.interrupt import StopRequest
from lib.training.losses import LossWeights
from lib.training.schedule import learning_rate
from lib.training.trainer import Trainer
from tests.tables import FIVE_JOINTS, random_table

CPU = torch.device("cpu")
TRAIN_TABLE = random_table(23, joints=FIVE_JOINTS)  # 3 batches of 6 and one of 5
TEST_TABLE = random_table(7, seed=1, joints=FIVE_JOINTS)


@pytest.fixture(autouse=True)
def no_plots(monkeypatch):
    monkeypatch.setattr("lib.training.trainer.draw_curves", lambda log, loss, error: loss.write_bytes(b"curve"))


def config(folder, **train) -> Config:
    defaults = {"batch_size": 6, "end_epoch": 2, "lr": 1e-3}
    return Config(
        DatasetConfig(("Human36M",), ("Human36M",)),
        ModelConfig(hidden_dim=4),
        TrainConfig(**{**defaults, **train}),
        AugConfig(),
        TestConfig(batch_size=7),
        RunConfig(str(folder)),
    )


NOISY = Augmentation(FIVE_JOINTS.flip_permutation, True, 20.0, noise=DetectionNoise((0.0,), (2.0,), (0.1,), (384, 288)))


def make_trainer(cfg, scales, run=None, seed=0, train=TRAIN_TABLE, tests=None, kind=Trainer) -> Trainer:
    torch.manual_seed(seed)
    model = HGN(scales, cfg.MODEL.hidden_dim)
    batches = BatchSource([train], CPU, cfg.TRAIN.batch_size, cfg.TRAIN.shuffle, seed, NOISY)
    tests = {"Human36M": TEST_TABLE} if tests is None else tests
    run = run or create_run_dir(cfg)
    return kind(cfg, model, scales, FIVE_JOINTS, LossWeights(), batches, tests, run, CPU, seed)


@pytest.fixture
def trainer(tmp_path, small_scales):
    return make_trainer(config(tmp_path), small_scales)


def weights_of(trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def equal(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- predicting and testing


class Echo(nn.Module):
    """Answers every pose with numbers that name it, and notes the batches it saw."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, pose2d):
        self.seen.append(pose2d[:, 0, 0].tolist())
        pose3d = torch.cat([pose2d, pose2d[..., :1]], -1)
        return type("Output", (), {"pose3d": pose3d, "meshes": (pose3d[:, :2], pose3d[:, :3])})()


def test_predictions_stand_in_the_samples_own_order_whatever_the_order_of_testing():
    pose2d = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((5, 4, 2), np.float32)
    model = Echo()
    predictions = predict(model, pose2d, 2, CPU, order=np.array([3, 0, 4, 1, 2]))
    assert model.seen == [[3, 0], [4, 1], [2]]
    np.testing.assert_array_equal(predictions.pose3d[:, 0, 0], [0, 1000, 2000, 3000, 4000])  # metres to mm
    np.testing.assert_array_equal(predictions.meshes[1][:, 0, 0], [0, 1, 2, 3, 4])  # metres
    assert [m.shape for m in predictions.meshes] == [(5, 2, 3), (5, 3, 3)]


def test_predicting_uses_running_statistics_and_leaves_them_alone(trainer):
    trainer.model.train()
    before = weights_of(trainer)
    one = predict(trainer.model, TEST_TABLE.pose2d, 3, CPU).pose3d
    assert not trainer.model.training
    np.testing.assert_allclose(one, predict(trainer.model, TEST_TABLE.pose2d, 7, CPU).pose3d, atol=1e-3)
    assert equal(before, weights_of(trainer))


def test_shuffled_testing_reports_the_same(trainer, tmp_path):
    cfg = config(tmp_path)
    shuffled = replace(cfg, TEST=replace(cfg.TEST, shuffle=True))
    (a, _), (b, _) = (evaluate_table(trainer.model, TEST_TABLE, c, CPU, "p", "w") for c in (cfg, shuffled))
    np.testing.assert_allclose(a.mpjpe, b.mpjpe, rtol=1e-6)
    assert list(a.per_action) == list(b.per_action)


def test_a_network_whose_output_is_not_finite_is_told_with_its_weights_name(trainer, tmp_path):
    with torch.no_grad():
        trainer.model.outputs[0].bias.fill_(float("nan"))
    with pytest.raises(UserError, match=r"epoch 3: .*not finite for 7 of 7 samples, the first is picture_000000"):
        evaluate_table(trainer.model, TEST_TABLE, config(tmp_path), CPU, "p", "epoch 3")


def test_the_protocol_says_split_count_input_and_that_the_root_counts():
    text = describe_protocol("Human36M", "test", TEST_TABLE, HUMAN36M_17)
    for words in ("Human36M", "test split", "7 samples", "ground-truth 2D", "17 joints", "own zero is included"):
        assert words in text
    detected = replace(TEST_TABLE, input2d="detected")
    assert "detected 2D" in describe_protocol("Human36M", "test", detected, HUMAN36M_17)


# --- schedule


def test_the_published_steps_multiply_the_rate_from_their_epoch_on():
    train = TrainConfig(lr=1e-3, lr_step=(20, 40, 60), lr_factor=0.9)
    rates = [learning_rate(train, epoch, []) for epoch in (0, 19, 20, 39, 40, 60, 149)]
    np.testing.assert_allclose(rates, [1e-3 * 0.9**k for k in (0, 0, 1, 1, 2, 3, 3)])


def test_a_plateau_of_five_tests_costs_one_factor():
    train = TrainConfig(lr=1.0, scheduler="plateau", lr_factor=0.5)
    errors = [50.0, 40.0, *[41.0] * 4, 39.999, *[45.0] * 5, *[44.0] * 5, 30.0]
    # 39.999 is less than 0.01 % better than 40, so it does not count: the fifth test in a row
    rates = [learning_rate(train, k, errors[:k]) for k in range(len(errors) + 1)]
    assert rates == [1.0] * 7 + [0.5] * 5 + [0.25] * 5 + [0.125] * 2
    assert learning_rate(train, 0, []) == 1.0


def test_the_rate_of_an_epoch_is_set_and_logged(trainer):
    trainer.cfg = replace(trainer.cfg, TRAIN=replace(trainer.cfg.TRAIN, lr_step=(1,), lr_factor=0.1))
    trainer.train()
    np.testing.assert_allclose([entry["lr"] for entry in trainer.log], [1e-3, 1e-4])
    np.testing.assert_allclose(trainer.optimizer.param_groups[0]["lr"], 1e-4)


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_every_optimizer_trains(tmp_path, small_scales, name):
    trainer = make_trainer(config(tmp_path, optimizer=name, end_epoch=1), small_scales)
    before = weights_of(trainer)
    trainer.train()
    assert type(trainer.optimizer).__name__.lower() == name
    assert not equal(before, weights_of(trainer))


# --- training


def test_training_lowers_the_loss_and_the_error_of_what_it_trains_on(tmp_path, small_scales):
    trainer = make_trainer(config(tmp_path, end_epoch=4, lr=3e-2), small_scales, tests={"train": TRAIN_TABLE})
    trainer.batches.augmentation = Augmentation(FIVE_JOINTS.flip_permutation)
    trainer.train()
    assert trainer.log[-1]["loss"] < 0.5 * trainer.log[0]["loss"]
    assert trainer.log[-1]["test"]["mpjpe"] < 0.8 * trainer.log[0]["test"]["mpjpe"]


def test_the_log_has_the_mean_of_every_loss_and_the_test_of_every_epoch(trainer):
    trainer.train()
    lines = (trainer.run.root / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == trainer.log
    assert [entry["epoch"] for entry in trainer.log] == [0, 1]
    for entry in trainer.log:
        np.testing.assert_allclose(entry["loss"], sum(entry[f"loss_{n}"] for n in ("joint", "mesh_0", "mesh_1")))
        assert entry["test"]["mpjpe"] == entry["test"]["sets"]["Human36M"]["mpjpe"]
        assert "chosen on these very test subjects" in entry["test"]["sets"]["Human36M"]["protocol"]
    report, _ = evaluate_table(trainer.model, TEST_TABLE, trainer.cfg, CPU, "", "")
    assert report.mpjpe == trainer.log[-1]["test"]["mpjpe"]


def test_one_step_is_the_gradient_clipped_to_one(tmp_path, small_scales):
    trainer = make_trainer(config(tmp_path, optimizer="sgd", lr=1.0), small_scales)
    trainer.model.train()
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer._train_step(trainer.batches.order(0))
    step = torch.cat([(p.detach() - q).flatten() for p, q in zip(trainer.model.parameters(), before, strict=True)])
    assert abs(float(step.norm()) - 1) < 1e-3


def test_a_last_batch_of_one_sample_trains(tmp_path, small_scales):
    table = TRAIN_TABLE.take(np.arange(9))
    make_trainer(config(tmp_path, end_epoch=1), small_scales, train=table).train()


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
    trainer = make_trainer(config(tmp_path, end_epoch=1), small_scales, tests=tests)
    trainer.train()
    sets = trainer.log[0]["test"]["sets"]
    assert list(sets) == ["a", "b"]
    np.testing.assert_allclose(trainer.best_error, (sets["a"]["mpjpe"] + sets["b"]["mpjpe"]) / 2)


# --- checkpoints of a run


def names_in(run: RunDir) -> list[str]:
    return sorted(p.name.removesuffix(".pth.tar") for p in run.checkpoint.iterdir())


class Scripted(Trainer):
    """Reports test errors from a list in place of the real ones."""

    errors = (50.0, 40.0, 45.0, 42.0)

    def _finish_epoch(self):
        error = self.errors[self.epoch]
        truth = TEST_TABLE.pose3d.copy()
        truth[:, 1:, 0] += error / 1000
        self.tests = {"Human36M": replace(TEST_TABLE, pose3d=truth)}
        super()._finish_epoch()


def test_last_previous_and_best_are_kept_and_of_the_others_as_many_as_asked_for(tmp_path, small_scales, monkeypatch):
    class Perfect(Scripted):
        pass

    trainer = make_trainer(config(tmp_path, end_epoch=4, keep=2), small_scales, kind=Perfect)
    zero = TEST_TABLE.pose3d * np.float32(1000)
    monkeypatch.setattr(
        "lib.evaluation.evaluate.predict", lambda *a, **k: type("P", (), {"pose3d": zero, "meshes": ()})()
    )  # off by what Scripted shifts the truth
    trainer.train()
    assert names_in(trainer.run) == ["best", "epoch_0002", "epoch_0003", "last", "previous"]
    read = {name: checkpoint.read(trainer.run.checkpoint / f"{name}.pth.tar") for name in names_in(trainer.run)}
    assert {name: content["epoch"] for name, content in read.items()} == {
        "best": 2, "epoch_0002": 3, "epoch_0003": 4, "last": 4, "previous": 3,
    }  # fmt: skip
    np.testing.assert_allclose(trainer.best_error, 40 * 4 / 5, rtol=1e-4)


def test_a_checkpoint_holds_all_that_is_needed_to_go_on_and_to_test(trainer):
    trainer.train()
    content = checkpoint.read(trainer.run.checkpoint / "last.pth.tar")
    assert {
        "config", "scales", "joint_names", "model_state_dict", "optim_state_dict", "random_state", "epoch", "step", "log",
        "seed", "samples", "versions",
    } <= content.keys()  # fmt: skip
    assert content["joint_names"] == list(FIVE_JOINTS.names)
    assert content["versions"]["torch"] == torch.__version__
    assert equal(content["model_state_dict"], trainer.model.state_dict())


@pytest.mark.parametrize("steps", [1, 4, 5])
def test_a_run_taken_up_after_any_step_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, small_scales, steps):
    cfg = config(tmp_path)
    whole = make_trainer(cfg, small_scales)
    whole.train()

    class Halting(Trainer):
        left = steps

        def _train_step(self, order):
            if self.left == 0:
                self.save("last")
                raise Stopped(1)
            self.left -= 1
            return super()._train_step(order)

    halted = make_trainer(cfg, small_scales, kind=Halting)
    with pytest.raises(Stopped):
        halted.train()
    resumed = make_trainer(cfg, small_scales, run=halted.run)
    with torch.no_grad():
        for p in resumed.model.parameters():
            p.zero_()
    path = halted.run.checkpoint / "last.pth.tar"
    resumed.restore(path, checkpoint.read(path))
    assert (resumed.epoch, resumed.step) == divmod(steps, 4)
    resumed.train()
    assert equal(weights_of(resumed), weights_of(whole))
    for a, b in zip(resumed.log, whole.log, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}


def test_a_signal_saves_after_the_step_and_stops(trainer, monkeypatch):
    original = Trainer._train_step

    def step_then_signal(self, order):
        if (self.epoch, self.step) == (0, 2):
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, order)

    monkeypatch.setattr(Trainer, "_train_step", step_then_signal)
    with pytest.raises(Stopped) as stopped:
        trainer.train()
    assert stopped.value.code == 143
    content = checkpoint.read(trainer.run.checkpoint / "last.pth.tar")
    assert (content["epoch"], content["step"]) == (0, 3)


def test_a_checkpoint_inside_an_epoch_is_written_when_its_time_has_come(tmp_path, small_scales):
    saved = []

    class Noting(Trainer):
        def save(self, name):
            saved.append((name, self.epoch, self.step))
            super().save(name)

    make_trainer(config(tmp_path, end_epoch=1, checkpoint_minutes=1e-9), small_scales, kind=Noting).train()
    assert saved == [("last", 0, k) for k in range(1, 4)] + [("best", 1, 0), ("last", 1, 0)]


def test_the_best_checkpoint_is_written_before_the_last_so_that_a_kill_between_them_loses_none(trainer):
    order = []
    save = trainer.save
    trainer.save = lambda name: (order.append(name), save(name))
    trainer.cfg = replace(trainer.cfg, TRAIN=replace(trainer.cfg.TRAIN, end_epoch=1, keep=1))
    trainer.train()
    assert order == ["best", "epoch_0000", "last"]


# --- what a resumed run must not accept


@pytest.fixture
def saved(trainer):
    trainer.train()
    path = trainer.run.checkpoint / "last.pth.tar"
    return path, checkpoint.read(path)


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
    cfg = config(tmp_path)
    wide = make_trainer(replace(cfg, MODEL=ModelConfig(hidden_dim=6)), small_scales)
    with pytest.raises(UserError, match="do not fit"):
        wide.restore(*saved)


@pytest.mark.parametrize(
    "key", ["optim_state_dict", "epoch", "step", "log", "loss_sums", "random_state", "seed", "samples"]
)
def test_a_checkpoint_that_no_training_run_wrote_cannot_go_on(saved, tmp_path, small_scales, key):
    path, content = saved
    del content[key]
    with pytest.raises(UserError, match="cannot be resumed"):
        make_trainer(config(tmp_path), small_scales).restore(path, content)


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


@pytest.mark.parametrize("loss_weights", [LossWeights(), LossWeights(normal=0.1, edge=20.0)], ids=["MSE", "all losses"])
def test_the_host_waits_for_nothing_in_a_step(monkeypatch, tmp_path, small_scales, loss_weights):
    """On torch's meta device no tensor has values: whoever asks for one, as in `if loss > 0`, fails."""
    monkeypatch.setattr("lib.training.trainer.build_optimizer", lambda train, model: KernelOnly(model.parameters()))
    meta, cfg = torch.device("meta"), config(tmp_path)
    scales = [small_scales[0], *(replace(s, faces=np.array([[0, 1, 2], [2, 3, 4]])) for s in small_scales[1:])]
    noise = DetectionNoise((0.0, 1.0, 0.0, 1.0, 0.0), (2.0,), (0.1,), (384, 288))
    every = Augmentation(FIVE_JOINTS.flip_permutation, True, 20.0, view_probability=0.5, noise=noise)
    batches = BatchSource([TRAIN_TABLE], meta, 6, True, 0, every)
    model = HGN(scales, 4).to(meta)
    run = create_run_dir(cfg)
    trainer = Trainer(cfg, model, scales, FIVE_JOINTS, loss_weights, batches, {}, run, meta, 0)
    order = batches.order(0)
    monkeypatch.setattr(torch.Tensor, "new_tensor", None, raising=False)  # copies that dispatch does not see
    tensor = torch.tensor
    monkeypatch.setattr(torch, "tensor", lambda *values, dtype=None: tensor(*values, dtype=dtype))
    with Strict() as strict:
        losses = trainer._train_step(order)
    assert strict.copies >= 10  # the random numbers of augmentation
    with pytest.raises(RuntimeError, match="meta"):
        float(losses["joint"])
    with pytest.raises(RuntimeError, match="meta"):
        trainer.guard.read()


# --- losses that are not finite


def poisoned(row: int = 11) -> PoseTable:
    pose3d = TRAIN_TABLE.pose3d.copy()
    pose3d[row, 3] = np.nan
    return replace(TRAIN_TABLE, pose3d=pose3d)


def test_a_loss_that_is_not_finite_stops_with_epoch_batch_and_samples_and_the_weights_untouched(tmp_path, small_scales):
    cfg = config(tmp_path, batch_size=3)
    trainer = make_trainer(cfg, small_scales, train=poisoned())
    names = [trainer.batches.sample_names(trainer.batches.order(0), step) for step in range(8)]
    step = next(k for k, n in enumerate(names) if "picture_000011.jpg" in n)
    good = make_trainer(cfg, small_scales)

    class Halting(Trainer):
        def _train_step(self, order):
            if self.step == step:
                raise Stopped(1)
            return super()._train_step(order)

    good = make_trainer(cfg, small_scales, kind=Halting)
    with pytest.raises(Stopped):
        good.train()
    with pytest.raises(UserError) as raised:
        trainer.train()
    message = str(raised.value)
    assert message.startswith(f"epoch 0, batch {step}: the loss is nan")
    assert all(name in message for name in names[step])
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
    assert trainer.skipped == 2
    assert all(np.isfinite(entry["loss"]) for entry in trainer.log)
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())
    out = capfd.readouterr()
    assert "left out, 1 of 2" in out.out + out.err
    assert "left out, 2 of 2" in out.out + out.err
    third = make_trainer(config(tmp_path, skip_nonfinite=2, end_epoch=3), small_scales, train=poisoned())
    with pytest.raises(UserError, match="epoch 2"):
        third.train()


@pytest.mark.parametrize("print_freq", [1, 3, 100])
def test_training_stops_at_the_next_update_of_the_progress_bar(tmp_path, small_scales, print_freq):
    cfg = config(tmp_path, batch_size=3, print_freq=print_freq)
    second_batch = make_trainer(cfg, small_scales).batches.order(0)[3:6]
    trainer = make_trainer(cfg, small_scales, train=poisoned(int(second_batch[0])))
    with pytest.raises(UserError, match="batch 1: the loss is nan"):
        trainer.train()
    assert trainer.step == {1: 2, 3: 3, 100: 8}[print_freq]


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_a_resumed_run_trains_on_whatever_number_of_left_out_steps_is_allowed_now(tmp_path, small_scales, allowed):
    trainer = make_trainer(config(tmp_path, skip_nonfinite=2, end_epoch=1), small_scales, train=poisoned())
    trainer.train()
    path = trainer.run.checkpoint / "last.pth.tar"
    content = checkpoint.read(path)
    resumed = make_trainer(config(tmp_path, skip_nonfinite=allowed), small_scales, run=trainer.run)
    resumed.restore(path, content)
    before = weights_of(resumed)
    resumed.train()
    assert not equal(weights_of(resumed), before)
    assert resumed.log[1]["loss"] > 0
    spoilt = make_trainer(config(tmp_path, skip_nonfinite=allowed, end_epoch=3), small_scales, train=poisoned())
    spoilt.restore(path, content)
    with pytest.raises(UserError, match=f"epoch {max(allowed, 1)}, "):
        spoilt.train()


def test_a_checkpoint_of_an_optimizer_that_was_not_fused_goes_on_fused(tmp_path, small_scales):
    cfg = config(tmp_path, optimizer="sgd", end_epoch=1)
    trainer = make_trainer(cfg, small_scales)
    content = trainer.state()
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
    assert names_in(trainer.run) == []


# --- a disk that is full


def test_a_log_or_curve_that_cannot_be_written_costs_a_line_not_the_run(trainer, monkeypatch, capfd):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lib.training.trainer.draw_curves", full)
    trainer.train()
    assert trainer.epoch == 2
    out = capfd.readouterr()
    assert (out.out + out.err).count("log and curves could not be written (No space left on device); going on") == 2
    assert names_in(trainer.run) == ["best", "last", "previous"]


def test_stop_requests_are_only_listened_to_while_training(trainer):
    before = signal.getsignal(signal.SIGTERM)
    trainer.train()
    assert signal.getsignal(signal.SIGTERM) is before
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) is not before
