"""The checkpoint from which an interrupted run continues, and whether this configuration may continue from it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib import checkpoint
from lib.config import Config, config_from_dict, flatten_config
from lib.distributed import ALONE, Group
from lib.errors import UserError
from lib.run_dir import RunDir, find_last_run

CHAIN = ("last.pth.tar", "previous.pth.tar", "best.pth.tar")
"""Checkpoints of a run in the order in which they are tried."""

MAY_CHANGE = (
    "DATASET.workers",
    "DATASET.data_dir",
    "MODEL.smpl_dir",
    "TRAIN.print_freq",
    "TRAIN.sync_bn",
    "TRAIN.compile",
    "TRAIN.precision",
    "TRAIN.end_epoch",
    "TRAIN.lr",
    "TRAIN.lr_step",
    "TRAIN.lr_factor",
    "TRAIN.keep",
    "TRAIN.skip_nonfinite",
    "TRAIN.checkpoint_minutes",
)
"""Keys of DATASET, MODEL, TRAIN and AUG that may differ when a run is resumed: where things are, how they are computed, and the
rate. TRAIN.end_epoch may not with a cosine, whose shape follows from it."""


def require_same_training(cfg: Config, path: str | Path, content: dict[str, Any]) -> None:
    """UserError when a checkpoint's content was trained with another value of a key that has to stay the same."""
    stored = config_from_dict(content["config"], path)
    free = [key for key in MAY_CHANGE if key != "TRAIN.end_epoch" or cfg.TRAIN.scheduler != "cosine"]
    before, now = flatten_config(stored), flatten_config(cfg)
    for key, value in now.items():
        if value != before[key] and key.split(".")[0] in ("DATASET", "MODEL", "TRAIN", "AUG") and key not in free:
            raise UserError(
                f"{path}: was trained with {key} {before[key]}, not {value}; give the same (--set {key}=...) or begin a "
                "new run"
            )


@contextmanager
def resumed_run(
    cfg: Config, path: str | None, group: Group = ALONE, log: Callable[[str], None] = print
) -> Iterator[tuple[RunDir, Path, dict[str, Any]] | None]:
    """The run to resume, its checkpoint's path and content, on all ranks; locked against other processes inside.

    path: a run folder, a checkpoint in one, "" for the newest run of this configuration, None (which gives None) for none.
    """
    if path is None:
        yield None
    elif not group.is_main:
        yield group.from_main(None)
    else:
        run, named = find_run(cfg, path)
        with run.locked():  # before reading: another process may be about to write
            yield group.from_main((run, *read_resumable(run, named, log)))


def find_run(cfg: Config, path: str) -> tuple[RunDir, Path | None]:
    """The run that `path` of `resumed_run` means, and the checkpoint if it names one; UserError when there is none."""
    place = Path(path) if path else find_last_run(cfg).root
    if not place.is_file():
        if not any((place / "checkpoint" / name).exists() for name in CHAIN):
            raise UserError(f"{place}: no run with a usable checkpoint to resume")
        return RunDir(place), None
    if place.parent.name != "checkpoint":
        raise UserError(
            f"{place}: is in no run folder; to begin a new run from its weights use --set TRAIN.weight_path={place}"
        )
    return RunDir(place.parent.parent), place


def read_resumable(
    run: RunDir, named: Path | None = None, log: Callable[[str], None] = print
) -> tuple[Path, dict[str, Any]]:
    """Path and content of the checkpoint `named`, or of the first of CHAIN in the run that is not damaged, with one line of
    `log` for each that is; UserError when none is left."""
    if named:
        return named, checkpoint.read(named)
    for name in CHAIN:
        candidate = run.checkpoint / name
        if not candidate.exists():
            continue
        try:
            return candidate, checkpoint.read(candidate)
        except UserError as error:
            log(f"{error}; trying the one before it")
    raise UserError(f"{run.root}: no run with a usable checkpoint to resume")
