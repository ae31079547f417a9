"""Missing joints of one person: from the neighbouring frames where the gap is short, else from the rest of the body."""

import numpy as np

from lib.errors import UserError
from lib.joints import HUMAN36M_17
from lib.joints.conversion import Formula, weighted_joint

MAX_GAP = 10
"""Missing frames between two known ones that are still bridged by a straight line."""

MAX_FROM_BODY = 6
"""Joints of one frame that may come from the rest of the body; COCO loses this many with one arm and its shoulder."""


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


def impute_from_time(xy: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Linear interpolation between known frames that have at most MAX_GAP missing ones between them.

    xy (T, J, 2) with NaN where missing, frames (T,) increasing frame numbers. Returns a new (T, J, 2); the beginning
    and the end of a sequence are not extrapolated.
    """
    known = np.isfinite(xy).all(-1)
    T = len(frames)
    rows = np.arange(T)[:, None]
    before = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
    after = np.minimum.accumulate(np.where(known, rows, T)[::-1], axis=0)[::-1]
    inside = ~known & (before >= 0) & (after < T)
    t, j = np.nonzero(inside)
    a, b = before[t, j], after[t, j]
    short = frames[b] - frames[a] - 1 <= MAX_GAP
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


def impute_missing(xy: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill every missing joint of one person, or refuse.

    xy (T, 17, 2) pixels, NaN where missing, frames (T,) increasing frame numbers. Returns xy without NaN and a
    boolean (T, 17) that is True where a joint was imputed. First in time (`impute_from_time`), then from the body
    (`impute_from_body`). Raises UserError that names frames and joints where more than MAX_FROM_BODY joints are
    left to the body or the body does not say where they are (both knees, say).
    """
    known = np.isfinite(xy).all(-1)
    timed = impute_from_time(np.where(known[..., None], xy, np.nan), frames)
    left = np.isnan(timed[..., 0])
    sparse = left.sum(1) > MAX_FROM_BODY
    if sparse.any():
        raise UserError(
            f"more than {MAX_FROM_BODY} of {len(HUMAN36M_17)} joints are missing, with no known neighbour within "
            f"{MAX_GAP} frames, in {frame_ranges(frames[sparse])}; leave these frames out"
        )
    whole = impute_from_body(timed)
    unknown = np.isnan(whole[..., 0])
    if unknown.any():
        joints = ", ".join(HUMAN36M_17.names[j] for j in np.flatnonzero(unknown.any(0)))
        raise UserError(
            f"{joints} missing on both sides, so nothing says where they are, in "
            f"{frame_ranges(frames[unknown.any(1)])}; the whole body must be visible: leave these frames out"
        )
    return whole, ~known


def frame_ranges(frames: np.ndarray, limit: int = 5) -> str:
    """`frames 3, 7-12 and 4 more`: increasing frame numbers as text, at most `limit` runs written out."""
    runs = np.split(frames, np.flatnonzero(np.diff(frames) != 1) + 1)
    shown = ", ".join(f"{r[0]}" if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs[:limit])
    rest = sum(len(r) for r in runs[limit:])
    return f"{'frame' if len(frames) == 1 else 'frames'} {shown}" + (f" and {rest} more" if rest else "")
