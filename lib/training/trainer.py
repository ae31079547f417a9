"""The training loop: epochs of steps, a test after each, checkpoints in between."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lib.config import TrainConfig
from lib.distributed import ALONE, Group
from lib.errors import Stopped, UserError
from lib.evaluation.evaluate import Evaluator
from lib.evaluation.report import Report
from lib.training.averaging import STATISTICS_BATCHES
from lib.training.batches import BatchSource
from lib.training.checkpoints import Checkpoints
from lib.training.interrupt import StopRequest
from lib.training.learner import Learner
from lib.training.precision import matmul_precision
from lib.training.progress import Progress
from lib.training.reporter import Reporter
from lib.training.schedule import epoch_rate, step_factor

BEST_ON_TEST = " The best epoch is chosen on these very subjects, as published."


class Trainer:
    """One training run: takes batches to the learner, the learner's network to the evaluator, all that to the checkpoints
    and the reporter. Only rank 0 of `group` writes and prints."""

    def __init__(
        self,
        settings: TrainConfig,
        learner: Learner,
        batches: BatchSource,
        evaluator: Evaluator,
        checkpoints: Checkpoints,
        reporter: Reporter,
        group: Group = ALONE,
    ):
        self.settings, self.learner, self.batches, self.evaluator = settings, learner, batches, evaluator
        self.checkpoints, self.reporter, self.group = checkpoints, reporter, group
        self.progress = Progress(settings.begin_epoch)

    def train(self) -> None:
        """Train to the end of TRAIN.end_epoch, testing and saving after every epoch; raises Stopped on Ctrl-C and SIGTERM."""
        self.group.barrier()  # ranks load data at their own pace, but a step does not wait for long
        with StopRequest() as stop:
            while self.progress.epoch <= self.settings.end_epoch:
                with matmul_precision(self.settings.precision):
                    self._train_epoch(stop)
                self._finish_epoch()
                (code,) = self.group.maximum(stop.exit_code)
                if code and self.progress.epoch <= self.settings.end_epoch:
                    raise Stopped(code)

    def _train_epoch(self, stop: StopRequest) -> None:
        progress, steps = self.progress, self.batches.steps()
        order = self.batches.order(progress.epoch)
        started = time.monotonic() - progress.seconds
        rate = epoch_rate(self.settings, progress.epoch, progress.errors)
        with self.reporter.bar(progress, steps) as bar:
            while progress.step < steps:
                batch = self.batches.batch(order, progress.epoch, progress.step)
                weight = self.batches.weight(progress.step)  # 1 for one process
                self.learner.rate = rate * step_factor(self.settings, progress.epoch, progress.step, steps)
                progress.count_step(self.learner.step(progress.step, batch, weight))
                bar.update()
                if progress.step % self.settings.print_freq == 0 or progress.step == steps:
                    bar.set_postfix(loss=f"{sum(progress.mean_losses().values()):.4f}")
                    self._report_skipped(order)
                progress.seconds = time.monotonic() - started
                if progress.step < steps:
                    self._save_if_due(stop, order)

    def _save_if_due(self, stop: StopRequest, order: torch.Tensor) -> None:
        """Between two steps of an epoch: save when it is time or the run has to stop, and stop."""
        late = self.checkpoints.seconds_since_save > self.settings.checkpoint_minutes * 60
        code, due = self.group.maximum(stop.exit_code, self.group.is_main and late)
        if code or due:
            self._report_skipped(order)
            if self.group.is_main:
                self.checkpoints.save("last", self.state())
            self.group.barrier()
        if code:
            raise Stopped(code)

    def _report_skipped(self, order: torch.Tensor) -> None:
        """Report the steps skipped since the last call; UserError when they are more than allowed."""
        progress, allowed = self.progress, self.settings.skip_nonfinite
        for step, loss, norm in self.learner.skipped_steps():
            progress.skipped += 1
            names = ", ".join(self.batches.sample_names(order, step)[:3])
            what = f"epoch {progress.epoch}, batch {step}: the loss is {loss}, its gradient's norm {norm} (samples {names}, ...)"
            if progress.skipped > allowed:
                raise UserError(
                    f"{what}; neither the weights nor a checkpoint was touched by it. Look at these samples, lower "
                    "TRAIN.lr, or allow steps to be skipped with TRAIN.skip_nonfinite"
                )
            self.reporter.line(f"{what}; skipped, {progress.skipped} of {allowed}")

    def _finish_epoch(self) -> None:
        """Test; rank 0 saves and reports while the others wait."""
        progress = self.progress
        reports = self._test()
        losses = progress.mean_losses()
        entry: dict[str, Any] = {
            "epoch": progress.epoch,
            "lr": self.learner.rate,
            "loss": sum(losses.values()),
            **{f"loss_{name}": value for name, value in losses.items()},
            "seconds": round(progress.seconds, 3),
            "test": {
                "mpjpe": float(np.mean([report.mpjpe for report in reports.values()])),
                "pa_mpjpe": float(np.mean([report.pa_mpjpe for report in reports.values()])),
                "sets": {name: report.to_dict() for name, report in reports.items()},
            },
        }
        best = entry["test"]["mpjpe"] < progress.best_error
        progress.finish_epoch(entry)
        if self.group.is_main:
            self.reporter.epoch(entry, reports, best)
            self.checkpoints.save_epoch(entry["epoch"], self.state(), best)
            self.reporter.write_log(progress.log)
        self.group.barrier()

    def _test(self) -> dict[str, Report]:
        """The learner's network on every test set."""
        progress, batches = self.progress, self.batches
        order = batches.order(progress.epoch)
        whole = range(min(batches.whole_steps(), STATISTICS_BATCHES))
        self.learner.finish_epoch(batches.batch(order, progress.epoch, step).pose2d for step in whole)
        network, weights = self.learner.network, f"epoch {progress.epoch}"
        return {name: self.evaluator.run(name, network, weights, BEST_ON_TEST)[0] for name in self.evaluator.tables}

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs."""
        return self.progress.state() | self.learner.state()

    def restore(self, path: str | Path, content: dict[str, Any]) -> None:
        """Go on from the content of a checkpoint; UserError when it belongs to another network, data or seed."""
        try:
            self.checkpoints.require_same_run(path, content)
            progress = Progress.from_state(content, self.learner.device)
            self.learner.restore(path, content, progress.skipped)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise UserError(f"{path}: cannot be resumed ({error}); it was not written by a training run") from None
        self.progress = progress
        if self.group.is_main:
            self.checkpoints.remove_leftovers()
            self.reporter.write_log(progress.log)
