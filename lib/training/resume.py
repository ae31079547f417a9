"""Finding the checkpoint from which an interrupted run goes on."""

from pathlib import Path
from typing import Any

from lib import checkpoint
from lib.config import Config
from lib.errors import UserError
from lib.run_dir import RunDir, find_last_run

CHAIN = ("last.pth.tar", "previous.pth.tar", "best.pth.tar")
"""Checkpoints of a run in the order in which they are tried."""


def find_resumable(cfg: Config, path: str, notice=print) -> tuple[RunDir, Path, dict[str, Any]]:
    """The run, the checkpoint's path and its content.

    path: a run folder, a checkpoint in one, or "" for the newest run of this configuration. Damaged checkpoints of a
    run are passed over with one line of `notice` each; UserError when none is left.
    """
    place = Path(path) if path else find_last_run(cfg).root
    if place.is_file():
        if place.parent.name != "checkpoint":
            raise UserError(
                f"{place}: lies in no run folder; to start from its weights use TEST.weight_path and main/test.py"
            )
        return RunDir(place.parent.parent), place, checkpoint.read(place)
    for name in CHAIN:
        candidate = place / "checkpoint" / name
        if not candidate.exists():
            continue
        try:
            return RunDir(place), candidate, checkpoint.read(candidate)
        except UserError as error:
            notice(f"{error}; trying the one before it")
    raise UserError(f"{place}: no run with a usable checkpoint to resume")
