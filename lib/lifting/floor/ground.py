"""People put on the floor: the vertical, the floor, contacts of the feet, the root's way, and feet that stand still.

docs/body.md has the steps and what they are worth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.errors import UserError
from lib.joints.imputation import frame_ranges
from lib.lifting.floor.contacts import Contact, contact_table, find_contacts, speeds
from lib.lifting.floor.feet import Feet, ankles
from lib.lifting.floor.legs import move_ankles, move_nodes, within_reach
from lib.lifting.floor.level import levelled
from lib.lifting.floor.path import ON_THE_FLOOR, Cue, solve_path
from lib.lifting.floor.plane import Floor
from lib.lifting.floor.vertical import Vertical, body_axes, estimate_vertical
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.root_translation import placement_precision, with_root_translation
from lib.lifting.sequence_smoothing import steady_parts
from lib.lifting.skipping import problem_of, skipping
from lib.lifting.smoothing import gaussian
from lib.lifting.virtual_camera import intrinsics

STEADY = 0.15
"""Seconds: standard deviation of the Gaussian over the root's places before the first contacts are looked for."""

NEIGHBOURHOOD = 0.75
"""Seconds around a frame of which the lowest place of a foot counts as the floor, before the floor is known."""

BLEND = 0.2
"""Seconds over which a foot is led to where it stands, and away from there."""

UNSEEN_SIGMA = 0.1
"""Metres: standard deviation of a floor that no foot was planted on."""

MISPLACED = 0.01
"""Metres: a floor's height is not known better than a foot's sole."""

LOWER = 0.3
"""Metres: feet that stay so far below the floor stand on lower ground, or the camera has moved; they are not lifted."""

Plant = Callable[[PoseSequence, np.ndarray], PoseSequence]
"""Moves the feet of a sequence by (T, P, 3) metres, camera axes."""


@dataclass(frozen=True)
class _Track:
    """A person with what the steps need."""

    sequence: PoseSequence
    feet: Feet
    cue: Cue
    seconds: np.ndarray
    parts: list[slice]


def on_floor(
    sequences: list[PoseSequence],
    up: Sequence[float] | None = None,
    feet_of: Callable[[PoseSequence], Feet] = ankles,
    plant: Plant | None = None,
) -> tuple[list[PoseSequence], list[str]]:
    """The people of one clip of a camera that stands still, on one floor, in level axes (`Floor.to_level`).

    Roots are known afterwards, by the given camera or the assumed one; frames without a place in front of it are skipped and
    named in the lines that are returned. up (3,): the vertical in camera axes, if known. feet_of, plant: the points that stand
    on the floor and how they are moved; by default ankles, with joints alone. `extras` of the result hold 1 where a point is
    planted, else 0.
    """
    tracks, lines = skipping(lambda sequence: _track(sequence, feet_of), sequences)
    if not tracks:
        raise problem_of(lines[-1])
    given = None if up is None else Vertical(_unit(up), 0.0)
    axes, upright = _upright_axes(tracks)
    first = given or estimate_vertical(axes, upright)
    solved = [_first_contacts(track, first.up) for track in tracks]
    paths = [solve_path(t.cue, t.feet, c, t.seconds, t.parts) for t, c in zip(tracks, solved, strict=True)]
    places = np.concatenate([places for _, places in paths])
    floor = _floor(tracks, solved, paths, given or estimate_vertical(axes, upright, places))
    for _ in range(2):
        solved = [_contacts(t, root, floor) for t, (root, _) in zip(tracks, paths, strict=True)]
        paths = [
            solve_path(t.cue, t.feet, c, t.seconds, t.parts, (floor.up, floor.height))
            for t, c in zip(tracks, solved, strict=True)
        ]
    plant = _plant_ankles if plant is None else plant
    results = []
    for track, contacts, (root, places) in zip(tracks, solved, paths, strict=True):
        lower = _lower_ground(track, contacts, root, places, floor)
        if lower.any():
            rows = frame_ranges(track.sequence.frames[lower > 0])
            lines.append(
                f"person {track.sequence.person}: {rows} are up to {lower.max():.1f} m below the floor of the other frames and "
                "are left there; --floor is for a camera that stands still"
            )
        moves = _moves(track, contacts, root, places, floor, lower)
        shift = within_reach(track.feet, moves, track.seconds, track.parts)
        sequence, moves = replace(track.sequence, root=root + shift), moves - shift[:, None]
        table = contact_table(contacts, track.feet.points.shape[:2]).astype(np.int64)
        extras = {f"contact_{name}": table[:, p] for p, name in enumerate(track.feet.names)}
        planted = plant(sequence, moves)
        results.append(levelled(replace(planted, extras={**sequence.extras, **extras}), floor))
    return results, lines


def _track(sequence: PoseSequence, feet_of: Callable[[PoseSequence], Feet]) -> tuple[_Track, list[str]]:
    camera = intrinsics(sequence.camera, sequence.image_size)
    notes: list[str] = []
    sequence.require_finite()
    if sequence.root is None:
        sequence, notes = with_root_translation(sequence, camera)
    assert sequence.root is not None
    cue = Cue(sequence.root, placement_precision(sequence))
    return _Track(sequence, feet_of(sequence), cue, sequence.seconds, steady_parts(sequence)), notes


def _upright_axes(tracks: list[_Track]) -> tuple[np.ndarray, float]:
    """The axes (N, 3) of all people where they are upright, and for how many seconds that is."""
    found, seconds = [], 0.0
    for track in tracks:
        axes, upright = body_axes(track.sequence.pose3d, track.sequence.joint_set)
        found.append(axes[upright])
        step = float(np.median(np.diff(track.seconds))) if len(track.seconds) > 1 else 1 / track.sequence.fps
        seconds += step * float(upright.sum())
    return np.concatenate(found), seconds


def _first_contacts(track: _Track, up: np.ndarray) -> list[Contact]:
    """Before the floor and the root's way are known: on a steadied way, low beside where the feet were just before and after."""
    root = np.concatenate([gaussian(track.cue.root[p], track.seconds[p], STEADY) for p in track.parts])
    points = root[:, None] + track.feet.points
    height = points @ up - track.feet.clearance
    lowest = height.min(1)
    early = np.searchsorted(track.seconds, track.seconds - NEIGHBOURHOOD)
    late = np.searchsorted(track.seconds, track.seconds + NEIGHBOURHOOD, side="right")
    ground = np.array([lowest[a:b].min() for a, b in zip(early, late, strict=True)])
    return find_contacts(height - ground[:, None], _speeds(track, points), track.seconds, track.parts)


def _contacts(track: _Track, root: np.ndarray, floor: Floor) -> list[Contact]:
    speed = _speeds(track, root[:, None] + track.feet.points)
    return find_contacts(_heights(track, root, floor), speed, track.seconds, track.parts, anywhere=True)


def _heights(track: _Track, root: np.ndarray, floor: Floor) -> np.ndarray:
    """(T, P) metres of the feet above where they stand on the floor."""
    return (root[:, None] + track.feet.points) @ floor.up - floor.height - track.feet.clearance


def _speeds(track: _Track, points: np.ndarray) -> np.ndarray:
    return np.concatenate([speeds(points[part], track.seconds[part]) for part in track.parts])


def _floor(tracks: list[_Track], contacts: list[list[Contact]], paths: list, vertical: Vertical) -> Floor:
    """The height on which most feet are planted for most of the time; without any, below the people's lowest places.

    An uncertain vertical makes the height under the camera uncertain too, by the distance of the people.
    """
    distance = float(np.median(np.concatenate([np.linalg.norm(root, axis=-1) for root, _ in paths])))
    tilt = distance * float(np.tan(np.deg2rad(vertical.sigma)))
    heights, weights = [], []
    for track, found, (_, places) in zip(tracks, contacts, paths, strict=True):
        for contact, place in zip(found, places, strict=True):
            heights.append(place @ vertical.up - track.feet.clearance[contact.point])
            weights.append(track.seconds[contact.stop - 1] - track.seconds[contact.start] + 1e-3)
    if heights:
        values = np.array(heights)
        height = _weighted_median(values, np.array(weights))
        spread = 1.4826 * _weighted_median(np.abs(values - height), np.array(weights))
        sigma = float(np.hypot(MISPLACED, spread / np.sqrt(len(values))))
        return Floor(vertical.up, height, vertical.sigma, np.hypot(sigma, tilt))
    lowest = [
        ((root[:, None] + t.feet.points) @ vertical.up - t.feet.clearance).min(1)
        for t, (root, _) in zip(tracks, paths, strict=True)
    ]
    height = float(np.percentile(np.concatenate(lowest), 10))
    return Floor(vertical.up, height, vertical.sigma, float(np.hypot(UNSEEN_SIGMA, tilt)))


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    half = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return float(values[order][min(half, len(values) - 1)])


def _lower_ground(
    track: _Track, contacts: list[Contact], root: np.ndarray, places: np.ndarray, floor: Floor
) -> np.ndarray:
    """(T,) metres by which the ground under a person is below the floor: in parts where the feet, planted if any are, are
    LOWER or more below it, else 0."""
    height = _heights(track, root, floor)
    lower = np.zeros(len(root))
    for part in track.parts:
        planted = [
            place @ floor.up - track.feet.clearance[contact.point] - floor.height
            for contact, place in zip(contacts, places, strict=True)
            if part.start <= contact.start < part.stop
        ]
        deepest = -min(planted) if planted else -float(np.median(height[part].min(1)))
        lower[part] = deepest if deepest > LOWER else 0.0
    return lower


def _moves(
    track: _Track, contacts: list[Contact], root: np.ndarray, places: np.ndarray, floor: Floor, lower: np.ndarray
) -> np.ndarray:
    """By how much each point has to move, (T, P, 3) metres: onto its contact's place, less and less before and after it, and
    up where it is under the floor, or under ground that is `lower` (T,)."""
    points = root[:, None] + track.feet.points
    standing = floor.height + track.feet.clearance
    moves, planted = np.zeros_like(points), np.zeros(points.shape[:2], bool)
    for contact, place in zip(contacts, places, strict=True):
        off = place @ floor.up - standing[contact.point]
        goal = place - off * floor.up if abs(off) < ON_THE_FLOOR else place
        moves[contact.rows, contact.point] = goal - points[contact.rows, contact.point]
        planted[contact.rows, contact.point] = True
    for part in track.parts:
        for p in range(points.shape[1]):
            moves[part, p] = _blended(moves[part, p], planted[part, p], track.seconds[part])
    sunk = standing - lower[:, None] - (points + moves) @ floor.up
    return moves + np.maximum(sunk, 0)[..., None] * floor.up


def _blended(moves: np.ndarray, planted: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """moves (T, 3) of one point, and between its planted frames what they fade to within BLEND."""
    rows = np.flatnonzero(planted)
    if not len(rows):
        return moves
    after = np.searchsorted(rows, np.arange(len(moves)))
    last, following = rows[np.maximum(after - 1, 0)], rows[np.minimum(after, len(rows) - 1)]
    weights = []
    for side, there in ((last, after > 0), (following, after < len(rows))):
        near = np.clip(1 - np.abs(seconds - seconds[side]) / BLEND, 0, 1)
        weights.append(np.where(there, near**2 * (3 - 2 * near), 0.0))
    total = np.maximum(weights[0] + weights[1], 1.0)
    mixed = (weights[0] / total)[:, None] * moves[last] + (weights[1] / total)[:, None] * moves[following]
    return np.where(planted[:, None], moves, mixed)


def _plant_ankles(sequence: PoseSequence, moves: np.ndarray) -> PoseSequence:
    pose3d = move_ankles(sequence.pose3d, moves)
    meshes = tuple(move_nodes(mesh, sequence.pose3d, pose3d) for mesh in sequence.meshes)
    return replace(sequence, pose3d=pose3d, meshes=meshes)


def _unit(up: Sequence[float]) -> np.ndarray:
    vector = np.asarray(up, np.float64)
    length = np.linalg.norm(vector)
    if vector.shape != (3,) or not np.isfinite(length) or length < 1e-6:
        raise UserError("the vertical is three numbers in camera axes (x right, y down, z forward), not all 0")
    return vector / length
