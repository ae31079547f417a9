"""Prepare data: python main/prepare_data.py mocap or amass --input DIR, check or pose-prior --cfg FILE"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from lib.cli import add_configuration_arguments, add_traceback_argument, config_of, notice, run_command
from lib.config import Config
from lib.errors import UserError
from smplpytorch.smplpytorch.load_body import BUILT_IN, load_body

if TYPE_CHECKING:
    from lib.training.people import PeopleMaker

SHEET = 60
"""People on the sheet that is drawn."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Import motion capture, check what a configuration needs, or look at its training samples."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    mocap = commands.add_parser(
        "mocap",
        help="convert .asf/.amc and .bvh files to annotations in the Human3.6M format",
        description="Reads every .bvh file and every .amc file with its .asf skeleton below a folder and writes what "
        "HGN_mocap_train.yml trains on: 17 joints in mm, four cameras per subject, SMPL-style pose parameters. The part "
        "of a file's name before the first underscore names the subject.",
    )
    mocap.add_argument(
        "--input",
        required=True,
        metavar="DIR",
        help="folder with .asf/.amc and .bvh files, searched with its subfolders",
    )
    mocap.add_argument(
        "--output", default="data/Mocap", metavar="DIR", help="folder for the annotations (default data/Mocap)"
    )
    mocap.add_argument("--fps", type=float, default=10, help="frames kept per second (default 10)")
    mocap.add_argument(
        "--amc-fps", type=float, default=120, help="frame rate of .amc files, which do not contain it (default 120)"
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

    amass = commands.add_parser(
        "amass",
        help="convert AMASS's SMPL+H and SMPL-X motions to the arrays that HGN_amass_train.yml trains on",
        description="Reads every SUBSET/SUBJECT/..._poses.npz (SMPL+H) and ..._stageii.npz (SMPL-X) below a folder and keeps "
        "some frames of each. Cameras are chosen and the body is posed when training first starts. Nothing is "
        "written unless everything could be read.",
    )
    amass.add_argument("--input", required=True, metavar="DIR", help="folder with AMASS's sub-sets, or one of them")
    amass.add_argument(
        "--output", default="data/AMASS", metavar="DIR", help="folder for the arrays (default data/AMASS)"
    )
    amass.add_argument(
        "--fps", type=float, default=10, help="approximate number of frames kept per second (default 10)"
    )
    for part, default in (("train", "all others"), ("test", "SSM_synced and Transitions_mocap, or the last fifth")):
        amass.add_argument(
            f"--{part}-subsets", nargs="+", metavar="NAME", help=f"sub-sets of the {part} split (default: {default})"
        )
        amass.add_argument(
            f"--{part}-subjects", nargs="+", metavar="NAME", help="its subjects: 01, or CMU/01 for one sub-set only"
        )
    amass.add_argument("--seed", type=int, default=0, help="seed of the cameras (default 0)")
    amass.add_argument(
        "--nan-frames",
        choices=("refuse", "drop"),
        default="refuse",
        help="what to do with frames that contain NaN (default refuse)",
    )
    amass.add_argument(
        "--skip-damaged",
        action="store_true",
        help="skip files that cannot be read and report them, instead of stopping",
    )

    checks = commands.add_parser(
        "check",
        help="list the files that a configuration needs, which are there, and what is wrong with each",
        description="Reads everything that training and testing with a configuration would read and reports what it found.",
    )
    add_configuration_arguments(checks)

    crowd = commands.add_parser(
        "people",
        help="draw some of the people that AUG.body_probability makes",
        description="Makes new people from a configuration's training samples and draws them on one sheet.",
    )
    detected = commands.add_parser(
        "detections",
        help="write what a 2D detector would find in the test samples, for DATASET.detection_file",
        description="Puts keypoints where a detector puts them on the body's surface, with a detector's errors, for every "
        "sample of the first test set. The samples need SMPL parameters.",
    )
    detected.add_argument(
        "--joint-set", default="coco", choices=("coco", "body25", "halpe26"), help="keypoint convention (default coco)"
    )
    for command, ending, what in ((crowd, "PNG", "image"), (detected, "NPZ", "file")):
        add_configuration_arguments(command)
        command.add_argument("--output", required=True, metavar=ending, help=f"{what} to write")
        command.add_argument("--seed", type=int, default=0, help="seed of the random numbers (default 0)")
    prior = commands.add_parser(
        "pose-prior",
        help="learn the pose prior of predict.py --fit-body from the training sets of a configuration",
        description="Writes the mean and the spread of the joints' rotations over all frames that have SMPL parameters.",
    )
    add_configuration_arguments(prior)
    prior.add_argument(
        "--output", required=True, metavar="FILE", help=".npz to write; the shipped one is lib/lifting/pose_prior.npz"
    )
    for command in (mocap, amass, checks, crowd, detected, prior):
        add_traceback_argument(command)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    from data.AMASS.importer import import_amass  # here: they import torch, which --help does not need
    from data.check import check
    from data.Mocap.importer import import_mocap

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
    if args.command == "amass":
        report = import_amass(
            Path(args.input),
            Path(args.output),
            fps=args.fps,
            train=_both(args.train_subsets, args.train_subjects),
            test=_both(args.test_subsets, args.test_subjects),
            seed=args.seed,
            skip_damaged=args.skip_damaged,
            drop_nan=args.nan_frames == "drop",
        )
        print(report)
        return
    if args.command in ("people", "detections"):
        {"people": write_people, "detections": write_detections}[args.command](args)
        return
    if args.command == "pose-prior":
        from data.pose_parameters import training_poses
        from lib.lifting.pose_prior import learn_pose_prior, save_pose_prior

        poses = training_poses(config_of(args), notice)
        save_pose_prior(Path(args.output), learn_pose_prior(poses))
        print(f"{args.output}: learned from {len(poses)} poses")
        return
    wrong = 0
    for finding in check(config_of(args)):
        print(f"{finding.state:6s} {finding.text}", flush=True)
        wrong += finding.state == "wrong"
    if wrong:
        raise UserError(f"{wrong} problems to fix; see docs/data.md for where to get each file")


def write_people(args: argparse.Namespace) -> None:
    """A sheet of new people, made from the training samples of a configuration."""
    import torch

    from lib.evaluation.crowd import draw_crowd
    from lib.joints import HUMAN36M_17

    cfg = config_of(args)
    _, maker = _people(cfg, "train", cfg.DATASET.train_list)
    generator = torch.Generator().manual_seed(args.seed)
    rows = torch.randint(len(maker.pose), (SHEET,), generator=generator)
    people = maker.make(rows, torch.rand(SHEET, generator=generator) < 0.5, generator)
    nodes = torch.cat([people.meshes[-1], people.landmarks], dim=1).numpy()
    draw_crowd(Path(args.output), people.pose3d.numpy(), nodes, people.up.numpy(), HUMAN36M_17)
    print(f"written: {args.output}")


def write_detections(args: argparse.Namespace) -> None:
    """An .npz with names (N,) and keypoints (N, J, 2) in pixels, of the test samples of a configuration."""
    from lib.files import replacing
    from lib.training.detector import detect

    cfg = config_of(args)
    tables, maker = _people(cfg, cfg.DATASET.test_split, cfg.DATASET.test_list[:1])
    if not tables[0].has_mesh.all():
        raise UserError(f"{cfg.DATASET.test_list[0]}: not every test sample has SMPL parameters to find keypoints on")
    keypoints = detect(tables[0], maker, args.joint_set, args.seed)
    with replacing(args.output) as temporary, open(temporary, "wb") as file:
        np.savez(file, names=np.asarray(tables[0].names), keypoints=keypoints)
    print(f"written: {args.output}, {len(keypoints)} images, DATASET.input_joint_set: {args.joint_set}")


def _people(cfg: Config, split: str, names: tuple[str, ...]) -> tuple[list, "PeopleMaker"]:
    """The tables of these data sets and what makes people of them."""
    import torch

    from data import build_table
    from lib.graph.hierarchy import build_hierarchy
    from lib.training.factory import people_of

    body = load_body(cfg.MODEL.smpl_dir, notice)
    tables = [build_table(cfg, name, split, body) for name in names]
    return tables, people_of(body, build_hierarchy(cfg, body.faces), tables, torch.device("cpu"))


def _both(subsets: list[str] | None, subjects: list[str] | None) -> list[str] | None:
    """The names of two options together; None where neither was given."""
    return None if subsets is None and subjects is None else [*(subsets or ()), *(subjects or ())]


if __name__ == "__main__":
    run_command(main)
