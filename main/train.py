"""Train a network: python main/train.py --cfg asset/yaml/HGN_synthetic_train.yml"""

import argparse
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.cli import add_common_arguments, config_of, notice, run_command
from lib.config import Config, flatten_config
from lib.errors import Stopped, UserError

if TYPE_CHECKING:
    from lib.distributed import Group

DEBUG_SAMPLES = 256
DEFAULT_SEED = 123
"""As published."""
MAX_SEED = 2**31
OWN_KEYS = ("DATASET.data_dir", "DATASET.workers", "MODEL.smpl_dir", "RUN.experiment_dir", "RUN.time_zone", "TEST.vis")
"""Keys that ranks on several hosts may each have their own value of."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train HGN, or another network of MODEL.name, as configured by a YAML file. Everything is written to a new "
        "folder experiment/exp_<time>: checkpoint/ (last, best), graph/ (curves), vis/ (images), log.jsonl and the "
        "configuration."
    )
    add_common_arguments(parser)
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help=f"seed of weights, sample order and augmentation, from 0 up (default {DEFAULT_SEED}, or that of the run which "
        "is resumed)",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help=f"train and test on {DEBUG_SAMPLES} samples only, as a quick check of all parts",
    )
    parser.add_argument(
        "--resume_training",
        nargs="?",
        const="",
        metavar="PATH",
        help="resume an interrupted run, in its folder: the newest run of this configuration, or the run folder or "
        "checkpoint PATH",
    )
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    cfg = config_of(args)
    if args.seed is not None and not 0 <= args.seed < MAX_SEED:
        raise UserError(f"--seed {args.seed}: give a whole number from 0 to {MAX_SEED - 1}")
    from lib.distributed import process_group  # here, as in `run`: torch takes seconds, which --help does not need
    from lib.training.resume import resumed_run

    with process_group() as group:
        log = notice if group.is_main else lambda message: None
        with resumed_run(cfg, args.resume_training, group, log) as resumed:
            run(args, cfg, resumed, group)


def run(args: argparse.Namespace, cfg: Config, resumed: tuple | None, group: "Group") -> None:
    """One rank's part of the command; rank 0 alone prints and writes. resumed: from `lib.training.resume.resumed_run`."""
    import torch

    from data import build_table
    from lib.device import choose_devices
    from lib.evaluation.evaluate import build_evaluator
    from lib.evaluation.results import draw_samples
    from lib.graph.hierarchy import build_hierarchy
    from lib.models.factory import build_joint_set, build_model, output_scales
    from lib.run_dir import create_run_dir
    from lib.training.checkpoints import Checkpoints, describe_run
    from lib.training.factory import build_batches, build_learner, build_people
    from lib.training.reporter import Reporter
    from lib.training.start import load_start, read_start
    from lib.training.trainer import Trainer
    from smplpytorch.smplpytorch.load_body import load_body

    devices = choose_devices(args.gpu, group)
    seed = choose_seed(args.seed, resumed)
    group.require_same({"--seed": seed} | {k: v for k, v in flatten_config(cfg).items() if k not in OWN_KEYS})
    start = None if resumed else group.from_main(read_start(cfg) if group.is_main else None)
    with group.taking_turns():
        body = load_body(cfg.MODEL.smpl_dir, notice if group.is_main else lambda message: None)
        scales = build_hierarchy(cfg, body.faces)
        train = [build_table(cfg, name, "train", body) for name in cfg.DATASET.train_list]
        tests = {name: build_table(cfg, name, cfg.DATASET.test_split, body) for name in cfg.DATASET.test_list}
    if args.debug:
        train = [table.subsample(DEBUG_SAMPLES) for table in train]
        tests = {name: table.subsample(DEBUG_SAMPLES) for name, table in tests.items()}
    samples = [len(table) for table in train]
    group.require_same({"the number of training samples": samples})

    joints = build_joint_set(cfg)
    torch.manual_seed(seed)
    model = build_model(cfg, scales).to(devices[0])
    if start:
        load_start(model, scales, *start)
    learner = build_learner(cfg, model, scales, devices, group)
    people = build_people(cfg, body, scales, train, devices[0])
    batches = build_batches(cfg, train, devices[0], seed, group, people)
    evaluator = build_evaluator(cfg, tests, joints, devices[0], group)
    folder = resumed[0] if resumed else group.from_main(create_run_dir(cfg) if group.is_main else None)
    checkpoints = Checkpoints(folder.checkpoint, describe_run(cfg, scales, joints, seed, samples), cfg.TRAIN.keep)
    reporter = Reporter(folder, group.is_main)
    trainer = Trainer(cfg.TRAIN, learner, batches, evaluator, checkpoints, reporter, group)
    if resumed:
        trainer.restore(*resumed[1:])
    reporter.line(f"run folder: {folder.root}")
    if start:
        reporter.line(f"starting from {start[0]}")
    reporter.line(
        f"training on {sum(samples)} samples of {', '.join(cfg.DATASET.train_list)}, "
        f"testing on {sum(len(t) for t in tests.values())} of {', '.join(tests)}, "
        f"{cfg.MODEL.name} of {sum(p.numel() for p in model.parameters())} parameters, graphs of "
        f"{', '.join(str(len(s)) for s in output_scales(cfg, scales))} nodes, {devices[0]}"
        + (f", {group.size} ranks" if group.size > 1 else "")
    )
    try:
        with nullcontext() if resumed or not group.is_main else folder.locked():
            trainer.train()
    except Stopped:
        reporter.line(f"stopped and saved; resume with: {resume_command(folder.root, group)}")
        raise
    reporter.finish(trainer.progress)
    if group.is_main and cfg.TEST.vis:
        draw_samples(folder.vis, evaluator, learner.network, scales)


def choose_seed(given: int | None, resumed: tuple | None) -> int:
    """--seed, or that of the run which is resumed, or the default."""
    if given is not None:
        return given
    stored = resumed[2].get("seed") if resumed else None
    return stored if type(stored) is int and 0 <= stored < MAX_SEED else DEFAULT_SEED


def resume_command(root: Path, group: "Group") -> str:
    """The command line that resumes this run; of several --resume_training the last one counts."""
    go_on = ["--resume_training", str(root)]
    launcher = "python" if group.size == 1 else "torchrun ..."
    return shlex.join([*launcher.split(), *sys.argv, *([] if sys.argv[-2:] == go_on else go_on)])


if __name__ == "__main__":
    run_command(main)
