"""The way of a root joint through space, from planted feet and from what the camera saw.

A planted foot does not move, so it says how the root moves, to the centimetre; the reprojection of the pose says where it
is, surely across the line of sight and vaguely along it. Both, and a bound on accelerations, are one sparse least-squares
problem in the root's places and in the place of every contact, solved again with Cauchy weights on the contacts.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

from lib.lifting.floor.contacts import Contact
from lib.lifting.floor.feet import Feet

CONTACT_SIGMA = 0.01
"""Metres by which a planted point of a lifted foot moves."""

FLOOR_SIGMA = 0.005
"""Metres by which a planted point is off the floor."""

ON_THE_FLOOR = 0.1
"""Metres from the floor beyond which a planted foot stands on something else and keeps its height."""

ACCELERATION_SIGMA, PER_SECOND = 4.0, 30.0
"""m/s2 of a pelvis, and how many accelerations count in a second, whatever the frame rate."""

CORRELATED = 0.3
"""Seconds in which errors of the camera's cue stay the same."""

ROUNDS = 4


@dataclass(frozen=True)
class Cue:
    """What the camera says: root (T, 3) metres; precision (T, 3, 3) of it, 1/m2, frame by frame."""

    root: np.ndarray
    precision: np.ndarray


def solve_path(
    cue: Cue,
    feet: Feet | None,
    contacts: list[Contact],
    seconds: np.ndarray,
    parts: list[slice],
    plane: tuple[np.ndarray, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The root (T, 3) and the place (C, 3) of every contact, metres, camera axes.

    feet: whose points are in contact, None where none is; seconds (T,): times of the frames; parts: rows that belong
    together; plane: up (3,) and the floor's height along it, if known; contacts then are at their clearance above it.
    """
    T, C = len(cue.root), len(contacts)
    rate = 1 / np.median(np.diff(seconds)) if T > 1 else 1.0
    precision = cue.precision / max(1.0, CORRELATED * rate)
    fixed = _blocks(precision) + _accelerations(seconds, parts)
    right = np.einsum("tij,tj->ti", precision, cue.root).ravel()
    fixed = sp.block_diag([fixed, sp.csc_matrix((3 * C, 3 * C))], format="csc") if C else fixed.tocsc()
    right = np.concatenate([right, np.zeros(3 * C)])
    row, owner, offset = _rows(feet, contacts)
    clearance = [] if feet is None else [feet.clearance[c.point] for c in contacts]
    height = np.array(clearance) + (plane[1] if plane else 0.0)
    trust, level = np.ones(len(row)), np.ones(C)
    for _ in range(ROUNDS if C else 1):
        matrix, target = fixed, right
        if C:
            matrix = matrix + _ties(row, owner, trust / CONTACT_SIGMA**2, T, C)
            target = target + _pulls(row, owner, offset, trust / CONTACT_SIGMA**2, T, C)
            if plane is not None:
                on_floor = level / FLOOR_SIGMA**2
                matrix = matrix + sp.block_diag(
                    [sp.csc_matrix((3 * T, 3 * T)), _blocks(on_floor[:, None, None] * np.outer(plane[0], plane[0]))],
                    "csc",
                )
                target[3 * T :] += ((on_floor * height)[:, None] * plane[0]).ravel()
        solution = spsolve(matrix.tocsc(), target).reshape(-1, 3)
        root, places = solution[:T], solution[T:]
        miss = np.linalg.norm(root[row] + offset - places[owner], axis=-1)
        trust = 1 / (1 + (miss / (2 * CONTACT_SIGMA)) ** 2)
        if plane is not None:
            off = np.abs(places @ plane[0] - height)
            level = (off < ON_THE_FLOOR) / (1 + (off / (4 * FLOOR_SIGMA)) ** 2)
    return root, places


def _rows(feet: Feet | None, contacts: list[Contact]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every planted point in every frame: row, number of its contact, and place (N, 3) relative to the root."""
    if feet is None or not contacts:
        return np.zeros(0, int), np.zeros(0, int), np.zeros((0, 3))
    row = np.concatenate([np.arange(c.start, c.stop) for c in contacts])
    owner = np.repeat(np.arange(len(contacts)), [c.stop - c.start for c in contacts])
    point = np.array([c.point for c in contacts])[owner]
    return row, owner, feet.points[row, point]


def _blocks(blocks: np.ndarray) -> sp.spmatrix:
    """(N, 3, 3) to block-diagonal (3 N, 3 N)."""
    count = len(blocks)
    return sp.bsr_matrix((blocks, np.arange(count), np.arange(count + 1)), shape=(3 * count, 3 * count))


def _accelerations(seconds: np.ndarray, parts: list[slice]) -> sp.spmatrix:
    """(3 T, 3 T): squared accelerations over ACCELERATION_SIGMA, PER_SECOND of the clip, at uneven times too."""
    T = len(seconds)
    rows = np.concatenate([np.arange(part.start + 1, part.stop - 1) for part in parts]).astype(int)
    before, after = seconds[rows] - seconds[rows - 1], seconds[rows + 1] - seconds[rows]
    span = (before + after) / 2
    values = np.stack([1 / (before * span), -(1 / before + 1 / after) / span, 1 / (after * span)], 1)
    number = np.repeat(np.arange(len(rows)), 3)
    difference = sp.csr_matrix((values.ravel(), (number, (rows[:, None] + [-1, 0, 1]).ravel())), (len(rows), T))
    weight = sp.diags(PER_SECOND * span / ACCELERATION_SIGMA**2)
    return sp.kron(difference.T @ weight @ difference, sp.eye(3)).tobsr((3, 3))


def _ties(row: np.ndarray, owner: np.ndarray, weight: np.ndarray, T: int, C: int) -> sp.spmatrix:
    """The squared distances of root + offset from a contact's place, as a matrix (3 (T + C), 3 (T + C))."""
    ends = sp.csr_matrix(
        (
            np.concatenate([np.ones(len(row)), -np.ones(len(row))]),
            (np.tile(np.arange(len(row)), 2), np.concatenate([row, T + owner])),
        ),
        (len(row), T + C),
    )
    return sp.kron(ends.T @ sp.diags(weight) @ ends, sp.eye(3))


def _pulls(row, owner, offset, weight, T: int, C: int) -> np.ndarray:
    """The right-hand side (3 (T + C),) that belongs to `_ties`."""
    target = np.zeros((T + C, 3))
    np.add.at(target, row, -weight[:, None] * offset)
    np.add.at(target, T + owner, weight[:, None] * offset)
    return target.ravel()
