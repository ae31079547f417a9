"""Learn lib/joints/plausible_pose.npz from the training poses of a configuration, mirrored ones included.

    python -m data.plausible_pose --cfg asset/yaml/HGN_mocap_train.yml

The shipped file comes from this command and the CMU poses that the shipped weights were trained on.
"""

import argparse
from pathlib import Path

import numpy as np

from data import build_table
from lib.cli import add_configuration_arguments, config_of, run_command
from lib.joints import HUMAN36M_17
from lib.joints.plausible_pose import FILE, learn, save

NOISE = 0.03
"""Standard deviation of detected joints over the pose's root mean square size: about 3 px of a box of 384 px, as in training."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_configuration_arguments(parser)
    parser.add_argument(
        "--output", metavar="FILE", type=Path, default=FILE, help=f"default: {FILE.name} beside the code"
    )
    args = parser.parse_args()
    cfg = config_of(args)
    poses = np.concatenate([build_table(cfg, name, "train").pose2d for name in cfg.DATASET.train_list]).astype(
        np.float64
    )
    mirrored = (poses * [-1, 1])[:, HUMAN36M_17.flip_permutation]
    save(learn(np.concatenate([poses, mirrored]), NOISE), args.output)
    print(f"{len(poses)} poses and as many mirrored ones: {args.output}")


if __name__ == "__main__":
    run_command(main)
