"""Test HGN: python main/test.py --cfg asset/yaml/HGN_synthetic_test.yml --set TEST.weight_path=experiment/exp_..."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.cli import add_common_arguments, config_of, notice, run_command
from lib.config import Config
from lib.errors import UserError

if TYPE_CHECKING:
    from lib.distributed import Group


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Test weights on the test split that a YAML file names and print the published report. Predictions, "
        "metrics and (TEST.vis) images are written to a new folder experiment/exp_<time>. The weights are "
        "TEST.weight_path: a checkpoint of this project or of the release, or a folder with one."
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    cfg = config_of(args)
    if not cfg.DATASET.use_gt_input and not cfg.DATASET.detection_file and cfg.DATASET.detections == "gt":
        raise UserError(
            "testing without ground-truth 2D input needs DATASET.detection_file or DATASET.detections; noise is for "
            "training only"
        )
    from lib.distributed import process_group  # here, as in `run`: torch takes seconds, which --help does not need

    with process_group() as group:
        run(args, cfg, group)


def run(args: argparse.Namespace, cfg: Config, group: "Group") -> None:
    """One rank's part of the command; rank 0 alone prints and writes."""
    from data import build_table
    from lib.device import choose_devices, data_parallel
    from lib.evaluation.evaluate import build_evaluator
    from lib.evaluation.results import write_images, write_results
    from lib.graph.hierarchy import build_hierarchy
    from lib.models.factory import build_joint_set, find_weights, load_network
    from lib.run_dir import RunDir, create_run_dir
    from smplpytorch.smplpytorch.load_body import load_body

    devices = choose_devices(args.gpu, group)
    joints = build_joint_set(cfg)
    path = group.from_main(find_weights(cfg) if group.is_main else None)
    with group.taking_turns():
        body = load_body(cfg.MODEL.smpl_dir, notice if group.is_main else lambda message: None)
        model, scales, content = load_network(path, cfg, lambda: build_hierarchy(cfg, body.faces))
        tables = {name: build_table(cfg, name, cfg.DATASET.test_split, body) for name in cfg.DATASET.test_list}
    network = data_parallel(model.to(devices[0]), devices)
    trained = f", after {content['epoch']} epochs" if isinstance(content.get("epoch"), int) else ""

    if group.is_main:
        print(f"weights: {path}")
        folder = create_run_dir(cfg)
    evaluator = build_evaluator(cfg, tables, joints, devices[0], group)
    chosen = path.name.startswith(("best", "final"))
    note = " The weights' epoch may have been chosen on these very subjects, as published." if chosen else ""
    for name, table in tables.items():
        report, predictions = evaluator.run(name, network, f"{path}{trained}", note, progress=True)
        if not group.is_main:
            continue
        print(report.text())
        out = RunDir(folder.root / name) if len(tables) > 1 else folder
        write_results(out.result, table, predictions, report)
        if cfg.TEST.vis:
            write_images(out.vis, table, predictions, scales, joints)
    if group.is_main:
        print(f"all in {folder.root}")


if __name__ == "__main__":
    run_command(main)
