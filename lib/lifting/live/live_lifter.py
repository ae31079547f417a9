"""People lifted frame by frame, from this frame and those before it alone.

What a file's command does with the frames after, this cannot do: a missing joint is imputed from the body, never from later
frames; left and right are exchanged back by what is known so far; the virtual camera's motion is smoothed from one side, so it
is steady but for more noise; `OneEuro` is causal anyway.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lib.errors import UserError
from lib.lifting import smoothing, virtual_camera
from lib.lifting.keypoints.prepare import PreparedPerson, prepare_person
from lib.lifting.keypoints.readers import Keypoints
from lib.lifting.lifter import Lifter
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.root_translation import with_root_translation
from lib.lifting.swaps import LiveSwaps
from lib.lifting.tracking import MAX_GAP
from lib.lifting.usable import without_far_joints
from lib.lifting.writers.geometry import SPACING

MEMORY = smoothing.REACH * virtual_camera.SMOOTHING
"""Seconds before a frame that its virtual camera depends on."""


@dataclass(frozen=True)
class LivePerson:
    """One person in one frame. pose2d (17, 2) px; imputed (17,) bool; pose3d (17, 3) and mesh (R, 3) or None, metres, camera
    axes, in the space that all people share."""

    person: int
    pose2d: np.ndarray
    imputed: np.ndarray
    pose3d: np.ndarray
    mesh: np.ndarray | None


@dataclass
class _Memory:
    """What is kept of a person: last: number of the frame they were last seen in; scores: sum over all frames; place: number of
    their place in the row of people, None until they are shown; swaps: exchanges left and right back; frames of the last MEMORY
    seconds; filters by what they filter; filtered: number of the frame that was filtered last."""

    last: int = 0
    scores: float = 0.0
    place: int | None = None
    swaps: LiveSwaps = field(default_factory=LiveSwaps)
    frames: list[PreparedPerson] = field(default_factory=list)
    filters: dict[str, smoothing.OneEuro] = field(default_factory=dict)
    filtered: int | None = None

    def window(self, person: PreparedPerson, length: float) -> PreparedPerson:
        """The person in this frame, which is remembered, and in those of the last `length` frame numbers."""
        self.frames = [p for p in self.frames if person.frames[0] - p.frames[0] <= length] + [person]
        arrays = {name: [getattr(p, name) for p in self.frames] for name in ("frames", "pixels", "scores", "imputed")}
        joined = {name: np.concatenate(parts) for name, parts in arrays.items()}
        return PreparedPerson(person.person, image_size=person.image_size, **joined)

    def filter(self, points: dict[str, np.ndarray], number: int, rate: float) -> dict[str, np.ndarray]:
        """The points of this frame, by what they are, filtered; anew after a pause. rate: frame numbers per second."""
        pause = None if self.filtered is None else (number - self.filtered) / rate
        if pause is None or pause > smoothing.PAUSE:
            self.filters, pause = {name: smoothing.OneEuro() for name in points}, np.inf
        self.filtered = number
        return {name: self.filters[name](values, 1 / pause) for name, values in points.items()}


class LiveLifter:
    """Lifts the people of one frame after the other.

    rate: frame numbers per second; camera: f_x, f_y, c_x, c_y in pixels, by which people are placed; None: they are shown side
    by side, each where they first appeared; min_joints: as for `prepare_person`; max_persons: only those who have been
    seen longest and most surely; smooth: filter poses, places and meshes over time (`OneEuro`).
    """

    def __init__(
        self,
        lifter: Lifter,
        rate: float,
        camera: Sequence[float] | None,
        min_joints: int,
        max_persons: int | None = None,
        smooth: bool = False,
    ):
        self._lifter, self._rate, self._camera = lifter, rate, camera
        self._min_joints, self._max_persons, self._smooth = min_joints, max_persons, smooth
        self._memories: dict[int, _Memory] = {}

    def __call__(self, people: list[Keypoints]) -> tuple[list[LivePerson], list[str]]:
        """The people of one frame (T = 1 each), which comes after those before, and a line about each who is not lifted."""
        windows, lines = [], []
        for k in self._chosen(people):
            memory = self._memories[k.person]
            try:
                person = _prepared(memory.swaps(without_far_joints(k)[0], self._rate), self._rate, self._min_joints)
            except UserError as problem:
                lines.append(f"person {k.person}: {problem}")
                continue
            windows.append(memory.window(person, MEMORY * self._rate))
        sequences = self._lifter.lift(windows, self._rate, self._camera, latest=True) if windows else []
        shown = []
        for sequence in sequences:
            try:
                shown.append(self._shown(sequence))
            except UserError:
                lines.append(f"person {sequence.person}: no place in front of the camera")
        return shown, lines

    def _chosen(self, people: list[Keypoints]) -> list[Keypoints]:
        """At most max_persons, by their scores so far. All are remembered; whom the tracker has forgotten is forgotten."""
        for k in people:
            memory = self._memories.setdefault(k.person, _Memory())
            memory.last, memory.scores = int(k.frames[0]), memory.scores + float(k.scores.sum())
            oldest = memory.last - MAX_GAP * self._rate
            self._memories = {n: m for n, m in self._memories.items() if m.last >= oldest}
        ranked = sorted(people, key=lambda k: -self._memories[k.person].scores)
        return sorted(ranked[: self._max_persons], key=lambda k: k.person)

    def _shown(self, sequence: PoseSequence) -> LivePerson:
        """The one frame of a sequence, filtered, in the space that all people share; UserError where its place is unknown."""
        if self._camera is not None:
            sequence = with_root_translation(sequence, self._camera)[0]
        memory = self._memories[sequence.person]
        points = {"pose": sequence.pose3d[0]}
        points |= {"mesh": sequence.meshes[-1][0]} if sequence.meshes else {}
        points |= {"root": sequence.root} if sequence.root is not None else {}
        if self._smooth:
            points = memory.filter(points, int(sequence.frames[0]), self._rate)
        root = points["root"][0] if "root" in points else np.array([self._place(memory) * SPACING, 0.0, 0.0])
        mesh = points["mesh"] + root if "mesh" in points else None
        return LivePerson(sequence.person, sequence.pose2d[0], sequence.imputed[0], points["pose"] + root, mesh)

    def _place(self, memory: _Memory) -> int:
        """Number of a person's place in the row: theirs already, else the first that is free."""
        if memory.place is None:
            taken = {other.place for other in self._memories.values()}
            memory.place = next(n for n in itertools.count() if n not in taken)
        return memory.place


def _prepared(k: Keypoints, rate: float, min_joints: int) -> PreparedPerson:
    """Converted and imputed; UserError for a person of whom too little is seen."""
    try:
        person = prepare_person(k, rate, min_joints)
    except UserError:
        raise UserError("too few joints are seen") from None
    if virtual_camera.extent(person.pixels)[0] < virtual_camera.MIN_EXTENT:
        raise UserError("too small in the image")
    return person
