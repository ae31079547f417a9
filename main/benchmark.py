"""Measure speed and memory beside the plain implementation: python main/benchmark.py --json benchmark.json"""

import argparse
import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.cli import add_traceback_argument, run_command
from lib.errors import PoseWarning, UserError
from lib.files import replacing

if TYPE_CHECKING:
    from lib.config import Config

ALL_PROCESSES = float("inf")
"""--scaling without a number: a process per GPU or CPU core."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Compares this project with the plain implementation of the same equations (tests/plain) in one "
        "run, interleaved: medians of several rounds, and their quartiles. What each row means and what it was on which machine "
        "is in docs/benchmarks.md."
    )
    parser.add_argument(
        "--gpu", metavar="N", help="CUDA device to measure, or cpu; default: the first device, or the CPU"
    )
    parser.add_argument("--json", metavar="FILE", help="write all numbers to this file too")
    parser.add_argument(
        "--rounds", type=int, default=7, metavar="N", help="number of rounds of the medians (default 7)"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--loading",
        type=int,
        nargs="?",
        const=250_000,
        metavar="IMAGES",
        help="also measure reading a subject of this many images (default 250000); needs 1.5 GB of disk and minutes",
    )
    group.add_argument(
        "--scaling",
        type=int,
        nargs="?",
        const=ALL_PROCESSES,
        metavar="N",
        help="measure only the training speed with 1 to N processes (default: a process per GPU or CPU core)",
    )
    group.add_argument(
        "--body",
        metavar="YAML",
        help="measure only what predict.py --fit-body and --floor change on the test sets of this configuration (docs/body.md)",
    )
    group.add_argument(
        "--lifting",
        metavar="YAML",
        help="measure only the error of prediction by how the camera is held, where it stands, which joints are seen, and how "
        "they are placed, on the test sets of this configuration (docs/results.md, docs/predict.md, docs/joints.md)",
    )
    group.add_argument(
        "--quality",
        metavar="YAML",
        help="measure only what the numbers that predict.py warns by are for right and wrong keypoints, on every fifth clip of "
        "the test sets of this configuration (docs/predict.md)",
    )
    group.add_argument(
        "--gaps",
        metavar="YAML",
        help="measure only how far missing 2D joints are off that are bridged in time or taken from the body, on the test sets "
        "of this configuration (docs/joints.md)",
    )
    parser.add_argument(
        "--body-frames", type=int, default=300, metavar="N", help="most frames of a person (default 300)"
    )
    parser.add_argument(
        "--fps",
        type=float,
        default=10.0,
        metavar="N",
        help="frames per second of the import, for --body, --quality and --gaps (default 10)",
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        nargs="+",
        help="DATASET.data_dir for --body and --gaps, which take several, --lifting and --quality; default: the configuration's",
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, to check that everything runs; the numbers are meaningless"
    )
    add_traceback_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    if args.rounds < 1:
        raise UserError(f"--rounds {args.rounds}: give 1 or more")
    warnings.simplefilter("ignore", PoseWarning)  # what is measured is there to be hard
    if args.body:
        return measure_body(args)
    if args.lifting:
        return measure_lifting(args)
    if args.quality:
        return measure_quality(args)
    if args.gaps:
        return measure_gaps(args)
    # Here, for torch takes seconds, which --help does not need.
    from lib.device import choose_devices
    from lib.graph.scales import build_scales
    from lib.joints import HUMAN36M_17
    from main.benchmarking.measure import machine
    from main.benchmarking.rows import all_rows
    from main.benchmarking.scaling import process_limit
    from smplpytorch.smplpytorch.load_body import BUILT_IN, load_body

    limit = process_limit()
    if args.scaling == ALL_PROCESSES:
        args.scaling = limit
    if args.scaling is not None and not 1 <= args.scaling <= limit:
        raise UserError(f"--scaling {args.scaling}: give 1 to {limit}, the GPUs or CPU cores of this host")
    device = choose_devices(args.gpu)[0]
    body = load_body(BUILT_IN)
    about = machine(device)
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    rows = []
    for row in all_rows(args, build_scales(HUMAN36M_17, body.faces), body, device):
        print(row.text(), flush=True)
        rows.append(asdict(row))
    save(args.json, {"machine": about, "rows": rows})


def save(file: str | None, content: dict) -> None:
    """Write what --json asks for, if it does."""
    if file:
        with replacing(file) as path:
            path.write_text(json.dumps(content, indent=1) + "\n")


def configurations(path: str, folders: list[str] | None) -> "dict[str, Config]":
    """The configuration with each folder as DATASET.data_dir, or its own; by the folders' names, or where two have one name by
    their paths."""
    from lib.config import load_config

    read = [load_config(path, {"DATASET.data_dir": folder} if folder else None) for folder in folders or [None]]
    paths = [cfg.DATASET.data_dir for cfg in read]
    names = [Path(path).name for path in paths]
    return dict(zip(names if len(set(names)) == len(names) else paths, read, strict=True))


def configuration(option: str, path: str, folders: list[str] | None) -> "Config":
    """The one configuration of an option; UserError for several folders."""
    if len(folders or ()) > 1:
        raise UserError(f"--data-dir: {option} takes one folder")
    (cfg,) = configurations(path, folders).values()
    return cfg


def measure_body(args: argparse.Namespace) -> None:
    """The tables of docs/body.md."""
    from lib.device import choose_devices
    from lib.lifting.lifter import Lifter
    from main.benchmarking.body import body_rows, tables

    found = configurations(args.body, args.data_dir)
    lifter = Lifter(next(iter(found.values())).TEST.weight_path, choose_devices(args.gpu)[0])
    rows = [row for label, cfg in found.items() for row in body_rows(cfg, lifter, args.body_frames, label, args.fps)]
    print(tables(rows))
    save(args.json, {"rows": [asdict(row) for row in rows]})


def measure_lifting(args: argparse.Namespace) -> None:
    """The grids of docs/results.md and the tables of docs/predict.md and docs/joints.md."""
    from data import build_table
    from lib.device import choose_devices
    from lib.lifting.lifter import Lifter
    from main.benchmarking.cameras import camera_rows, camera_text, place_rows, place_text, standing_people
    from main.benchmarking.definitions import definition_rows, definition_text
    from main.benchmarking.missing import missing_rows, missing_text

    cfg = configuration("--lifting", args.lifting, args.data_dir)
    lifter = Lifter(cfg.TEST.weight_path, choose_devices(args.gpu)[0])
    results, count = {}, 20 if args.quick else 1000
    for name in cfg.DATASET.test_list:
        table = build_table(cfg, name, "test")
        people = standing_people(table, count)
        print(f"{name}, {cfg.DATASET.data_dir}: MPJPE / PA-MPJPE, mm (MPJPE over the level camera's)\n", flush=True)
        grid = list(camera_rows(lifter, people))
        print(camera_text(grid) + "\n", flush=True)
        places = list(place_rows(lifter, people))
        print(place_text(places) + "\n", flush=True)
        missing = list(missing_rows(lifter, people))
        print(missing_text(missing) + "\n", flush=True)
        definitions = list(definition_rows(lifter, table, cfg.DATASET.data_dir, count))
        print(definition_text(definitions) + "\n", flush=True)
        results[name] = {"grid": grid, "places": places, "missing": missing, "definitions": definitions}
    save(args.json, results)


def measure_quality(args: argparse.Namespace) -> None:
    """The table of docs/predict.md that lib.lifting.quality's limits come from."""
    from lib.device import choose_devices
    from lib.lifting.lifter import Lifter
    from main.benchmarking.quality import measured_clips, quality_rows, quality_text

    cfg = configuration("--quality", args.quality, args.data_dir)
    lifter = Lifter(cfg.TEST.weight_path, choose_devices(args.gpu)[0])
    clips = list(measured_clips(cfg, lifter.require_body(), args.fps))
    rows = list(quality_rows(lifter, clips))
    print(
        f"{len(clips)} clips, {rows[0].results} results of each input: median, 95th percentile\n\n{quality_text(rows)}"
    )
    save(args.json, {"rows": [asdict(row) for row in rows]})


def measure_gaps(args: argparse.Namespace) -> None:
    """The table of docs/joints.md that lib.joints.imputation's MAX_STEP comes from."""
    from main.benchmarking.missing import gap_errors, gap_text
    from main.benchmarking.quality import measured_clips
    from smplpytorch.smplpytorch.load_body import load_body

    rows = {}
    for label, cfg in configurations(args.gaps, args.data_dir).items():
        rows[label] = gap_errors(measured_clips(cfg, load_body(cfg.MODEL.smpl_dir), args.fps, every=1))
    print(gap_text(rows))
    save(args.json, {"rows": rows})


if __name__ == "__main__":
    run_command(main)
