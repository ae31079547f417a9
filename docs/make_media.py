"""Draw the images of README.md and docs/: python docs/make_media.py [NAME ...]

They go to asset/media/. Everything is made from what the repository holds: the built-in body, procedural motion, a sample, the
shipped weights and their log, and the numbers in docs/*.json. run_folder.png trains for it: about two minutes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

MEDIA = ROOT / "asset" / "media"
RECORD = MEDIA / "made_from.json"
"""Image -> digest of what it was drawn from; a test asks for a new drawing when that has changed."""

TRAINING = "asset/yaml/HGN_synthetic_train.yml"
SHIPPED = ROOT / "experiment" / "HGN_mocap_pretrained"


def method(path: Path) -> None:
    """The three graph networks side by side, as in the paper's figure: own drawing, on the built-in body's graphs."""
    from docs.method_figure import draw_method

    draw_method(path)


def teaser(path: Path) -> None:
    """A procedural motion, its 2D keypoints lifted by the shipped weights and drawn by the writer of .gif."""
    from lib.lifting.writers.video import write_gif
    from lib.predict import Lifter

    pixels, size, rate = filmed_motion("Walking", seconds=6.4, rate=12.5)
    write_gif(path, [Lifter()(pixels, size, fps=rate)])


def sample(path: Path) -> None:
    """One frame of the OpenPose sample as the writer of .png draws it."""
    from lib.lifting.keypoints.prepare import prepare_people
    from lib.lifting.keypoints.readers import read_keypoints
    from lib.lifting.writers.png import write_png
    from lib.predict import Lifter

    people = prepare_people(read_keypoints(ROOT / "asset" / "samples" / "openpose", image_size=(1280, 720)))
    write_png(path, [sequence.rows([5]) for sequence in Lifter().lift(people, fps=25)])


def body(path: Path) -> None:
    """A long step from motion capture that the weights have not seen, as 2D keypoints, lifted; a body fitted, drawn as in films.

    The step is repeated until the viewpoint has turned once, so that the end meets the beginning.
    """
    from PIL import Image

    from lib.lifting.root_translation import with_root_translation
    from lib.lifting.sequence_smoothing import smoothed
    from lib.lifting.writers.video import SECONDS_PER_TURN, Layout, pictures_of
    from lib.predict import Lifter

    rate, camera = 24.0, (1100.0, 1100.0, 640.0, 360.0)
    step = np.load(ROOT / "asset" / "samples" / "lunge.npy")
    frames = np.arange(round(rate * SECONDS_PER_TURN))
    lifter = Lifter()
    lifted, _ = with_root_translation(lifter(step[frames % len(step)], (1280, 720), fps=rate, camera=camera), camera)
    sequences = [lifter.fit(smoothed(lifted))]
    drawn = pictures_of(sequences, frames, Layout.of_lines(sequences), mesh="body")
    first, *others = (Image.fromarray(picture) for picture in drawn)
    first.save(path, save_all=True, append_images=others, duration=round(1000 / rate), loop=0, quality=60, method=4)


def walker(path: Path) -> None:
    """A rendered person who walks past: the video among the examples of main/demo.py."""
    from docs.rendered_people import WARDROBE, Scene, moving_camera, write_video
    from docs.rendered_people import walker as person
    from smplpytorch.smplpytorch.builtin_body import build_builtin_body

    rate, seconds, speed = 15.0, 3.0, 1.05
    frames = round(rate * seconds)
    walking = person(build_builtin_body(), WARDROBE[0], (-speed * seconds / 2, 0.0), speed, frames, rate, seed=1)
    write_video(path, Scene([walking], moving_camera((0.0, 0.3, 0.95), frames, (384, 288)), rate))


def filmed_motion(action: str, seconds: float, rate: float) -> tuple[np.ndarray, tuple[int, int], float]:
    """Pixels (T, 17, 2) of a procedural motion of the built-in body in front of a studio camera, image size, frame rate."""
    import torch

    from data.studio import studio_cameras
    from data.Synthetic.kinematics import FRAME_RATE, Skeleton
    from data.Synthetic.motions import motion
    from lib.camera import camera_to_pixel, world_to_camera
    from smplpytorch.smplpytorch.builtin_body import build_builtin_body
    from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer

    body = build_builtin_body()
    layer = SMPL_Layer(body, torch.float64)
    at_rest = torch.zeros(1, 3 * len(body.parents), dtype=torch.float64)
    betas = torch.zeros(1, body.shapedirs.shape[-1], dtype=torch.float64)
    vertices, joints = layer(at_rest, betas)
    skeleton = Skeleton(joints[0].numpy(), float(vertices[0, :, 1].min()))
    step = round(FRAME_RATE / rate)
    pose, transl = motion(action, round(seconds * FRAME_RATE), skeleton, np.random.default_rng(3))
    pose, transl = pose[::step].reshape(-1, at_rest.shape[1]), transl[::step]
    vertices, _ = layer(torch.as_tensor(pose), betas.expand(len(pose), -1))
    vertices = vertices.numpy() + transl[:, None]
    vertices[..., 2] -= vertices[..., 2].min(1, keepdims=True)  # on the floor
    camera = studio_cameras(seed=0)[1]
    points = world_to_camera(1000 * (body.joint_regressor @ vertices), camera.R, camera.t)
    return camera_to_pixel(points, camera.f, camera.c), (camera.width, camera.height), FRAME_RATE / step


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
    axes.xaxis.get_major_locator().set_params(integer=True)
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
        plain, this = (f"{v:,.0f}" if v >= 100 else f"{v:.3g}" for v in (row["plain"], row["this"]))
        times = f"{plain} to {this} {row['unit']}"
        axes.text(row["ratio"] * 1.06, place, f"{row['ratio']:.1f}x  ({times})", va="center", fontsize=9)
    axes.set_yticks(list(places), [row["name"] for row in rows], fontsize=9)
    axes.set(
        xscale="log",
        xlabel="times as fast as a plain implementation, same results",
        xlim=(1, 20 * max(row["ratio"] for row in rows)),
    )
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def body_errors(path: Path) -> None:
    """What a fitted body and the floor change, from docs/body.json."""
    from lib.evaluation.plots import new_figure, save_figure

    ways = ("network", "body", "floor", "body, floor", "noisy 2D", "noisy 2D, gaussian", "noisy 2D, smooth body, floor")
    rows = [row for row in json.loads((ROOT / "docs" / "body.json").read_text())["rows"] if row["way"] in ways]
    figure = new_figure(9, 0.3 * len(rows) + 1.0)
    left, right = figure.subplots(1, 2, sharey=True)
    places = range(len(rows), 0, -1)
    colours = ["#2274a5" if row["data"] == rows[0]["data"] else "#e76f51" for row in rows]
    for axes, key, title in (
        (left, "slide", "sliding of a planted foot (mm per contact)"),
        (right, "mpjpe", "MPJPE (mm)"),
    ):
        values = [row["errors"][key] for row in rows]
        axes.barh(places, values, color=colours, height=0.62)
        for place, value in zip(places, values, strict=True):
            axes.text(value + 0.01 * max(values), place, f"{value:.1f}", va="center", fontsize=8)
        axes.set(xlabel=title, xlim=(0, 1.15 * max(values)))
        axes.spines[["top", "right"]].set_visible(False)
    left.set_yticks(list(places), [f"{row['data'].replace('-', ' ')}, {row['way']}" for row in rows], fontsize=9)
    save_figure(figure, path)


def results(path: Path) -> None:
    """Test errors of networks and options under the short protocol, from docs/results.json."""
    from lib.evaluation.plots import new_figure, save_figure

    rows = json.loads((ROOT / "docs" / "results.json").read_text())
    figure = new_figure(8, 0.3 * len(rows) + 1.2)
    axes = figure.add_subplot()
    places = range(len(rows), 0, -1)
    for key, name, colour in (("cmu83", "CMU 83", "#2274a5"), ("hdm05", "HDM05", "#e76f51")):
        errors = [row[key][0] for row in rows]
        axes.axvline(errors[0], color=colour, linewidth=0.8, alpha=0.5)
        axes.plot(errors, places, "o", color=colour, label=name)
    axes.set_yticks(list(places), [row["network"] for row in rows], fontsize=9)
    axes.set(xlabel="MPJPE after three epochs (mm); lines: the first row", ylim=(0.3, len(rows) + 0.7))
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right")
    save_figure(figure, path)


def run_folder(path: Path) -> None:
    """What README's training leaves behind: the tree of its run folder and some of its images."""
    from docs.run_folder_figure import draw_run_folder

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "main" / "train.py"), "--cfg", str(ROOT / TRAINING)]
        subprocess.run([*command, "--set", f"RUN.experiment_dir={folder}"], cwd=ROOT, check=True)
        draw_run_folder(path, next(Path(folder).iterdir()))


DRAWINGS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "teaser.gif": (
        teaser,
        ("lib/lifting/writers/video.py", "lib/lifting/writers/drawing.py", "experiment/HGN_mocap_pretrained/log.jsonl"),
    ),
    "body.webp": (
        body,
        (
            "lib/lifting/writers/video.py",
            "lib/lifting/writers/drawing.py",
            "lib/lifting/writers/surface.py",
            "lib/lifting/writers/skin.py",
            "asset/samples/lunge.npy",
            "experiment/HGN_mocap_pretrained/log.jsonl",
        ),
    ),
    "sample.png": (sample, ("lib/lifting/writers/png.py", "experiment/HGN_mocap_pretrained/log.jsonl")),
    "method.svg": (method, ("docs/method_figure.py", "smplpytorch/smplpytorch/builtin_body.py", "lib/graph/scales.py")),
    "error.svg": (error, ("experiment/HGN_mocap_pretrained/log.jsonl",)),
    "run_folder.png": (run_folder, ("docs/run_folder_figure.py", TRAINING)),
    "body.svg": (body_errors, ("docs/body.json",)),
    "results.svg": (results, ("docs/results.json",)),
    "speed.svg": (speed, ("docs/benchmarks.json",)),
    "walker.mp4": (walker, ("docs/rendered_people.py",)),
}
"""File in asset/media -> (how it is drawn, files that it is drawn from)."""

SCREENSHOTS = {"demo.png": "docs/screenshot_demo.py"}
"""File in asset/media -> the script that takes it. It needs a browser and is run by hand."""


def digest(files: tuple[str, ...]) -> str:
    """SHA-256 of the files that an image is drawn from."""
    return sha256(b"".join((ROOT / file).read_bytes() for file in files)).hexdigest()


def main() -> None:
    by_hand = ", ".join(f"{name} is taken by {script}" for name, script in SCREENSHOTS.items())
    parser = argparse.ArgumentParser(
        description=f"Draw the images of README.md and docs/ into asset/media. {by_hand}, with a browser."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (default: all): {', '.join(DRAWINGS)}")
    names = parser.parse_args().names or list(DRAWINGS)
    unknown = sorted(set(names) - set(DRAWINGS))
    if unknown:
        parser.error(f"no image {unknown[0]}; there are {', '.join(DRAWINGS)}")
    MEDIA.mkdir(exist_ok=True)
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in names:
        DRAWINGS[name][0](MEDIA / name)
        record[name] = digest(DRAWINGS[name][1])
        RECORD.write_text(json.dumps(dict(sorted(record.items())), indent=1) + "\n")
        print(f"asset/media/{name}: {(MEDIA / name).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
