"""Draw the pictures of README.md and docs/: python docs/make_media.py [NAME ...]

They go to asset/media/. Everything is made from what the repository holds: the built-in body, procedural motion, the shipped
weights and their log, and the last benchmark (docs/benchmarks.json).
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

MEDIA = ROOT / "asset" / "media"


def method(path: Path) -> None:
    """The three graph networks side by side, as in the paper's figure: own drawing, on the built-in body's graphs."""
    from docs.method_figure import draw_method

    draw_method(path)


DRAWINGS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "method.svg": (method, ("docs/method_figure.py", "smplpytorch/smplpytorch/builtin_body.py", "lib/graph/scales.py")),
}
"""File in asset/media -> (how it is drawn, files that it is drawn from; a test compares their ages in the history)."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the pictures of README.md and docs/ into asset/media.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (default: all): {', '.join(DRAWINGS)}")
    names = parser.parse_args().names or list(DRAWINGS)
    unknown = sorted(set(names) - set(DRAWINGS))
    if unknown:
        parser.error(f"no picture {unknown[0]}; there are {', '.join(DRAWINGS)}")
    MEDIA.mkdir(exist_ok=True)
    for name in names:
        DRAWINGS[name][0](MEDIA / name)
        print(f"asset/media/{name}: {(MEDIA / name).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
