"""Prepare data: python main/prepare_data.py mocap --input DIR --output data/Mocap, or check --cfg FILE"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from data.check import check
from data.Mocap.importer import import_mocap
from lib.cli import add_configuration_arguments, add_traceback_argument, config_of, notice, run_command
from lib.errors import UserError
from smplpytorch.smplpytorch.load_body import BUILT_IN, load_body


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Turn motion capture into annotations, or check what a configuration needs."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    mocap = commands.add_parser(
        "mocap",
        help="turn .asf/.amc and .bvh files into annotations in the Human3.6M format",
        description="Reads every .bvh file and every .amc file with its .asf skeleton below a folder and writes what "
        "HGN_mocap_train.yml trains on: 17 joints in mm, four cameras per subject, SMPL-style pose parameters. The part "
        "of a file's name before the first underscore names the subject.",
    )
    mocap.add_argument(
        "--input", required=True, metavar="DIR", help="folder with .asf/.amc and .bvh files, searched below too"
    )
    mocap.add_argument(
        "--output", default="data/Mocap", metavar="DIR", help="where annotations go (default data/Mocap)"
    )
    mocap.add_argument("--fps", type=float, default=10, help="frames kept per second (default 10)")
    mocap.add_argument(
        "--amc-fps", type=float, default=120, help="frame rate of .amc files, which do not say it (default 120)"
    )
    mocap.add_argument(
        "--bvh-unit",
        type=float,
        metavar="METRES",
        help="metres per unit of .bvh files; default: from the length of the legs",
    )
    mocap.add_argument("--train-subjects", nargs="+", metavar="S", help="subjects to train on (default: all others)")
    mocap.add_argument("--test-subjects", nargs="+", metavar="S", help="subjects to test on (default: the last fifth)")
    mocap.add_argument("--seed", type=int, default=0, help="seed of the cameras (default 0)")
    mocap.add_argument(
        "--smpl-dir",
        default=BUILT_IN,
        metavar="DIR",
        help="SMPL model to fit; default: the built-in body, as in HGN_mocap_*.yml",
    )

    checks = commands.add_parser(
        "check",
        help="say which files a configuration needs, which are there, and what is wrong with each",
        description="Reads everything that training and testing with a configuration would read and says what it found.",
    )
    add_configuration_arguments(checks)
    for command in (mocap, checks):
        add_traceback_argument(command)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    if args.command == "mocap":
        report = import_mocap(
            Path(args.input),
            Path(args.output),
            load_body(args.smpl_dir, notice),
            fps=args.fps,
            train_subjects=args.train_subjects,
            test_subjects=args.test_subjects,
            amc_fps=args.amc_fps,
            bvh_unit=args.bvh_unit,
            seed=args.seed,
        )
        print(report)
        return
    wrong = 0
    for finding in check(config_of(args)):
        print(f"{finding.state:6s} {finding.text}", flush=True)
        wrong += finding.state == "wrong"
    if wrong:
        raise UserError(f"{wrong} findings have to be mended; docs/data.md says where each file comes from")


if __name__ == "__main__":
    run_command(main)
