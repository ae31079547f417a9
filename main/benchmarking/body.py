"""What fitting a body and the floor change, on test data with known SMPL parameters."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from data import DATASETS
from data.source import Chunk
from lib.camera import camera_to_pixel
from lib.config import Config
from lib.lifting import FIT_SMOOTHNESS, GAUSSIAN, ONE_EURO
from lib.lifting.lifter import Lifter
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.root_translation import with_root_translation
from lib.lifting.sequence_smoothing import smoothed
from lib.training.detector import DetectorErrors
from main.benchmarking.body_errors import FLOOR_COLUMNS, POSE_COLUMNS, Truth, joint_rotations, measured

NOISE = DetectorErrors().std
"""Standard deviation of noisy 2D, over the larger side of the person's box; independent from frame to frame."""


@dataclass(frozen=True)
class View:
    """What the network is given: whether it knows the camera, and the noise on the 2D joints as NOISE."""

    camera: bool = True
    noise: float = 0.0


EXACT, ASSUMED, NOISY = View(), View(camera=False), View(noise=NOISE)

Way = Callable[[Lifter, PoseSequence], PoseSequence]

WAYS: dict[str, tuple[View, Way]] = {
    "network": (EXACT, lambda _, s: s),
    "one-euro": (EXACT, lambda _, s: smoothed(s, ONE_EURO)),
    "gaussian": (EXACT, lambda _, s: smoothed(s, GAUSSIAN)),
    "body": (EXACT, lambda lifter, s: lifter.fit(s)),
    "smooth body": (EXACT, lambda lifter, s: lifter.fit(s, smoothness=FIT_SMOOTHNESS)),
    "floor": (EXACT, lambda lifter, s: on_floor(lifter, s)),
    "body, floor": (EXACT, lambda lifter, s: on_floor(lifter, lifter.fit(s))),
    "smooth body, floor": (EXACT, lambda lifter, s: on_floor(lifter, lifter.fit(s, smoothness=FIT_SMOOTHNESS))),
    "camera assumed": (ASSUMED, lambda _, s: s),
    "camera assumed, floor": (ASSUMED, lambda lifter, s: on_floor(lifter, s)),
    "camera assumed, body, floor": (ASSUMED, lambda lifter, s: on_floor(lifter, lifter.fit(s))),
    "noisy 2D": (NOISY, lambda _, s: s),
    "noisy 2D, one-euro": (NOISY, lambda _, s: smoothed(s, ONE_EURO)),
    "noisy 2D, gaussian": (NOISY, lambda _, s: smoothed(s, GAUSSIAN)),
    "noisy 2D, body": (NOISY, lambda lifter, s: lifter.fit(s)),
    "noisy 2D, smooth body": (NOISY, lambda lifter, s: lifter.fit(s, smoothness=FIT_SMOOTHNESS)),
    "noisy 2D, smooth body, floor": (
        NOISY,
        lambda lifter, s: on_floor(lifter, lifter.fit(s, smoothness=FIT_SMOOTHNESS)),
    ),
}
"""Name: what the network is given, and from what it gave to a result."""


@dataclass(frozen=True)
class BodyRow:
    """One way of lifting, over all frames of one data set: errors by the names of POSE_COLUMNS and FLOOR_COLUMNS, None
    where a way has none; joints: of each of SMPL's joints the rotation error relative to its parent, degrees; seconds: of CPU
    time per frame, the network's not included."""

    data: str
    way: str
    frames: int
    errors: dict[str, float | None]
    joints: dict[str, float] | None
    seconds: float

    def text(self, columns: dict[str, str]) -> str:
        cells = ("" if (value := self.errors[name]) is None else f"{value:.1f}" for name in columns)
        return f"| {self.data} | {self.way} | {' | '.join(cells)} |"


def tables(rows: list[BodyRow]) -> str:
    """The tables of docs/body.md: poses, the floor, rotations of single joints."""
    parts = []
    for columns in (POSE_COLUMNS, FLOOR_COLUMNS):
        head = ["data", "way", *columns.values()]
        parts.append([head, ["---"] * 2 + ["---:"] * len(columns), *(row.text(columns) for row in rows)])
    known = [row for row in rows if row.joints]
    names = list(known[0].joints or ()) if known else []
    lines = [f"| {r.data} | {r.way} | {' | '.join(f'{(r.joints or {})[n]:.1f}' for n in names)} |" for r in known]
    parts.append([["data", "way", *names], ["---"] * 2 + ["---:"] * len(names), *lines])
    return "\n\n".join(
        "\n".join(line if isinstance(line, str) else f"| {' | '.join(line)} |" for line in part) for part in parts
    )


def on_floor(lifter: Lifter, sequence: PoseSequence) -> PoseSequence:
    """The one person put on the floor."""
    return lifter.on_floor([sequence])[0][0]


def body_rows(cfg: Config, lifter: Lifter, frames: int, label: str, rate: float) -> Iterator[BodyRow]:
    """Lift the first clips of each person of the test sets, one camera, up to `frames` frames, in all WAYS.

    label: names the data; rate: frames per second of the import.
    """
    body = lifter.require_body()
    for name in cfg.DATASET.test_list:
        found: dict[str, list[tuple[int, dict, dict | None, float]]] = {way: [] for way in WAYS}
        for chunk in DATASETS[name](cfg.DATASET, body).chunks("test", progress=False):
            for rows in clips_of(chunk, frames):
                lifted = {view: _lift(lifter, chunk, rows, rate, view) for view in (EXACT, ASSUMED, NOISY)}
                truth = Truth.of(chunk, rows, body, lifted[EXACT])
                for way, (view, make) in WAYS.items():
                    began = time.process_time()
                    result = make(lifter, lifted[view])
                    spent = time.process_time() - began
                    found[way].append((len(rows), measured(result, truth), joint_rotations(result, truth), spent))
        for way, parts in found.items():
            weights = [part[0] for part in parts]
            seconds = sum(part[3] for part in parts) / sum(weights)
            joints = _means([part[2] or {} for part in parts], weights)
            errors = _means([part[1] for part in parts], weights)
            yield BodyRow(label, way, sum(weights), errors, joints or None, seconds)  # type: ignore[arg-type]


def _means(parts: list[dict], weights: list[int]) -> dict[str, float | None]:
    """Means of what is known, weighted by frames."""
    means: dict[str, float | None] = {}
    for name in parts[0]:
        known = [(p[name], w) for p, w in zip(parts, weights, strict=True) if p[name] is not None]
        means[name] = float(np.average([v for v, _ in known], weights=[w for _, w in known])) if known else None
    return means


def clips_of(chunk: Chunk, frames: int) -> Iterator[np.ndarray]:
    """Rows of each clip that has parameters, from one camera, in order of time, up to `frames` rows together."""
    if chunk.smpl is None:
        return
    mine = (chunk.smpl.frame >= 0) & (chunk.camera == chunk.camera[0]).all(1)
    for clip in np.unique(chunk.sequences[mine]):
        rows = np.flatnonzero(mine & (chunk.sequences == clip))
        rows = rows[np.argsort(chunk.frames[rows], kind="stable")][:frames]
        frames -= len(rows)
        if not len(rows):
            return
        yield rows


def _lift(lifter: Lifter, chunk: Chunk, rows: np.ndarray, rate: float, view: View) -> PoseSequence:
    """The 2D joints lifted, with the place in front of the known camera or the assumed one."""
    camera, size = chunk.camera[rows[0]], tuple(int(n) for n in chunk.image_size[rows[0]])
    pixels = camera_to_pixel(chunk.joints[rows] / 1000, camera[:2], camera[2:])
    box = np.ptp(pixels, axis=1).max(1)[:, None, None]
    pixels = pixels + view.noise * box * np.random.default_rng(0).normal(size=pixels.shape)
    step = float(np.median(np.diff(chunk.frames[rows]))) if len(rows) > 1 else 1.0
    frames = chunk.frames[rows]
    lifted = lifter(pixels, size, camera=camera if view.camera else None, fps=rate * step, frames=frames)
    return lifted if view.camera else with_root_translation(lifted, lifted.camera)[0]
