"""Training."""

import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from lib import checkpoint
from lib.config import Config, config_to_dict
from lib.distributed import ALONE, Group
from lib.errors import Stopped, UserError
from lib.evaluation.evaluate import describe_protocol, evaluate_table
from lib.evaluation.plots import draw_curves
from lib.evaluation.report import Report
from lib.files import remove_leftovers
from lib.graph.scales import GraphScale, scales_to_state
from lib.joints import JointSet
from lib.pose_table import PoseTable
from lib.run_dir import RunDir
from lib.training.batches import BatchSource
from lib.training.interrupt import StopRequest
from lib.training.losses import LossWeights, hgn_losses
from lib.training.precision import accelerate, matmul_precision
from lib.training.schedule import build_optimizer, learning_rate
from lib.training.step_guard import StepGuard

GRADIENT_NORM = 1.0


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
        self.optimizer = build_optimizer(cfg.TRAIN, model)
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
        losses = hgn_losses(output, batch.pose3d, batch.meshes, self.faces, self.loss_weights, batch.mesh_weight)
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
            protocol = describe_protocol(name, "test", table, self.joints) + (
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
            "scales": scales_to_state(self.scales),
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
