"""The error by which joints are seen: people cut by the image's border or a table, and joints that are missing for a while."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

import numpy as np

from lib.camera import ASSUMED_FOCAL
from lib.joints import HUMAN36M_17
from lib.joints.imputation import impute_from_body
from lib.lifting import DEFAULT_FPS
from lib.lifting.keypoints.prepare import prepare_person
from lib.lifting.keypoints.readers import Keypoints
from lib.lifting.lifter import Lifter
from lib.metrics import mpjpe, pa_mpjpe
from main.benchmarking.photographs import SIZE, photographed
from main.benchmarking.quality import Clip, seen, views

ANKLES = ("R_Ankle", "L_Ankle")
KNEES = ("R_Knee", "L_Knee", *ANKLES)
PELVIS = ("Pelvis", "R_Hip", "L_Hip", *KNEES)
TORSO = ("Torso", *PELVIS)
WRISTS = ("R_Wrist", "L_Wrist", *TORSO)
ELBOWS = ("R_Elbow", "L_Elbow", *WRISTS)
UPPER = tuple(name for name in HUMAN36M_17.names if name not in PELVIS)

UNSEEN = {
    "nothing": (),
    "ankles": ANKLES,
    "knees, ankles": KNEES,
    "from the pelvis down": PELVIS,
    "the same and the torso (COCO cut at the hips)": TORSO,
    "the same and the wrists": WRISTS,
    "the same and the elbows": ELBOWS,
    "all from the torso up (legs only)": UPPER,
}
"""What is not seen, in words and as joints."""

GONE = (("R_Wrist",), ("R_Elbow", "R_Wrist"), ("R_Ankle",), ("R_Knee", "R_Ankle"), ("Head",))
"""Joints that are missing together for a while."""

APART = (0.2, 0.4, 1.0, 1.5, 2.0)
"""Seconds between two frames in which they are known."""


def missing_rows(
    lifter: Lifter, people: np.ndarray, unseen: Mapping[str, tuple[str, ...]] = UNSEEN
) -> Iterator[tuple[str, int, float, float, float, float]]:
    """(what is not seen, joints seen, errors in mm) of people (N, 17, 3), metres, each lifted alone with a known camera, in the
    middle of its image.

    Errors: of the upper body relative to the pelvis and to the neck, and after the best similarity transform of its
    joints alone; of the legs relative to the pelvis.
    """
    names = HUMAN36M_17.names
    upper, legs = ([names.index(name) for name in group] for group in (UPPER, KNEES))
    neck = UPPER.index("Neck")
    pixels, camera, frames = photographed(people, ASSUMED_FOCAL)
    for words, hidden in unseen.items():
        known = ~np.isin(names, hidden)
        scores = np.tile(known.astype(float), (len(people), 1))
        xy = np.where(known[:, None], pixels, np.nan)
        keypoints = Keypoints(0, frames, xy, scores, "human36", SIZE, "benchmark")
        person = prepare_person(keypoints, DEFAULT_FPS, min_joints=1)
        found = lifter.lift([person], DEFAULT_FPS, camera)[0].pose3d
        errors = mpjpe(found, people)
        parts = found[:, upper], people[:, upper]
        numbers = errors[:, upper], mpjpe(*parts, root=neck), pa_mpjpe(*parts), errors[:, legs]
        yield words, int(known.sum()), *(1000 * float(n.mean()) for n in numbers)


def missing_text(rows: list[tuple]) -> str:
    """`missing_rows` as a Markdown table."""
    lines = ["| not seen | joints seen | upper body, pelvis / neck / PA | legs |", "|---|---:|---:|---:|"]
    for words, count, *errors, legs in rows:
        lines.append(f"| {words} | {count} | {' / '.join(f'{error:.0f}' for error in errors)} | {legs:.0f} |")
    return "\n".join(lines)


def gap_errors(clips: Iterable[Clip]) -> list[float]:
    """How far guesses of missing 2D joints are off, in % of the longer side of the person's box: straight lines between known
    frames, for each of APART, and the rules of `impute_from_body`.

    Means over frames, joints and level cameras around each clip, then over GONE; NaN where no clip is as long.
    """
    errors: list[list[list[np.ndarray]]] = [[[] for _ in (*APART, "rules")] for _ in GONE]
    for number, clip in enumerate(clips):
        for points in views(clip, np.random.default_rng(number)):
            pixels = seen(points).pixels
            box = np.ptp(pixels, axis=1).max(1)[:, None]
            lines = [straight_lines(pixels, clip.frames, round(seconds * clip.fps)) for seconds in APART]
            for cells, names in zip(errors, GONE, strict=True):
                gone = np.isin(HUMAN36M_17.names, names)
                rules = impute_from_body(np.where(gone[:, None], np.nan, pixels))
                for cell, guess in zip(cells, (*lines, rules), strict=True):
                    off = np.linalg.norm(guess - pixels, axis=-1)[:, gone] / box
                    cell.append(off[np.isfinite(off)])
    return [
        float(np.mean([100 * np.concatenate(cell).mean() for cell in column])) for column in zip(*errors, strict=True)
    ]


def straight_lines(pixels: np.ndarray, frames: np.ndarray, apart: int) -> np.ndarray:
    """pixels (T, 17, 2) of frame numbers (T,) as if only every `apart`-th frame were known: straight lines in between, NaN in
    the known frames and where there are none before or after."""
    lines = np.full_like(pixels, np.nan)
    for a, b in pairwise(np.flatnonzero(frames % apart == 0)):
        if frames[b] - frames[a] == apart:
            share = ((frames[a + 1 : b] - frames[a]) / apart)[:, None, None]
            lines[a + 1 : b] = (1 - share) * pixels[a] + share * pixels[b]
    return lines


def gap_text(rows: Mapping[str, list[float]]) -> str:
    """`gap_errors` by the names of their data as a Markdown table."""
    head = ["known frames apart", *(f"{seconds:.1f} s" for seconds in APART), "rules"]
    cells = [head, ["---", *["---:"] * (len(head) - 1)]]
    cells += [[name, *(f"{error:.1f}" for error in errors)] for name, errors in rows.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
