"""Train a network: python main/train.py --cfg asset/yaml/HGN_synthetic_train.yml"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.cli import add_common_arguments, config_of, notice, run_command
from lib.config import Config
from lib.errors import Stopped, UserError

if TYPE_CHECKING:
    from lib.distributed import Group

DEBUG_SAMPLES = 256


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train HGN, or another network of MODEL.name, as a YAML file says. Everything is written to a new "
        "folder experiment/exp_<time>: checkpoint/ (last, best), graph/ (curves), vis/ (images), log.jsonl and the "
        "configuration."
    )
    add_common_arguments(parser)
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of weights, sample order and augmentation, from 0 up (default 0)",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help=f"train and test on {DEBUG_SAMPLES} samples only, to see that all parts work",
    )
    parser.add_argument(
        "--resume_training",
        nargs="?",
        const="",
        metavar="PATH",
        help="go on with an interrupted run, in its folder: the newest run of this configuration, or the run folder or "
        "checkpoint PATH",
    )
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    cfg = config_of(args)
    if not 0 <= args.seed < 2**31:
        raise UserError(f"--seed {args.seed}: give a whole number from 0 to {2**31 - 1}")
    from lib.distributed import process_group  # here, as in `run`: torch takes seconds, which --help does not need

    with process_group() as group:
        run(args, cfg, group)


def run(args: argparse.Namespace, cfg: Config, group: "Group") -> None:
    """One rank's part of the command; rank 0 alone prints and writes."""
    import torch

    from data import build_table
    from lib.config import config_to_dict
    from lib.device import choose_devices
    from lib.evaluation.evaluate import build_evaluator
    from lib.evaluation.results import draw_samples
    from lib.graph.hierarchy import build_hierarchy
    from lib.models.factory import build_joint_set, build_model, output_scales
    from lib.run_dir import create_run_dir
    from lib.training.checkpoints import Checkpoints, describe_run
    from lib.training.factory import build_batches, build_learner
    from lib.training.reporter import Reporter
    from lib.training.resume import find_resumable
    from lib.training.trainer import Trainer
    from smplpytorch.smplpytorch.load_body import load_body

    devices = choose_devices(args.gpu, group)
    log = notice if group.is_main else lambda message: None
    with group.taking_turns():
        body = load_body(cfg.MODEL.smpl_dir, log)
        scales = build_hierarchy(cfg, body.faces)
        train = [build_table(cfg, name, "train", body) for name in cfg.DATASET.train_list]
        tests = {name: build_table(cfg, name, "test", body) for name in cfg.DATASET.test_list}
    if args.debug:
        train = [table.subsample(DEBUG_SAMPLES) for table in train]
        tests = {name: table.subsample(DEBUG_SAMPLES) for name, table in tests.items()}
    samples = [len(table) for table in train]
    group.require_same(
        {"--seed": args.seed, "the number of training samples": samples}
        | {f"TRAIN.{key}": value for key, value in config_to_dict(cfg.TRAIN).items()}
        | {f"AUG.{key}": value for key, value in config_to_dict(cfg.AUG).items()}
    )

    joints = build_joint_set(cfg)
    torch.manual_seed(args.seed)
    model = build_model(cfg, scales).to(devices[0])
    learner = build_learner(cfg, model, scales, devices, group)
    batches = build_batches(cfg, train, devices[0], args.seed, group)
    evaluator = build_evaluator(cfg, tests, joints, devices[0], group)
    found = None
    if group.is_main:
        resume = args.resume_training
        found = (create_run_dir(cfg),) if resume is None else find_resumable(cfg, resume, notice)
    folder, *saved = group.from_main(found)
    checkpoints = Checkpoints(folder.checkpoint, describe_run(cfg, scales, joints, args.seed, samples), cfg.TRAIN.keep)
    reporter = Reporter(folder, group.is_main)
    trainer = Trainer(cfg.TRAIN, learner, batches, evaluator, checkpoints, reporter, group)
    if saved:
        trainer.restore(*saved)
    reporter.line(f"run folder: {folder.root}")
    reporter.line(
        f"training on {sum(samples)} samples of {', '.join(cfg.DATASET.train_list)}, "
        f"testing on {sum(len(t) for t in tests.values())} of {', '.join(tests)}, "
        f"{cfg.MODEL.name} of {sum(p.numel() for p in model.parameters())} parameters, graphs of "
        f"{', '.join(str(len(s)) for s in output_scales(cfg, scales))} nodes, {devices[0]}"
        + (f", {group.size} ranks" if group.size > 1 else "")
    )
    try:
        trainer.train()
    except Stopped:
        reporter.line(f"stopped and saved; go on with: {resume_command(folder.root, group)}")
        raise
    if group.is_main and cfg.TEST.vis:
        draw_samples(folder.vis, evaluator, model, scales)
    reporter.line(
        f"best test MPJPE {trainer.progress.best_error:.2f} mm (epoch chosen on the test subjects); all in {folder.root}"
    )


def resume_command(root: Path, group: "Group") -> str:
    """The command line that goes on with this run; of several --resume_training the last one counts."""
    go_on = ["--resume_training", str(root)]
    launcher = "python" if group.size == 1 else "torchrun ..."
    return shlex.join([*launcher.split(), *sys.argv, *([] if sys.argv[-2:] == go_on else go_on)])


if __name__ == "__main__":
    run_command(main)
