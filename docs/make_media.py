"""Draw the pictures of README.md and docs/: python docs/make_media.py [NAME ...]

They go to asset/media/. Everything is made from what the repository holds: the built-in body, procedural motion, the shipped
weights and their log, and the last benchmark (docs/benchmarks.json).
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

MEDIA = ROOT / "asset" / "media"
SHIPPED = ROOT / "experiment" / "HGN_mocap_pretrained"


def method(path: Path) -> None:
    """The three graph networks side by side, as in the paper's figure: own drawing, on the built-in body's graphs."""
    from docs.method_figure import draw_method

    draw_method(path)


def error(path: Path) -> None:
    """Test error by epoch of the shipped weights, from their log."""
    from lib.evaluation.plots import new_figure, save_figure

    log = [json.loads(line) for line in (SHIPPED / "log.jsonl").read_text().splitlines()]
    figure = new_figure(7, 3.4)
    axes = figure.add_subplot()
    for key, label in (("mpjpe", "MPJPE"), ("pa_mpjpe", "PA-MPJPE")):
        values = [entry["test"][key] for entry in log]
        axes.plot(
            [entry["epoch"] + 1 for entry in log], values, marker=".", label=f"{label}, in the end {values[-1]:.1f} mm"
        )
    axes.set(xlabel="epochs trained", ylabel="error on CMU subject 83 (mm)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, path)


def speed(path: Path) -> None:
    """Times of this project over those of a plain implementation, from the last benchmark."""
    from lib.evaluation.plots import new_figure, save_figure

    content = json.loads((ROOT / "docs" / "benchmarks.json").read_text())
    rows = [row for row in content["rows"] if row["plain"] and row["ratio"] and row["unit"] in ("ms", "us", "s")]
    figure = new_figure(8, 0.42 * len(rows) + 1.1)
    axes = figure.add_subplot()
    places = range(len(rows), 0, -1)
    axes.barh(places, [row["ratio"] for row in rows], color="#2274a5", height=0.62)
    for place, row in zip(places, rows, strict=True):
        times = f"{row['plain']:.3g} to {row['this']:.3g} {row['unit']}"
        axes.text(row["ratio"] * 1.06, place, f"{row['ratio']:.1f}x  ({times})", va="center", fontsize=9)
    axes.set_yticks(list(places), [row["name"] for row in rows], fontsize=9)
    axes.set(
        xscale="log",
        xlabel="times as fast as a plain implementation, same results",
        xlim=(1, 8 * max(row["ratio"] for row in rows)),
    )
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


DRAWINGS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "method.svg": (method, ("docs/method_figure.py", "smplpytorch/smplpytorch/builtin_body.py", "lib/graph/scales.py")),
    "error.svg": (error, ("experiment/HGN_mocap_pretrained/log.jsonl",)),
    "speed.svg": (speed, ("docs/benchmarks.json",)),
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
