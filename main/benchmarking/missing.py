"""The error by which joints are seen: people cut by the image's border or a table."""

from collections.abc import Iterator, Mapping

import numpy as np

from lib.camera import ASSUMED_FOCAL
from lib.joints import HUMAN36M_17
from lib.lifting import DEFAULT_FPS
from lib.lifting.keypoints.prepare import prepare_person
from lib.lifting.keypoints.readers import Keypoints
from lib.lifting.lifter import Lifter
from lib.metrics import mpjpe, pa_mpjpe
from main.benchmarking.photographs import SIZE, photographed

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
        seen = ~np.isin(names, hidden)
        scores = np.tile(seen.astype(float), (len(people), 1))
        xy = np.where(seen[:, None], pixels, np.nan)
        keypoints = Keypoints(0, frames, xy, scores, "human36", SIZE, "benchmark")
        person = prepare_person(keypoints, DEFAULT_FPS, min_joints=1)
        found = lifter.lift([person], DEFAULT_FPS, camera)[0].pose3d
        errors = mpjpe(found, people)
        parts = found[:, upper], people[:, upper]
        numbers = errors[:, upper], mpjpe(*parts, root=neck), pa_mpjpe(*parts), errors[:, legs]
        yield words, int(seen.sum()), *(1000 * float(n.mean()) for n in numbers)


def missing_text(rows: list[tuple]) -> str:
    """`missing_rows` as a Markdown table."""
    lines = ["| not seen | joints seen | upper body, pelvis / neck / PA | legs |", "|---|---:|---:|---:|"]
    for words, seen, *errors, legs in rows:
        lines.append(f"| {words} | {seen} | {' / '.join(f'{error:.0f}' for error in errors)} | {legs:.0f} |")
    return "\n".join(lines)
