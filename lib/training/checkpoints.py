"""The checkpoints of a run: which are kept, and what one records about the run that wrote it."""

import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lib import checkpoint
from lib.config import Config, config_from_dict, config_to_dict
from lib.errors import UserError
from lib.files import remove_leftovers
from lib.graph.scales import GraphScale, scales_to_state
from lib.joints import JointSet
from lib.training.resume import require_same_training


def describe_run(
    cfg: Config, scales: list[GraphScale], joints: JointSet, seed: int, samples: list[int]
) -> dict[str, Any]:
    """What stays the same in all checkpoints of a run. samples: of each training set."""
    return {
        "config": config_to_dict(cfg),
        "seed": seed,
        "samples": samples,
        "scales": scales_to_state(scales),
        "joint_names": list(joints.names),
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
    }


class Checkpoints:
    """Writes the checkpoints of one run: last (the one before it is kept as previous), best and epoch_NNNN.

    run: from `describe_run`, part of every checkpoint. keep: how many epoch_NNNN stay.
    """

    def __init__(self, folder: Path, run: dict[str, Any], keep: int = 0):
        self.folder, self.run, self.keep = folder, run, keep
        self.saved_at = time.monotonic()

    @property
    def seconds_since_save(self) -> float:
        return time.monotonic() - self.saved_at

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Write NAME.pth.tar with `state` and what is known of the run; UserError when that is not possible."""
        path = self.folder / f"{name}.pth.tar"
        previous = path.with_name("previous.pth.tar") if name == "last" else None
        try:
            checkpoint.save(path, self.run | state, previous)
        except OSError as error:
            raise UserError(
                f"{path}: the checkpoint could not be written ({error.strerror}); the one before it is intact. Make room "
                "and continue with --resume_training"
            ) from None
        self.saved_at = time.monotonic()

    def save_epoch(self, epoch: int, state: dict[str, Any], best: bool) -> None:
        """Write all checkpoints that are due after an epoch.

        `last` comes at the end: a run killed in between continues from the last one before, and writes them all again.
        """
        if best:
            self.save("best", state)
        if self.keep:
            self.save(f"epoch_{epoch:04d}", state)
            for old in sorted(self.folder.glob("epoch_*.pth.tar"))[: -self.keep]:
                old.unlink()
        self.save("last", state)

    def require_same_run(self, path: str | Path, content: dict[str, Any]) -> None:
        """UserError when a checkpoint's content comes from another seed, configuration or other data than this run's."""
        require_same_training(config_from_dict(self.run["config"], path), path, content)
        seed, samples = content["seed"], list(content["samples"])
        if seed != self.run["seed"]:
            raise UserError(f"{path}: was trained with --seed {seed}, not {self.run['seed']}; give the same seed")
        if samples != self.run["samples"]:
            raise UserError(
                f"{path}: was trained on {samples} samples of its data sets, here are {self.run['samples']}; give the "
                "same data (and --debug)"
            )

    def remove_leftovers(self) -> None:
        """Remove temporary files of processes that were killed long ago."""
        remove_leftovers(self.folder)
