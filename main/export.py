"""Write the network as a file for other programs: python main/export.py --output hgn.onnx"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.cli import add_traceback_argument, add_weights_argument, run_command
from lib.lifting import PRETRAINED


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Export trained weights for programs without this project; docs/export.md shows how to use "
        "the file. It is read again and compared with the network."
    )
    add_weights_argument(parser, PRETRAINED)
    parser.add_argument(
        "--output",
        metavar="FILE",
        nargs="+",
        required=True,
        help=".onnx (ONNX Runtime and others) or .pt2 (torch.export); several are possible",
    )
    add_traceback_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    from lib.lifting.export import export  # here, for torch takes seconds, which --help does not need
    from lib.lifting.lifter import load_model

    model, faces = load_model(args.weights)
    for path in args.output:
        difference = export(model, faces, path)
        size = Path(path).stat().st_size / 2**20
        print(f"{path}: {size:.1f} MiB, differs from the network by at most {difference:.1e} m")


if __name__ == "__main__":
    run_command(main)
