"""Train a network: python main/train.py --cfg asset/yaml/HGN_synthetic_train.yml"""

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch import nn

from data import build_table
from lib.cli import add_common_arguments, config_of, notice, run_command
from lib.config import Config, config_to_dict
from lib.device import choose_devices
from lib.distributed import Group, distribute, process_group
from lib.errors import Stopped, UserError
from lib.evaluation.evaluate import predict
from lib.evaluation.results import write_images
from lib.graph.hierarchy import build_hierarchy
from lib.models.factory import build_joint_set, build_model, output_scales
from lib.run_dir import create_run_dir
from lib.training.batches import BatchSource
from lib.training.factory import build_augmentation, build_loss_weights
from lib.training.resume import find_resumable
from lib.training.trainer import Trainer
from smplpytorch.smplpytorch.load_body import load_body

DEBUG_SAMPLES = 256


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train HGN, or another network of MODEL.name, as a YAML file says. Everything is written to a new "
        "folder experiment/exp_<time>: checkpoint/ (last, best), graph/ (curves), vis/ (pictures), log.jsonl and the "
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
    with process_group() as group:
        run(args, cfg, group)


def run(args: argparse.Namespace, cfg: Config, group: Group) -> None:
    """One rank's part of the command; rank 0 alone prints and writes."""
    devices = choose_devices(args.gpu, group)
    joints = build_joint_set(cfg)
    tell = notice if group.is_main else lambda message: None
    with group.taking_turns():
        body = load_body(cfg.MODEL.smpl_dir, tell)
        scales = build_hierarchy(cfg, body.faces)
        train = [build_table(cfg, name, "train", body) for name in cfg.DATASET.train_list]
        tests = {name: build_table(cfg, name, "test", body) for name in cfg.DATASET.test_list}
    if args.debug:
        train = [subsample(table) for table in train]
        tests = {name: subsample(table) for name, table in tests.items()}
    group.require_same(
        {"--seed": args.seed, "the number of training samples": [len(table) for table in train]}
        | {f"TRAIN.{key}": value for key, value in config_to_dict(cfg.TRAIN).items()}
        | {f"AUG.{key}": value for key, value in config_to_dict(cfg.AUG).items()}
    )

    torch.manual_seed(args.seed)
    model = build_model(cfg, scales).to(devices[0])
    parallel = None
    if group.size > 1:
        parallel = distribute(model, cfg.TRAIN.sync_bn)
    elif len(devices) > 1:
        parallel = nn.DataParallel(model, [d.index for d in devices])
    batches = BatchSource(
        train, devices[0], cfg.TRAIN.batch_size, cfg.TRAIN.shuffle, args.seed, build_augmentation(cfg), group
    )
    folder, *saved = group.from_main(open_run(cfg, args.resume_training) if group.is_main else None)
    trainer = Trainer(
        cfg,
        model,
        scales,
        joints,
        build_loss_weights(cfg),
        batches,
        tests,
        folder,
        devices[0],
        args.seed,
        parallel,
        group,
    )
    if saved:
        trainer.restore(*saved)
    if group.is_main:
        print(f"run folder: {folder.root}")
        print(
            f"training on {sum(len(t) for t in train)} samples of {', '.join(cfg.DATASET.train_list)}, "
            f"testing on {sum(len(t) for t in tests.values())} of {', '.join(cfg.DATASET.test_list)}, "
            f"{cfg.MODEL.name} of {sum(p.numel() for p in model.parameters())} parameters, graphs of "
            f"{', '.join(str(len(s)) for s in output_scales(cfg, scales))} nodes, {devices[0]}"
            + (f", {group.size} ranks" if group.size > 1 else "")
        )
    try:
        trainer.train()
    except Stopped:
        if group.is_main:
            print(f"stopped and saved; go on with: {resume_command(folder.root, group)}")
        raise
    if not group.is_main:
        return
    if cfg.TEST.vis:
        for table in tests.values():
            sample = subsample(table, 6)
            predictions = predict(model, sample.pose2d, cfg.TEST.batch_size, devices[0])
            write_images(folder.vis, sample, predictions, scales, joints)
    print(f"best test MPJPE {trainer.best_error:.2f} mm (epoch chosen on the test subjects); all in {folder.root}")


def open_run(cfg: Config, resume: str | None) -> tuple:
    """A new run folder; for --resume_training an old one, its checkpoint's path and content."""
    return (create_run_dir(cfg),) if resume is None else find_resumable(cfg, resume, notice)


def subsample(table, count: int = DEBUG_SAMPLES):
    """`count` samples spread evenly over the table."""
    return table.take(np.unique(np.linspace(0, len(table) - 1, count).round().astype(int)))


def resume_command(root: Path, group: Group) -> str:
    """The command line that goes on with this run; of several --resume_training the last one counts."""
    go_on = ["--resume_training", str(root)]
    launcher = "python" if group.size == 1 else "torchrun ..."
    return shlex.join([*launcher.split(), *sys.argv, *([] if sys.argv[-2:] == go_on else go_on)])


if __name__ == "__main__":
    run_command(main)
