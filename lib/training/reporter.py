"""What a training run prints, logs and draws."""

from typing import Any

from tqdm import tqdm

from lib.evaluation.plots import draw_curves
from lib.evaluation.report import Report
from lib.evaluation.results import write_training_metrics
from lib.run_dir import RunDir
from lib.training.progress import Progress


class Reporter:
    """Prints to the terminal and writes log.jsonl and the curves of a run folder; silent unless `active`."""

    def __init__(self, run: RunDir, active: bool = True):
        self.run, self.active = run, active

    def line(self, text: str) -> None:
        """Print a line, above the progress bar if there is one."""
        if self.active:
            tqdm.write(text)

    def bar(self, progress: Progress, steps: int) -> tqdm:
        """A progress bar for the epoch that `progress` is in."""
        title = f"epoch {progress.epoch}"
        return tqdm(total=steps, initial=progress.step, desc=title, leave=False, disable=not self.active)

    def epoch(self, entry: dict[str, Any], reports: dict[str, Report], best: bool) -> None:
        """Print an epoch's entry of the log and the reports of its tests."""
        self.line(
            f"\nepoch {entry['epoch']}: loss {entry['loss']:.4f}, learning rate {entry['lr']:.2e}, {entry['seconds']:.1f} s"
            + (", best so far" if best else "")
        )
        for report in reports.values():
            self.line(report.text())

    def write_log(self, log: list[dict[str, Any]]) -> None:
        """Log and curves; they follow from the checkpoint, so a full disk costs a line, not the run."""
        if not self.active:
            return
        try:
            self.run.write_log(log)
            draw_curves(log, self.run.graph / "loss.png", self.run.graph / "error.png")
        except OSError as error:
            self.line(f"{self.run.root}: log and curves could not be written ({error.strerror}); going on")

    def finish(self, progress: Progress) -> None:
        """result/metrics.json, and a last line."""
        if not self.active:
            return
        try:
            write_training_metrics(self.run, progress.log)
        except OSError as error:
            self.line(f"{self.run.root}: result/metrics.json could not be written ({error.strerror})")
        self.line(
            f"best test MPJPE {progress.best_error:.2f} mm (epoch chosen on the test subjects); all in {self.run.root}"
        )
