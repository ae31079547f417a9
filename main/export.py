"""Write the network as a file for other programs: python main/export.py --output hgn.onnx"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.cli import add_traceback_argument, add_weights_argument, run_command
from lib.lifting import PRETRAINED


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Export trained weights: the network for programs without this project, or the weights alone to pass "
        "on; docs/export.md shows how to use the files."
    )
    add_weights_argument(parser, PRETRAINED)
    parser.add_argument(
        "--output",
        metavar="FILE",
        nargs="+",
        required=True,
        help=".onnx (ONNX Runtime and others), .pt2 (torch.export) or .pth.tar (a checkpoint of the weights alone, in half "
        "precision); several are possible",
    )
    add_traceback_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    from lib import checkpoint  # here, for torch takes seconds, which --help does not need
    from lib.lifting.export import export
    from lib.lifting.lifter import checkpoint_file, load_model

    model, faces = load_model(args.weights)
    for path in args.output:
        if path.endswith(".pth.tar"):
            checkpoint.share(checkpoint_file(args.weights), path)
            about = "the weights alone, in half precision"
        else:
            about = f"differs from the network by at most {export(model, faces, path):.1e} m"
        print(f"{path}: {Path(path).stat().st_size / 2**20:.1f} MiB, {about}")


if __name__ == "__main__":
    run_command(main)
