"""Test HGN: python main/test.py --cfg asset/yaml/HGN_synthetic_test.yml --set TEST.weight_path=experiment/exp_..."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


from data import build_hierarchy, build_table
from lib.build import build_joint_set, find_weights, load_network
from lib.cli import add_common_arguments, choose_devices, config_of, notice, run_command
from lib.engine import describe_protocol, evaluate_table
from lib.errors import UserError
from lib.results import write_pictures, write_results
from lib.run_dir import RunDir, create_run_dir
from smplpytorch.smplpytorch.load_body import load_body


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Test weights on the test split that a YAML file names and print the published report. Predictions, "
        "metrics and (TEST.vis) pictures are written to a new folder experiment/exp_<time>. The weights are "
        "TEST.weight_path: a checkpoint of this project or of the release, or a folder that holds some."
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    cfg = config_of(args)
    if not cfg.DATASET.use_gt_input and not cfg.DATASET.detection_file:
        raise UserError(
            "testing without ground-truth 2D input needs DATASET.detection_file; noise is for training only"
        )
    devices = choose_devices(args.gpu)
    joints = build_joint_set(cfg)
    path = find_weights(cfg)
    print(f"weights: {path}")
    body = load_body(cfg.MODEL.smpl_dir, notice)
    model, scales, content = load_network(path, cfg, lambda: build_hierarchy(cfg, body))
    model.to(devices[0])
    trained = f", after {content['epoch']} epochs" if isinstance(content.get("epoch"), int) else ""

    run = create_run_dir(cfg)
    for name in cfg.DATASET.test_list:
        table = build_table(cfg, name, "test", body)
        protocol = describe_protocol(name, "test", table, joints, cfg.DATASET.use_gt_input)
        if path.name.startswith(("best", "final")):
            protocol += " The weights' epoch may have been chosen on these very test subjects, as published."
        report, predictions = evaluate_table(model, table, cfg, devices[0], protocol, f"{path}{trained}", progress=True)
        print(report.text())
        several = len(cfg.DATASET.test_list) > 1
        out = RunDir(run.root / name) if several else run
        write_results(out.result, table, predictions, report)
        if cfg.TEST.vis:
            write_pictures(out.vis, table, predictions, scales, joints)
    print(f"all in {run.root}")


if __name__ == "__main__":
    run_command(main)
