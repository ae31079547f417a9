"""What the numbers of lib.lifting.quality are for right keypoints and for wrong ones, and how large the error is then."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, dataclass, fields, replace

import numpy as np

from data import DATASETS
from lib.camera import ASSUMED_FOCAL, camera_to_pixel, look_at, world_to_camera
from lib.config import Config
from lib.errors import UserError
from lib.joints import HUMAN36M_17
from lib.lifting.keypoints.prepare import check_pixels, prepare_person
from lib.lifting.keypoints.readers import Keypoints
from lib.lifting.lifter import Lifter
from lib.lifting.quality import MAX_IMPUTED, MAX_INVERTED, MAX_JITTER, MAX_LIMB_SPREAD, MAX_MISFIT, Quality
from lib.metrics import mpjpe
from main.benchmarking.body import clips_of
from main.benchmarking.photographs import SIZE
from smplpytorch.smplpytorch.body_model import BodyModel

EVERY = 5
"""One clip of so many is lifted."""

CAMERAS = 4
"""Level cameras around each clip, with equal angles between them and the first one anywhere."""

DISTANCES = (4.0, 8.0)
"""Metres from a camera to the middle of the clip, drawn evenly."""

HIDDEN = 2.0
"""Seconds for which an arm or a leg is not seen."""

LIMBS = tuple(
    (f"{side}_{upper}", f"{side}_{end}") for side in "RL" for upper, end in (("Elbow", "Wrist"), ("Knee", "Ankle"))
)
"""Joints that are not seen together."""

LIMITS = Quality(MAX_LIMB_SPREAD, MAX_MISFIT, MAX_INVERTED, MAX_JITTER, MAX_IMPUTED)
"""Numbers above which a warning comes."""


@dataclass(frozen=True)
class Clip:
    """People in motion: joints (T, 17, 3) metres, world axes (Z up), about the middle of the pelvis' way; frames (T,) their
    numbers, 0, 1, 2, ... but for those that the import left out; fps: frames per second."""

    joints: np.ndarray
    frames: np.ndarray
    fps: float


@dataclass(frozen=True)
class Seen:
    """A clip in one camera: points (T, 17, 3) metres, camera axes; pixels (T, 17, 2), NaN where a joint is not seen; size:
    width and height of the image, as it is stated."""

    points: np.ndarray
    pixels: np.ndarray
    size: tuple[int, int]


Input = Callable[[np.ndarray, np.random.Generator, float], Seen]
"""From points (T, 17, 3), metres, camera axes, random numbers, and frames per second."""

INPUTS: dict[str, Input] = {
    "exact keypoints": lambda points, *_: seen(points),
    "noise of 3 px of a box of 384 x 288": lambda points, rng, _: noisy(points, 3 / 384, rng),
    "noise of 8 px": lambda points, rng, _: noisy(points, 8 / 384, rng),
    "upside down": lambda points, *_: seen(points * [-1.0, -1.0, 1.0]),
    "cartoon (head x 2.5, legs x 0.45)": lambda points, *_: seen(cartoon(points)),
    "image size stated half as large": lambda points, *_: replace(seen(points), size=(SIZE[0] // 2, SIZE[1] // 2)),
    "image size stated twice as large": lambda points, *_: replace(seen(points), size=(SIZE[0] * 2, SIZE[1] * 2)),
    "40 % of the joints missing": lambda points, rng, _: without(points, rng.random(points.shape[:2]) < 0.4),
    "an arm or a leg missing": lambda points, rng, fps: without(points, hidden_limbs(len(points), 1, rng, fps)),
    "two arms or legs missing": lambda points, rng, fps: without(points, hidden_limbs(len(points), 2, rng, fps)),
}
"""What the lifter is given, in words."""


@dataclass(frozen=True)
class QualityRow:
    """One input, over all clips and cameras.

    median, high: of each number of Quality the median and the 95th percentile; over: the share above its limit; mpjpe: the
    median of the errors in mm; mpjpe_below, mpjpe_over: the mean error of those whose limbs vary by less than the limit, and by
    more, None where there is none; refused: the share that prediction refuses, because joints are outside the image.
    """

    input: str
    results: int
    median: dict[str, float]
    high: dict[str, float]
    over: dict[str, float]
    mpjpe: float
    mpjpe_below: float | None
    mpjpe_over: float | None
    refused: float


def measured_clips(cfg: Config, body: BodyModel, fps: float, every: int = EVERY) -> Iterator[Clip]:
    """One of `every` clips of three frames or more of the test sets; fps: frames per second of the import."""
    found = (
        (chunk, rows)
        for name in cfg.DATASET.test_list
        for chunk in DATASETS[name](cfg.DATASET, body).chunks("test", progress=False)
        for rows in clips_of(chunk, len(chunk.names))
        if len(rows) >= 3
    )
    for number, (chunk, rows) in enumerate(found):
        if number % every == 0:
            joints = np.einsum("tji,tkj->tki", chunk.smpl.R[rows], chunk.joints[rows] / 1000)
            frames = chunk.frames[rows] - chunk.frames[rows[0]]
            yield Clip(joints - joints[:, HUMAN36M_17.root].mean(0), frames // np.diff(frames).min(), fps)


def quality_rows(lifter: Lifter, clips: list[Clip], inputs: Mapping[str, Input] = INPUTS) -> Iterator[QualityRow]:
    """Every input of every clip in CAMERAS cameras, which are the same for all inputs; the camera is not known to the lifter."""
    for words, show in inputs.items():
        results = []
        for number, clip in enumerate(clips):
            for camera, points in enumerate(views(clip, np.random.default_rng(number))):
                rng = np.random.default_rng([number, camera])
                results.append(_lifted(lifter, clip, show(points, rng, clip.fps)))
        yield _row(words, *(np.array(values) for values in zip(*results, strict=True)))


def views(clip: Clip, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Joints (T, 17, 3), metres, in the axes of each of CAMERAS cameras that look at the middle of the clip."""
    first = rng.uniform(0, 2 * np.pi)
    for number in range(CAMERAS):
        angle, distance = first + 2 * np.pi * number / CAMERAS, rng.uniform(*DISTANCES)
        position = distance * np.array([np.cos(angle), np.sin(angle), 0.0])
        camera = look_at(position, np.zeros(3), *_intrinsics(), *SIZE)
        yield world_to_camera(clip.joints, camera.R, camera.t)


def seen(points: np.ndarray) -> Seen:
    """Exact keypoints of points (T, 17, 3), metres, camera axes."""
    return Seen(points, camera_to_pixel(points, *_intrinsics()), SIZE)


def noisy(points: np.ndarray, std: float, rng: np.random.Generator) -> Seen:
    """Normal noise; std: over the larger side of the person's box."""
    exact = seen(points)
    box = np.ptp(exact.pixels, axis=1).max(1)[:, None, None]
    return replace(exact, pixels=exact.pixels + std * box * rng.normal(size=exact.pixels.shape))


def without(points: np.ndarray, missing: np.ndarray) -> Seen:
    """Joints that are `missing` (T, 17) are not seen."""
    exact = seen(points)
    return replace(exact, pixels=np.where(missing[..., None], np.nan, exact.pixels))


def hidden_limbs(frames: int, count: int, rng: np.random.Generator, fps: float) -> np.ndarray:
    """(T, 17) bool: the joints of `count` of LIMBS, others every HIDDEN seconds."""
    hidden = np.zeros((frames, len(HUMAN36M_17)), bool)
    length = max(1, round(HIDDEN * fps))
    for start in range(0, frames, length):
        chosen = [name for limb in rng.permutation(len(LIMBS))[:count] for name in LIMBS[limb]]
        hidden[start : start + length, [HUMAN36M_17.names.index(name) for name in chosen]] = True
    return hidden


def cartoon(points: np.ndarray) -> np.ndarray:
    """points (T, 17, 3) with a head 2.5 times as large and legs 0.45 times as long."""
    points, n = points.copy(), HUMAN36M_17.names.index
    for name in ("Nose", "Head"):
        points[:, n(name)] = points[:, n("Neck")] + 2.5 * (points[:, n(name)] - points[:, n("Neck")])
    for side in "RL":
        hip, knee, ankle = (n(f"{side}_{name}") for name in ("Hip", "Knee", "Ankle"))
        shank = points[:, ankle] - points[:, knee]
        points[:, knee] = points[:, hip] + 0.45 * (points[:, knee] - points[:, hip])
        points[:, ankle] = points[:, knee] + 0.45 * shank
    return points


def quality_text(rows: list[QualityRow]) -> str:
    """`quality_rows` as a Markdown table, what is refused, and the first input's errors below and above limb_spread's limit."""
    heads = ["input", "limb_spread", "misfit", "jitter", "imputed", "MPJPE, median"]
    heads += [f"{name} > {_percent(getattr(LIMITS, name))}" for name in ("limb_spread", "misfit", "inverted")]
    heads.append(f"jitter > {LIMITS.jitter:.0f}")
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for row in rows:
        cells = [f"{100 * row.median[name]:.1f}, {100 * row.high[name]:.1f} %" for name in ("limb_spread", "misfit")]
        cells.append(f"{row.median['jitter']:.0f}, {row.high['jitter']:.0f}")
        cells += [f"{100 * row.median['imputed']:.0f} %", f"{row.mpjpe:.0f} mm"]
        cells += [_percent(row.over[name]) for name in ("limb_spread", "misfit", "inverted", "jitter")]
        lines.append(f"| {row.input} | {' | '.join(cells)} |")
    lines += [f"\n{row.input}: {_percent(row.refused)} refused" for row in rows if row.refused]
    below, over = ("none" if e is None else f"{e:.0f} mm" for e in (rows[0].mpjpe_below, rows[0].mpjpe_over))
    lines.append(f"\n{rows[0].input}: mean MPJPE {below} below the limit of limb_spread, {over} above")
    return "\n".join(lines)


def _lifted(lifter: Lifter, clip: Clip, shown: Seen) -> tuple[list[float], float, bool]:
    """Numbers of Quality in its order, NaN for None; the MPJPE in mm; whether prediction refuses the keypoints."""
    scores = np.isfinite(shown.pixels).all(-1).astype(float)
    keypoints = Keypoints(0, clip.frames, shown.pixels, scores, "human36", shown.size, "benchmark")
    try:
        check_pixels(shown.pixels, shown.size)
        refused = False
    except UserError:
        refused = True
    found = lifter.lift([prepare_person(keypoints, clip.fps, min_joints=1)], clip.fps)[0]
    numbers = [np.nan if value is None else value for value in astuple(found.quality)]
    return numbers, 1000 * float(mpjpe(found.pose3d, shown.points, root=HUMAN36M_17.root).mean()), refused


def _row(words: str, numbers: np.ndarray, errors: np.ndarray, refused: np.ndarray) -> QualityRow:
    """Of N results of `_lifted`."""
    names = [field.name for field in fields(Quality)]
    median, high = np.nanpercentile(numbers, (50, 95), axis=0)
    over = (numbers > astuple(LIMITS)).mean(0)
    doubtful = numbers[:, names.index("limb_spread")] > LIMITS.limb_spread
    means = (float(errors[rows].mean()) if rows.any() else None for rows in (~doubtful, doubtful))
    by_name = (dict(zip(names, values.tolist(), strict=True)) for values in (median, high, over))
    return QualityRow(words, len(errors), *by_name, float(np.median(errors)), *means, float(refused.mean()))


def _percent(part: float) -> str:
    return f"{100 * part:.1f}".removesuffix(".0") + " %"


def _intrinsics() -> tuple[np.ndarray, np.ndarray]:
    """Focal lengths and principal point in pixels."""
    return np.full(2, ASSUMED_FOCAL * max(SIZE)), np.array(SIZE) / 2
