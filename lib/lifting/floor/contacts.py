"""When a point of a foot is planted: still and low, by thresholds with hysteresis in metres and seconds."""

from dataclasses import dataclass

import numpy as np

ENTER_SPEED, LEAVE_SPEED = 0.5, 0.8
"""m/s: a point is planted when slower than the first, until it is faster than the second."""

ENTER_HEIGHT, LEAVE_HEIGHT = 0.1, 0.15
"""Metres above where it stands, likewise."""

STILL_SPEED, STIR_SPEED, STILL = 0.15, 0.3, 0.3
"""m/s and seconds: a point that stays this still for so long is planted at any height, as on a step."""

SPEED_SPAN = 0.15
"""Seconds over which a speed is measured; the step from frame to frame where that is longer."""

SHORTEST, SHORTEST_GAP = 0.1, 0.2
"""Seconds; a shorter contact is none, and a shorter gap in a contact is part of it: feet swing for longer."""


@dataclass(frozen=True)
class Contact:
    """Point number `point` is planted in the rows from `start` up to, not including, `stop`."""

    point: int
    start: int
    stop: int

    @property
    def rows(self) -> slice:
        return slice(self.start, self.stop)


def speeds(points: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(T, P) m/s of points (T, P, 3) at increasing times (T,): between the rows about half a SPEED_SPAN before and after."""
    if len(points) < 2:
        return np.zeros(points.shape[:2])
    row = np.arange(len(points))
    early = np.minimum(np.searchsorted(seconds, seconds - SPEED_SPAN / 2 - 1e-9), np.maximum(row - 1, 0))
    late = np.searchsorted(seconds, seconds + SPEED_SPAN / 2 + 1e-9, side="right") - 1
    late = np.maximum(late, np.minimum(row + 1, len(points) - 1))
    gap = seconds[late] - seconds[early]
    return np.linalg.norm(points[late] - points[early], axis=-1) / gap[:, None]


def find_contacts(
    height: np.ndarray, speed: np.ndarray, seconds: np.ndarray, parts: list[slice], anywhere: bool = False
) -> list[Contact]:
    """Contacts of points with height (T, P) metres above where they stand and speed (T, P) m/s, at times (T,).

    parts: rows that belong together (`lib.lifting.smoothing.stretches`); no contact crosses them, and none depends on another
    part. anywhere: points that are STILL count too, whatever their height.
    """
    enter = (speed < ENTER_SPEED) & (height < ENTER_HEIGHT)
    stay = (speed < LEAVE_SPEED) & (height < LEAVE_HEIGHT)
    # a clip of less than so many seconds holds a contact if the point is planted throughout
    shortest, still = (min(least, seconds[-1] - seconds[0]) for least in (SHORTEST, STILL))
    found = []
    for point in range(height.shape[1]):
        for part in parts:
            at, times = (part, point), seconds[part]
            runs = _lasting(_merged(_hysteresis(enter[at], stay[at]), times), times, shortest)
            if anywhere:
                runs += _lasting(_hysteresis(speed[at] < STILL_SPEED, speed[at] < STIR_SPEED), times, still)
            planted = np.zeros(len(times), bool)
            for a, b in runs:
                planted[a:b] = True
            found += [Contact(point, part.start + a, part.start + b) for a, b in _hysteresis(planted, planted)]
    return found


def contact_table(contacts: list[Contact], shape: tuple[int, int]) -> np.ndarray:
    """(T, P) bool: where a point is planted."""
    table = np.zeros(shape, bool)
    for contact in contacts:
        table[contact.rows, contact.point] = True
    return table


def _hysteresis(enter: np.ndarray, stay: np.ndarray) -> list[tuple[int, int]]:
    """Runs [a, b) of `stay` that hold an `enter`; both (T,) bool, and what enters stays."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], stay, [False]]).astype(int)))
    return [(a, b) for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True) if enter[a:b].any()]


def _merged(runs: list[tuple[int, int]], seconds: np.ndarray) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for a, b in runs:
        if merged and seconds[a] - seconds[merged[-1][1] - 1] < SHORTEST_GAP:
            merged[-1] = (merged[-1][0], b)
        else:
            merged.append((a, b))
    return merged


def _lasting(runs: list[tuple[int, int]], seconds: np.ndarray, least: float) -> list[tuple[int, int]]:
    """The runs of at least so many seconds."""
    return [(a, b) for a, b in runs if seconds[b - 1] - seconds[a] >= least]
