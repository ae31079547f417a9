"""From a request to files: read or detect, choose, lift, locate, smooth, fit, put on the floor, write."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.cli import notice
from lib.device import choose_devices
from lib.errors import UserError
from lib.joints.imputation import frame_ranges
from lib.lifting import DEFAULT_FPS
from lib.lifting.detectors.detector import Detector
from lib.lifting.detectors.factory import open_detector
from lib.lifting.detectors.stream import detect_video
from lib.lifting.detectors.video import frame_count, image_size_of, video_rate
from lib.lifting.doubts import doubts
from lib.lifting.footage import Footage
from lib.lifting.keypoints.readers import Keypoints, read_keypoints, strongest
from lib.lifting.lifter import Lifter
from lib.lifting.live.sources import is_camera
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.request import Request
from lib.lifting.root_translation import with_root_translation
from lib.lifting.sequence_smoothing import smoothed
from lib.lifting.skipping import problem_of, skipping
from lib.lifting.stature import with_height
from lib.lifting.usable import prepare_usable
from lib.lifting.virtual_camera import person_size
from lib.lifting.writers import write_poses

BYTES_PER_FRAME = 5500
"""What a person takes in memory for each frame; measured (docs/predict.md)."""

LONG = 1e9
"""Bytes of memory from which on a user is warned before a video is searched."""

LISTED = 12
"""Most output files that are named one by one."""


@dataclass(frozen=True)
class Lifted:
    """What came of a request: the persons' sequences, the paths of the files written, and notes, which are lines about what
    was skipped, decided or doubted."""

    sequences: list[PoseSequence]
    written: list[Path]
    notes: list[str]

    def report(self) -> list[str]:
        """A line about each person, one about the conditions, and one that names the files; none where there is no person."""
        if not self.sequences:
            return []
        first = self.sequences[0]
        place = ""
        if first.floor is not None:
            place = f"; {first.floor}"
        elif first.root is None:
            place = "; positions are relative to each person's pelvis (--camera gives their place)"
        lines = [describe(sequence) for sequence in self.sequences]
        return [*lines, first.conditions() + place, f"written: {listed(self.written)}"]


class Stopwatch:
    """What a command spent its time on."""

    def __init__(self):
        self._parts: list[str] = []
        self._start = time.perf_counter()

    def lap(self, part: str) -> None:
        """The time since the last lap was spent on this."""
        now = time.perf_counter()
        self._parts.append(f"{part} in {now - self._start:.1f} s")
        self._start = now

    def __str__(self) -> str:
        return ", ".join(self._parts)


def open_lifter(request: Request) -> Lifter:
    """The network that a request names, on its device. UserError where it, or the body to fit, is not there."""
    lifter = Lifter(request.weights, choose_devices(request.gpu)[0], request.average_flip)
    if request.fit_body:
        lifter.require_body()
    return lifter


def lift_file(request: Request, lifter: Lifter | None = None) -> Lifted:
    """Lift what the request names and write its files.

    lifter: the one that the request asks for by weights, gpu and average_flip, where it is open already. UserError where the
    input cannot be used, a body is to be fitted and is not there, or a file cannot be written.
    """
    if request.video and is_camera(str(request.video)):
        raise UserError(f"--video {request.video}: a camera or a stream needs --live")
    notes: list[str] = []
    if lifter is None:  # first: a video may take hours
        lifter = open_lifter(request)
    elif request.fit_body:
        lifter.require_body()
    watch = Stopwatch()
    footage = None
    if request.video:
        footage = Footage(Path(request.video), round(1e6 * (request.embed_video or 0)))
    return lift_people(
        request,
        lifter,
        detected(request, watch, notes) if request.video else read(request, notes),  # kept here no longer than needed
        rate_of(request),
        notes,
        watch,
        footage,
    )


def lift_people(
    request: Request,
    lifter: Lifter,
    people: list[Keypoints],
    rate: float | None,
    notes: list[str],
    watch: Stopwatch,
    footage: Footage | None = None,
) -> Lifted:
    """Lift people who were found already and write the files of the request.

    rate: frames per second, None: what the people's file says; notes: lines so far, to which more are added; watch: runs since
    the last lap; footage: the images that people were found in.
    """
    rate = rate or people[0].fps
    prepared, lines = prepare_usable(choose(people, request, notes), rate or DEFAULT_FPS, request.min_joints)
    del people  # hours of keypoints take gigabytes
    if not prepared:
        raise problem_of(lines[0])
    notes += lines

    sequences = lifter.lift(prepared, rate, request.camera)
    if request.camera:
        sequences, lines = located(sequences, request.camera)
        notes += lines
    if request.smooth:
        sequences = [smoothed(sequence, request.smooth) for sequence in sequences]
    watch.lap("prepared and lifted")
    if request.height is not None:
        sequences = [with_height(sequence, request.height) for sequence in sequences]
    if request.fit_body:
        smoothness = request.fit_smoothness or 0.0
        sequences = [lifter.fit(sequence, request.height, smoothness) for sequence in sequences]
        watch.lap("fitted")
    if request.floor:
        sequences, lines = lifter.on_floor(sequences, request.vertical)
        assert sequences[0].floor is not None
        notes += [*lines, *(f"warning: {warning}" for warning in sequences[0].floor.warnings())]
        watch.lap("put on the floor")
    notes += [f"warning: {doubt}" for doubt in doubts(sequences)]
    written = write(request.outputs, sequences, footage, notes, request.mesh)
    watch.lap("written")
    if request.video:
        notes.append(f"time: {watch}")
    return Lifted(sequences, written, notes)


def rate_of(request: Request) -> float | None:
    """Frames per second by --fps, else of the video, else None: a file of keypoints may know them."""
    video = request.video or request.image
    return request.fps or (video_rate(video) if video else None)


def read(request: Request, notes: list[str]) -> list[Keypoints]:
    """The people of --input; lines about what was skipped or decided are added to the notes."""
    assert request.input is not None
    people = read_keypoints(
        Path(request.input),
        request.joint_set,
        image_size_of(request.image) if request.image else request.image_size,
        rate=rate_of(request),
        one_person=request.one_person,
        force=request.force,
        notes=notes,
    )
    if people[0].image_size is None:
        raise UserError(
            f"{request.input}: the image size is unknown; give it with --image-size W H, or one of the images with --image FILE"
        )
    return people


def detector_of(request: Request) -> Detector:
    """What finds the people in --video."""
    most = 1 if request.one_person else request.max_persons
    return open_detector(request.detector, request.joint_set, most, request.person_detector, request.heatmap_decoding)


def detected(request: Request, watch: Stopwatch, notes: list[str]) -> list[Keypoints]:
    """The people in --video; lines about the file are added to the notes."""
    assert request.video is not None
    detector = detector_of(request)
    needed = 0 if request.clip else BYTES_PER_FRAME * (frame_count(request.video) or 0)
    if needed > LONG:
        notice(
            f"{request.video}: a long video; needs about {needed / 1e9:.1f} GB of memory per person (--clip takes a part)"
        )
    found = detect_video(detector, request.video, request.clip, request.one_person)
    notes += found.notes
    watch.lap(
        f"{found.frames} frames searched at {found.frames / found.wall:.1f} per second (decoding alone {found.decode:.1f} s, "
        f"detection alone {found.detect:.1f} s)"
    )
    return found.people


def choose(people: list[Keypoints], request: Request, notes: list[str]) -> list[Keypoints]:
    """Those of --person, or all; at most --max-persons. Lines about the others are added to the notes."""
    missing = sorted(set(request.person or []) - {k.person for k in people})
    if missing:
        there = ", ".join(f"{k.person} ({frame_ranges(k.frames, 1)})" for k in people)
        raise UserError(f"{people[0].source}: no person {missing[0]}; there are {there}")
    people = [k for k in people if request.person is None or k.person in request.person]
    return people if request.max_persons is None else strongest(people, request.max_persons, notes)


def located(sequences: list[PoseSequence], camera: tuple[float, ...]) -> tuple[list[PoseSequence], list[str]]:
    """Those whose place in front of the camera can be found, with it, and lines about what is skipped; UserError where that is
    everybody."""
    found, lines = skipping(lambda sequence: with_root_translation(sequence, camera), sequences)
    if not found:
        raise problem_of(lines[-1])
    return found, lines


def write(
    paths: list[Path], sequences: list[PoseSequence], footage: Footage | None, notes: list[str], mesh: str | None = None
) -> list[Path]:
    """Write the files; returns all paths. Lines about new folders and the sizes of pages are added to the notes.

    mesh: as in `write_poses`.
    """
    written = []
    for path in paths:
        if not path.parent.exists():
            notes.append(f"created the folder {path.parent}")
        written += write_poses(path, sequences, footage, mesh)
        if path.suffix.lower() == ".html":
            images = " with images of the video" if footage and footage.embedded_bytes else ""
            notes.append(f"{path}: {path.stat().st_size / 1e6:.2f} MB{images}")
    return written


def describe(sequence: PoseSequence) -> str:
    """One line about one person: frames, size in the image, quality."""
    size = np.median(person_size(sequence.pose2d, sequence.image_size))
    return (
        f"person {sequence.person}: {frame_ranges(sequence.frames)}, {size:.0%} of the image's longer side, "
        f"{sequence.quality}" + (f"; {sequence.body}" if sequence.body else "")
    )


def listed(paths: list[Path]) -> str:
    """All paths, or the first, the last and how many, where they are many (.obj writes one per frame)."""
    if len(paths) <= LISTED:
        return ", ".join(map(str, paths))
    return f"{', '.join(map(str, paths[: LISTED - 1]))}, ..., {paths[-1]} ({len(paths)} files)"
