"""Missing joints of one person: from neighbouring frames, else from the rest of the body, else from a plausible pose."""

import numpy as np

from lib.errors import UserError
from lib.joints import HUMAN36M_17
from lib.joints.conversion import Formula, weighted_joint
from lib.joints.plausible_pose import plausible_pose

MAX_GAP = 0.4
"""Seconds without a joint that are still bridged by a straight line."""

MAX_STEP = 0.75
"""Seconds from frame to frame up to which one missing frame is bridged, however long it lasts. Where known frames are farther
apart than two such steps, a straight line is no better than BODY_RULES: docs/joints.md has the errors."""

MIN_JOINTS = 8
"""Joints that must be seen in a frame, or bridged in time. Head, shoulders and arms are 9, legs and pelvis 7: docs/joints.md
has the errors."""


def _limb(side: str, other: str) -> dict[str, tuple[Formula, ...]]:
    """Joints of one side: a limb continues as its mirror partner does; hips and shoulders mirror through the spine."""
    S, O = side, other
    return {
        f"{S}_Hip": ({"Pelvis": 2, f"{O}_Hip": -1}, {f"{O}_Hip": 1, f"{S}_Shoulder": 1, f"{O}_Shoulder": -1}),
        f"{S}_Knee": ({f"{S}_Hip": 1, f"{O}_Knee": 1, f"{O}_Hip": -1},),
        f"{S}_Ankle": ({f"{S}_Knee": 1, f"{O}_Ankle": 1, f"{O}_Knee": -1},),
        f"{S}_Shoulder": ({"Neck": 2, f"{O}_Shoulder": -1}, {f"{O}_Shoulder": 1, f"{S}_Hip": 1, f"{O}_Hip": -1}),
        f"{S}_Elbow": ({f"{S}_Shoulder": 1, f"{O}_Elbow": 1, f"{O}_Shoulder": -1},),
        f"{S}_Wrist": ({f"{S}_Elbow": 1, f"{O}_Wrist": 1, f"{O}_Elbow": -1},),
    }


BODY_RULES: dict[str, tuple[Formula, ...]] = {
    "Pelvis": ({"R_Hip": 0.5, "L_Hip": 0.5}, {"Torso": 2, "Neck": -1}),
    "Neck": ({"R_Shoulder": 0.5, "L_Shoulder": 0.5}, {"Torso": 2, "Pelvis": -1}),
    "Torso": ({"Pelvis": 0.5, "Neck": 0.5},),
    "Nose": ({"Neck": 0.5, "Head": 0.5},),
    "Head": ({"Nose": 2, "Neck": -1},),
    **_limb("R", "L"),
    **_limb("L", "R"),
}
"""How a missing Human3.6M joint follows from others of the same frame; applied until nothing changes any more."""


def impute_from_time(xy: np.ndarray, frames: np.ndarray, fps: float) -> np.ndarray:
    """Linear interpolation over at most MAX_GAP seconds between two known frames, and over one frame where frames are few.

    xy (T, J, 2) with NaN where missing, frames (T,) increasing frame numbers, fps of them per second. Returns a new
    (T, J, 2); the beginning and the end of a sequence are not extrapolated.

    Each missing frame lasts as long as the clip's smallest step, which is not 1 where frame numbers are sparse (0, 5, 10).
    So k missing frames in a row are bridged where k steps take at most MAX_GAP: 10 frames at 25 per second, 40 at 100, 1 at
    2.5. At lower rates, down to steps of MAX_STEP, one missing frame is still bridged; with fewer frames nothing is.
    """
    if len(frames) < 3:
        return xy.copy()
    known = np.isfinite(xy).all(-1)
    T = len(frames)
    rows = np.arange(T)[:, None]
    before = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
    after = np.minimum.accumulate(np.where(known, rows, T)[::-1], axis=0)[::-1]
    inside = ~known & (before >= 0) & (after < T)
    t, j = np.nonzero(inside)
    a, b = before[t, j], after[t, j]
    step = np.diff(frames).min()
    longest = max(MAX_GAP * fps, step if step <= MAX_STEP * fps else 0.0)
    short = frames[b] - frames[a] - step <= longest
    t, j, a, b = t[short], j[short], a[short], b[short]
    share = ((frames[t] - frames[a]) / (frames[b] - frames[a]))[:, None]
    out = xy.copy()
    out[t, j] = (1 - share) * xy[a, j] + share * xy[b, j]
    return out


def impute_from_body(xy: np.ndarray) -> np.ndarray:
    """Apply BODY_RULES to xy (T, 17, 2) with NaN where missing until nothing changes; returns a new (T, 17, 2)."""
    xy = xy.copy()
    names = HUMAN36M_17.names
    remaining = -1
    while remaining != (missing := int(np.isnan(xy[..., 0]).sum())) and missing:
        remaining = missing
        for name, formulas in BODY_RULES.items():
            j = names.index(name)
            value, _ = weighted_joint(xy, np.isfinite(xy).all(-1).astype(np.float64), names, formulas)
            xy[:, j] = np.where(np.isnan(xy[:, j]), value, xy[:, j])
    return xy


def enough_joints(xy: np.ndarray, frames: np.ndarray, fps: float, min_joints: int = MIN_JOINTS) -> np.ndarray:
    """(T,) bool: frames of xy (T, 17, 2) in which at least min_joints are known or can be imputed from time."""
    return np.isfinite(impute_from_time(xy, frames, fps)).all(-1).sum(1) >= min_joints


def impute_missing(
    xy: np.ndarray, frames: np.ndarray, fps: float, min_joints: int = MIN_JOINTS
) -> tuple[np.ndarray, np.ndarray]:
    """Impute every missing joint of one person, or refuse.

    xy (T, 17, 2) pixels, NaN where missing, frames (T,) increasing frame numbers, fps of them per second. Returns xy without
    NaN and a boolean (T, 17) that is True where a joint was imputed. First in time (`impute_from_time`), then from the body
    (`impute_from_body`), then what is left, such as both legs under a table, from a plausible pose
    (`lib.joints.plausible_pose`). Raises UserError that names the frames where fewer than min_joints are known after the
    first step.
    """
    known = np.isfinite(xy).all(-1)
    xy = np.where(known[..., None], xy, np.nan)
    sparse = ~enough_joints(xy, frames, fps, min_joints)
    if sparse.any():
        raise UserError(
            f"fewer than {min_joints} of {known.shape[1]} joints are seen, or missing for at most {MAX_GAP:g} s, in "
            f"{frame_ranges(frames[sparse])}; skip these frames, or take fewer joints with --min-joints N"
        )
    return plausible_pose().complete(impute_from_body(impute_from_time(xy, frames, fps))), ~known


def frame_ranges(frames: np.ndarray, limit: int = 5) -> str:
    """`frames 3, 7-12 and 4 more`: increasing frame numbers as text, at most `limit` runs written out; `-10 to 19`."""
    runs = np.split(frames, np.flatnonzero(np.diff(frames) != 1) + 1)
    dash = " to " if len(frames) and frames[0] < 0 else "-"
    shown = ", ".join(f"{r[0]}" if len(r) == 1 else f"{r[0]}{dash}{r[-1]}" for r in runs[:limit])
    rest = sum(len(r) for r in runs[limit:])
    return f"{'frame' if len(frames) == 1 else 'frames'} {shown}" + (f" and {rest} more" if rest else "")
