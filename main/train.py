"""Train HGN: python main/train.py --cfg asset/yaml/HGN_synthetic_train.yml"""

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch import nn

from data import build_hierarchy, build_table
from lib.batches import BatchSource
from lib.build import build_augmentation, build_joint_set, build_loss_weights, build_model
from lib.cli import add_common_arguments, choose_devices, config_of, notice, run_command
from lib.engine import Stopped, Trainer, predict
from lib.results import write_pictures
from lib.resume import find_resumable
from lib.run_dir import create_run_dir
from smplpytorch.smplpytorch.load_body import load_body

DEBUG_SAMPLES = 256


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train HGN as a YAML file says. Everything is written to a new folder experiment/exp_<time>: "
        "checkpoint/ (last, best), graph/ (curves), vis/ (pictures), log.jsonl and the configuration."
    )
    add_common_arguments(parser)
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of weights, sample order and augmentation (default 0)"
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
    devices = choose_devices(args.gpu)
    joints = build_joint_set(cfg)
    body = load_body(cfg.MODEL.smpl_dir, notice)
    scales = build_hierarchy(cfg, body)
    train = [build_table(cfg, name, "train", body) for name in cfg.DATASET.train_list]
    tests = {name: build_table(cfg, name, "test", body) for name in cfg.DATASET.test_list}
    if args.debug:
        train = [few(table) for table in train]
        tests = {name: few(table) for name, table in tests.items()}

    torch.manual_seed(args.seed)
    model = build_model(cfg, scales).to(devices[0])
    parallel = nn.DataParallel(model, [d.index for d in devices]) if len(devices) > 1 else None
    batches = BatchSource(
        train, devices[0], cfg.TRAIN.batch_size, cfg.TRAIN.shuffle, args.seed, build_augmentation(cfg)
    )
    resuming = args.resume_training is not None
    run, *saved = find_resumable(cfg, args.resume_training, notice) if resuming else [create_run_dir(cfg)]
    trainer = Trainer(
        cfg, model, scales, joints, build_loss_weights(cfg), batches, tests, run, devices[0], args.seed, parallel
    )
    if resuming:
        trainer.restore(*saved)
    print(f"run folder: {run.root}")
    print(
        f"training on {sum(len(t) for t in train)} samples of {', '.join(cfg.DATASET.train_list)}, "
        f"testing on {sum(len(t) for t in tests.values())} of {', '.join(cfg.DATASET.test_list)}, "
        f"{sum(p.numel() for p in model.parameters())} parameters, graphs of "
        f"{', '.join(str(len(s)) for s in scales)} nodes, {devices[0]}"
    )
    try:
        trainer.train()
    except Stopped:
        print(f"stopped and saved; go on with: {resume_command(run.root)}")
        raise
    if cfg.TEST.vis:
        for table in tests.values():
            sample = few(table, 6)
            predictions = predict(model, sample.pose2d, cfg.TEST.batch_size, devices[0])
            write_pictures(run.vis, sample, predictions, scales, joints)
    print(f"best test MPJPE {trainer.best_error:.2f} mm (epoch chosen on the test subjects); all in {run.root}")


def few(table, count: int = DEBUG_SAMPLES):
    """`count` samples spread evenly over the table."""
    return table.take(np.unique(np.linspace(0, len(table) - 1, count).round().astype(int)))


def resume_command(root: Path) -> str:
    """The command line that goes on with this run."""
    arguments = sys.argv[:]
    if "--resume_training" in arguments:
        arguments = arguments[: arguments.index("--resume_training")]
    return shlex.join(["python", *arguments, "--resume_training", str(root)])


if __name__ == "__main__":
    run_command(main)
