"""Training and testing."""

import platform
import time
from bisect import bisect_right
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from data.table import PoseTable
from lib import checkpoint
from lib.acceleration import accelerate, matmul_precision
from lib.batches import BatchSource
from lib.config import Config, TrainConfig, config_to_dict
from lib.distributed import ALONE, Group
from lib.errors import UserError
from lib.evaluator import Report, evaluate
from lib.files import remove_leftovers
from lib.graph.scales import GraphScale
from lib.interrupt import StopRequest
from lib.joints import JointSet
from lib.losses import LossWeights, hgn_losses
from lib.run_dir import RunDir
from lib.step_guard import StepGuard
from lib.visualize import draw_curves

GRADIENT_NORM = 1.0
PLATEAU_PATIENCE = 5


class Predictions(NamedTuple):
    """Network outputs for N samples: pose3d (N, J, 3) float32 mm, root-relative; meshes (N, R, 3) float32 metres."""

    pose3d: np.ndarray
    meshes: tuple[np.ndarray, ...]


class Stopped(Exception):
    """Training ended early on a signal, after saving; `code` is the process's exit code."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


@torch.inference_mode()
def predict(
    model: nn.Module,
    pose2d: np.ndarray,
    batch_size: int,
    device: torch.device,
    order: np.ndarray | None = None,
    progress: bool = False,
) -> Predictions:
    """Run the network over pose2d (N, J, 2) in evaluation mode; results stand in the samples' own order.

    order (N,): sequence in which samples are put through, by default as they stand.
    """
    model.eval()
    order = np.arange(len(pose2d)) if order is None else order
    inputs = torch.as_tensor(np.asarray(pose2d), device=device)[torch.as_tensor(order, device=device)]
    starts = range(0, max(len(inputs), 1), batch_size)  # no samples, as a rank may have, still give shapes
    starts = tqdm(starts, desc="testing", disable=not progress, leave=False)
    outputs = [model(inputs[i : i + batch_size]) for i in starts]
    back = np.argsort(order, kind="stable")

    def gather(parts):
        return torch.cat(parts).cpu().numpy()[back]

    pose3d = gather([o.pose3d for o in outputs]) * np.float32(1000)
    return Predictions(pose3d, tuple(gather([o.meshes[i] for o in outputs]) for i in range(len(outputs[0].meshes))))


def evaluate_table(
    model: nn.Module,
    table: PoseTable,
    cfg: Config,
    device: torch.device,
    protocol: str,
    weights: str,
    progress: bool = False,
    group: Group = ALONE,
) -> tuple[Report, Predictions]:
    """Predict a whole table and report its errors. Of several ranks each predicts its share; all return the same report,
    rank 0 with all predictions, the others with their own."""
    pose2d = table.pose2d[group.share(len(table))]
    order = None
    if cfg.TEST.shuffle:
        order = np.random.default_rng(0).permutation(len(pose2d))
    own = predict(model, pose2d, cfg.TEST.batch_size, device, order, progress and group.is_main)
    parts = group.gather(own)
    if parts is None:
        return group.from_main(None), own
    predictions = Predictions(
        np.concatenate([p.pose3d for p in parts]),
        tuple(np.concatenate(meshes) for meshes in zip(*(p.meshes for p in parts), strict=True)),
    )
    finite = np.isfinite(predictions.pose3d).all((1, 2))
    if not finite.all():
        raise UserError(
            f"{weights}: the network's output is not finite for {(~finite).sum()} of {len(table)} samples, the first is "
            f"{table.names[finite.argmin()]}; the weights are spoilt: train with a lower TRAIN.lr, or take others"
        )
    truth = np.asarray(table.pose3d) * np.float32(1000)
    actions = np.asarray(table.action_names)[table.actions]
    return group.from_main(evaluate(predictions.pose3d, truth, actions, protocol, weights)), predictions


def describe_protocol(name: str, split: str, table: PoseTable, joints: JointSet, gt_input: bool) -> str:
    """What the numbers of a report mean, in one sentence for its end."""
    return (
        f"{name}, {split} split, {len(table)} samples, {'ground-truth' if gt_input else 'detected'} 2D input. MPJPE over "
        f"{len(joints)} joints relative to the {joints.names[joints.root]}, whose own zero is included; PA-MPJPE after "
        "the best similarity transform of each pose."
    )


def learning_rate(train: TrainConfig, epoch: int, errors: list[float]) -> float:
    """The rate for an epoch; `errors` are the test errors of the epochs before it.

    step: lr * lr_factor^(number of lr_step entries <= epoch). plateau: one factor for every PLATEAU_PATIENCE tests in a
    row that do not beat the best one by 0.01 %.
    """
    if train.scheduler == "step":
        return train.lr * train.lr_factor ** bisect_right(sorted(train.lr_step), epoch)
    rate, best, waited = train.lr, float("inf"), 0
    for error in errors:
        waited = 0 if error < best * 0.9999 else waited + 1
        best = min(best, error)
        if waited == PLATEAU_PATIENCE:
            rate, waited = rate * train.lr_factor, 0
    return rate


class Trainer:
    """One training run: model, optimiser and position, saved and restored as a whole.

    log: one dict per finished epoch. epoch, step: the next batch to train on.
    """

    def __init__(
        self,
        cfg: Config,
        model: nn.Module,
        scales: list[GraphScale],
        joints: JointSet,
        loss_weights: LossWeights,
        batches: BatchSource,
        tests: dict[str, PoseTable],
        run: RunDir,
        device: torch.device,
        seed: int,
        parallel: nn.Module | None = None,
        group: Group = ALONE,
    ):
        self.cfg, self.scales, self.joints, self.loss_weights = cfg, scales, joints, loss_weights
        self.model, self.group = model, group
        self.forward = accelerate(parallel or model, cfg.TRAIN.compile, cfg.TRAIN.precision, device)
        self.batches, self.tests, self.run, self.device, self.seed = batches, tests, run, device, seed
        self.faces = tuple(torch.as_tensor(s.faces, device=device) for s in scales if s.faces is not None)
        self.optimizer = _optimizer(cfg.TRAIN, model)
        self.epoch, self.step = cfg.TRAIN.begin_epoch, 0
        self.log: list[dict] = []
        self.sums: dict[str, torch.Tensor] = {}
        self.guard = StepGuard(model, self.optimizer, cfg.TRAIN.skip_nonfinite)
        self.skipped = 0
        self.seconds = 0.0
        self.saved_at = time.monotonic()

    @property
    def best_error(self) -> float:
        """Lowest mean test MPJPE so far, in mm."""
        return min((entry["test"]["mpjpe"] for entry in self.log), default=float("inf"))

    def train(self) -> None:
        """Train to TRAIN.end_epoch, testing and saving after every epoch; raises Stopped on Ctrl-C and SIGTERM."""
        self.group.barrier()  # ranks load data at their own pace, but a step does not wait for long
        with StopRequest() as stop:
            while self.epoch < self.cfg.TRAIN.end_epoch:
                with matmul_precision(self.cfg.TRAIN.precision):
                    self._train_epoch(stop)
                self._finish_epoch()
                (code,) = self.group.maximum(stop.exit_code)
                if code and self.epoch < self.cfg.TRAIN.end_epoch:
                    raise Stopped(code)

    def _train_epoch(self, stop: StopRequest) -> None:
        T = self.cfg.TRAIN
        rate = learning_rate(T, self.epoch, [entry["test"]["mpjpe"] for entry in self.log])
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        order = self.batches.order(self.epoch)
        steps = self.batches.steps()
        start = time.monotonic() - self.seconds
        bar = tqdm(
            total=steps, initial=self.step, desc=f"epoch {self.epoch}", leave=False, disable=not self.group.is_main
        )
        with bar:
            while self.step < steps:
                for name, value in self._train_step(order).items():
                    self.sums[name] = self.sums.get(name, 0) + value
                self.step += 1
                bar.update()
                if self.step % T.print_freq == 0:
                    bar.set_postfix(loss=f"{float(sum(self.sums.values())) / self.step:.4f}")
                if self.step % T.print_freq == 0 or self.step == steps:
                    self._look_for_skipped(order)
                self.seconds = time.monotonic() - start
                if self.step == steps:
                    break
                due = self.group.is_main and time.monotonic() - self.saved_at > T.checkpoint_minutes * 60
                code, due = self.group.maximum(stop.exit_code, due)
                if code or due:
                    self._look_for_skipped(order)
                    if self.group.is_main:
                        self.save("last")
                    self.group.barrier()
                if code:
                    raise Stopped(code)

    def _train_step(self, order: torch.Tensor) -> dict[str, torch.Tensor]:
        """One optimiser step; its losses, zeros where it was left out. The host waits for nothing that a GPU computes."""
        self.guard.begin()
        batch = self.batches.batch(order, self.epoch, self.step)
        output = self.forward(batch.pose2d)
        losses = hgn_losses(output, batch.pose3d, batch.meshes, self.faces, self.loss_weights)
        self.optimizer.zero_grad(set_to_none=True)
        weight = self.batches.weight(self.step)  # 1 for one process
        (sum(losses.values()) * weight).backward()
        losses = {name: value.detach() for name, value in self.group.mean(losses, weight).items()}
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_NORM)
        taken = self.guard.step(self.step, sum(losses.values()), norm)
        return {name: torch.where(taken, value, 0) for name, value in losses.items()}

    def _look_for_skipped(self, order: torch.Tensor) -> None:
        """Tell which steps were left out since the last look, and stop when they are more than may be."""
        for step, loss, norm in self.guard.read():
            self.skipped += 1
            names = ", ".join(self.batches.sample_names(order, step)[:3])
            what = f"epoch {self.epoch}, batch {step}: the loss is {loss}, its gradient's norm {norm} (samples {names}, ...)"
            if self.skipped > self.cfg.TRAIN.skip_nonfinite:
                raise UserError(
                    f"{what}; neither the weights nor a checkpoint was touched by it. Look at these samples, lower "
                    "TRAIN.lr, or allow steps to be left out with TRAIN.skip_nonfinite"
                )
            if self.group.is_main:
                tqdm.write(f"{what}; left out, {self.skipped} of {self.cfg.TRAIN.skip_nonfinite}")

    def _finish_epoch(self) -> None:
        """Test; rank 0 records the epoch while the others wait."""
        means = {f"loss_{name}": float(value) / self.batches.steps() for name, value in self.sums.items()}
        entry = {
            "epoch": self.epoch,
            "lr": self.optimizer.param_groups[0]["lr"],
            "loss": sum(means.values()),
            **means,
            "seconds": round(self.seconds, 3),
        }
        reports = {}
        self.group.copy_from_main(self.guard.statistics)  # ranks may have kept statistics of their own
        for name, table in self.tests.items():
            gt_input = self.cfg.DATASET.use_gt_input or not self.cfg.DATASET.detection_file
            protocol = describe_protocol(name, "test", table, self.joints, gt_input) + (
                " The best epoch is chosen on these very test subjects, as published."
            )
            reports[name], _ = evaluate_table(
                self.model, table, self.cfg, self.device, protocol, f"epoch {self.epoch}", group=self.group
            )
        entry["test"] = {
            "mpjpe": float(np.mean([r.mpjpe for r in reports.values()])),
            "pa_mpjpe": float(np.mean([r.pa_mpjpe for r in reports.values()])),
            "sets": {name: report.to_dict() for name, report in reports.items()},
        }
        better = entry["test"]["mpjpe"] < self.best_error
        self.log.append(entry)
        self.epoch, self.step, self.sums, self.seconds = self.epoch + 1, 0, {}, 0.0
        if self.group.is_main:
            self._record_epoch(entry, reports, better)
        self.group.barrier()

    def _record_epoch(self, entry: dict[str, Any], reports: dict[str, Report], better: bool) -> None:
        """Print, save, log, draw."""
        tqdm.write(
            f"\nepoch {entry['epoch']}: loss {entry['loss']:.4f}, learning rate {entry['lr']:.2e}, {entry['seconds']:.1f} s"
            + (", best so far" if better else "")
        )
        for report in reports.values():
            tqdm.write(report.text())
        if better:
            self.save("best")
        if self.cfg.TRAIN.keep:
            self.save(f"epoch_{entry['epoch']:04d}")
            for old in sorted(self.run.checkpoint.glob("epoch_*.pth.tar"))[: -self.cfg.TRAIN.keep]:
                old.unlink()
        self.save("last")  # at the end: a run killed between these goes on from before, and writes them all again
        self._write_log()

    def _write_log(self) -> None:
        """Log and curves; they follow from the checkpoint, so a full disk costs a line, not the run."""
        try:
            self.run.write_log(self.log)
            draw_curves(self.log, self.run.graph / "loss.png", self.run.graph / "error.png")
        except OSError as error:
            tqdm.write(f"{self.run.root}: log and curves could not be written ({error.strerror}); going on")

    def state(self) -> dict[str, Any]:
        """Everything a checkpoint holds."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "seed": self.seed,
            "seconds": self.seconds,
            "loss_sums": dict(self.sums),
            "skipped": self.skipped,
            "samples": self.batches.lengths,
            "log": self.log,
            "model_state_dict": self.model.state_dict(),
            "optim_state_dict": self.optimizer.state_dict(),
            "random_state": torch.get_rng_state(),
            "config": config_to_dict(self.cfg),
            "scales": checkpoint.scales_to_state(self.scales),
            "joint_names": list(self.joints.names),
            "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        }

    def save(self, name: str) -> None:
        """Write checkpoint/NAME.pth.tar; for "last" the one before it is kept as "previous"."""
        path = self.run.checkpoint / f"{name}.pth.tar"
        try:
            checkpoint.save(path, self.state(), path.with_name("previous.pth.tar") if name == "last" else None)
        except OSError as error:
            raise UserError(
                f"{path}: the checkpoint could not be written ({error.strerror}); the one before it is intact. Make room "
                "and go on with --resume_training"
            ) from None
        self.saved_at = time.monotonic()

    def restore(self, path: str | Path, content: dict[str, Any]) -> None:
        """Go on from what `state` returned; UserError when it belongs to another network or data."""
        checkpoint.load_state(self.model, content["model_state_dict"], path)
        try:
            fused = self.optimizer.defaults.get("fused")
            self.optimizer.load_state_dict(content["optim_state_dict"])
            for group in self.optimizer.param_groups if fused else ():
                group["fused"] = fused  # which is how this process computes, not what the checkpoint's did
            self.epoch, self.step, self.log = content["epoch"], content["step"], list(content["log"])
            self.seconds, self.skipped = content["seconds"], content["skipped"]
            self.guard.count.fill_(self.skipped)
            self.guard.allowed = max(self.guard.allowed, self.skipped)  # those are past
            samples, seed = list(content["samples"]), content["seed"]
            self.sums = {name: value.to(self.device) for name, value in content["loss_sums"].items()}
            torch.set_rng_state(content["random_state"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UserError(f"{path}: cannot be resumed ({error}); it was not written by a training run") from None
        if seed != self.seed:
            raise UserError(f"{path}: was trained with --seed {seed}, not {self.seed}; give the same seed")
        if samples != self.batches.lengths:
            raise UserError(
                f"{path}: was trained on {samples} samples of its data sets, here are {self.batches.lengths}; give the "
                "same data (and --debug)"
            )
        if self.group.is_main:
            remove_leftovers(self.run.checkpoint)
            self._write_log()


def _optimizer(train: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    if train.optimizer == "rmsprop":
        return torch.optim.RMSprop(model.parameters(), lr=train.lr)
    kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    return kinds[train.optimizer](model.parameters(), lr=train.lr, fused=True)
