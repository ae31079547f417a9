"""Run folders: experiment/exp_<time>/{checkpoint,graph,vis,result}, never overwritten."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from filelock import FileLock, Timeout

from lib.config import Config, config_to_dict, load_config
from lib.errors import UserError
from lib.files import replacing

FOLDERS = ("checkpoint", "graph", "vis", "result")


@dataclass(frozen=True)
class RunDir:
    """One run's folder; its parts are its attributes."""

    root: Path

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint"

    @property
    def graph(self) -> Path:
        return self.root / "graph"

    @property
    def vis(self) -> Path:
        return self.root / "vis"

    @property
    def result(self) -> Path:
        return self.root / "result"

    def write_log(self, entries: list[dict]) -> None:
        """log.jsonl: one line per epoch; rewritten whole, so that it agrees with the checkpoint also after a resume."""
        with replacing(self.root / "log.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside, this process alone works on the run; UserError when another one does. The system ends the lock with the
        process, however that ends."""
        lock = FileLock(self.root / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"{self.root}: another process is working on this run; wait for it or stop it") from None
        except OSError as error:
            raise UserError(f"{self.root}: cannot be written ({error.strerror})") from None
        try:
            yield
        finally:
            lock.release()


def create_run_dir(cfg: Config, now: datetime | None = None) -> RunDir:
    """A new folder named after the time in RUN.time_zone, with the configuration written into it as config.yml."""
    parent = Path(cfg.RUN.experiment_dir)
    stem = (now or datetime.now(_time_zone(cfg.RUN.time_zone))).strftime("exp_%Y-%m-%d_%H-%M-%S")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            root = parent / (stem if number == 1 else f"{stem}_{number}")
            try:
                root.mkdir()
                break
            except FileExistsError:
                number += 1
        for name in FOLDERS:
            (root / name).mkdir()
        with replacing(root / "config.yml") as temporary:
            temporary.write_text(yaml.safe_dump(config_to_dict(cfg), sort_keys=False))
    except OSError as error:
        raise UserError(
            f"{parent}: no run folder can be made here ({error.strerror}); set RUN.experiment_dir"
        ) from None
    return RunDir(root)


def newest_runs(parent: Path) -> list[RunDir]:
    """The run folders in `parent` that hold a checkpoint, the one written to last first."""
    written: dict[Path, int] = {}
    for path in parent.glob("exp_*/checkpoint/*.pth.tar"):
        root = path.parent.parent
        written[root] = max(written.get(root, 0), path.stat().st_mtime_ns)
    return [RunDir(root) for root in sorted(written, key=written.__getitem__, reverse=True)]


def find_last_run(cfg: Config) -> RunDir:
    """The newest run folder of the same configuration that holds a checkpoint; UserError when there is none."""
    parent = Path(cfg.RUN.experiment_dir)
    runs = newest_runs(parent)
    for run in runs:
        try:
            if load_config(run.root / "config.yml") == cfg:
                return run
        except UserError:
            continue
    raise UserError(
        f"{parent}: no run of this configuration to resume (of {len(runs)} runs with a checkpoint); "
        "name one with --resume_training PATH"
    )


def _time_zone(name: str) -> tzinfo | None:
    if name == "local":
        return None
    offset = re.fullmatch(r"UTC(?:([+-])(\d{1,2})(?::?([0-5]\d))?)?", name)
    if offset:
        sign, hours, minutes = offset.groups(default="0")
        delta = timedelta(hours=int(hours), minutes=int(minutes))
        if delta < timedelta(hours=24):
            return timezone(-delta if sign == "-" else delta)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(f"RUN.time_zone {name}: write local, UTC+9 or a zone's name such as Asia/Seoul") from None
