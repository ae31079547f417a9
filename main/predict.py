"""Lift people's own 2D keypoints to 3D: python main/predict.py --input keypoints.json --output out.html out.bvh"""

import argparse
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.cli import add_traceback_argument, add_weights_argument, notice, run_command
from lib.errors import UserError
from lib.joints import HUMAN36M_17, JOINT_SETS
from lib.joints.imputation import MIN_JOINTS
from lib.joints.plausible_pose import MIN_KNOWN
from lib.lifting import DEFAULT_FPS, FPS_RANGE, MAX_IMAGE_SIDE, PRETRAINED
from lib.lifting.footage import EMBEDDED_MEGABYTES, Footage
from lib.lifting.writers import NEED_BODY, WRITERS, check_output, ending_of, write_poses

if TYPE_CHECKING:
    from lib.lifting.keypoints.readers import Keypoints
    from lib.lifting.pose_sequence import PoseSequence

MAX_EMBEDDED = 500.0
"""MB of images in a page; browsers fail on much more."""

LISTED = 12
"""Most output files that are named one by one."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="2D keypoints, or a video and a pose model, to 3D poses and body meshes. The files that can be read "
        "are in docs/joints.md, what happens between input and output in docs/predict.md."
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--input",
        metavar="PATH",
        help="2D keypoints: NumPy, CSV, HDF5 or JSON as OpenPose (a folder too), COCO, MMPose, AlphaPose, MediaPipe, ViTPose, "
        "DeepLabCut, SLEAP and VideoPose3D write them; recognised by content (docs/joints.md)",
    )
    source.add_argument("--video", metavar="FILE", help="a video or an image of people")
    parser.add_argument(
        "--detector",
        metavar="NAME",
        help="what finds the 2D joints in --video: mediapipe (default; installed by `sh requirements.sh video`), a pose model "
        "exported to .onnx (top-down, YOLO-pose or RTMO), a pose landmarker of MediaPipe (.task), or rtmlib:balanced where "
        "rtmlib is installed",
    )
    parser.add_argument(
        "--person-detector",
        metavar="FILE",
        help="YOLOX or RTMDet exported to .onnx: finds the people for a top-down --detector, which alone follows one person",
    )
    parser.add_argument(
        "--clip", type=float, nargs=2, metavar=("START", "END"), help="only this part of --video, in seconds"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        nargs="+",
        required=True,
        help=f"files to write, the format by the ending: {', '.join(WRITERS)}",
    )
    parser.add_argument(
        "--embed-video",
        type=float,
        nargs="?",
        const=EMBEDDED_MEGABYTES,
        metavar="MB",
        help="show the images of --video in .html pages too: small copies are stored in the page, at most so many MB "
        f"(without a number {EMBEDDED_MEGABYTES:g})",
    )
    add_weights_argument(parser, PRETRAINED)
    parser.add_argument(
        "--joint-set",
        choices=JOINT_SETS,
        help="which joints the keypoints are, in which order (docs/joints.md); needed where neither the file nor their "
        "geometry says it",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="believe --joint-set, or the file, though the joints do not look like people",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--image-size",
        type=int,
        nargs=2,
        metavar=("W", "H"),
        help="width and height, in pixels, of the images that the keypoints were found in; for files without it",
    )
    size.add_argument("--image", metavar="FILE", help="one of these images, or the video, to take the size from")
    parser.add_argument(
        "--camera",
        type=float,
        nargs=4,
        metavar=("FX", "FY", "CX", "CY"),
        help="focal lengths and principal point in pixels; gives every person's place in front of the camera. Without it poses "
        "are relative to the pelvis",
    )
    parser.add_argument(
        "--fps",
        type=float,
        help=f"frames per second of the input (default: the video's, else {DEFAULT_FPS:g}); for videos, .bvh and --smooth",
    )
    parser.add_argument(
        "--person", type=int, nargs="+", metavar="N", help="only these persons, by the numbers that this command prints"
    )
    parser.add_argument(
        "--max-persons", type=int, metavar="N", help="only the N persons who are seen longest and most surely"
    )
    parser.add_argument(
        "--one-person",
        action="store_true",
        help="there is one person: take the detection with the best scores in every frame, whatever identities --input has",
    )
    parser.add_argument(
        "--min-joints",
        type=int,
        default=MIN_JOINTS,
        metavar="N",
        help="of Human3.6M's 17 joints so many must be seen in a frame; the others are imputed, legs under a table from a "
        f"plausible pose (default: {MIN_JOINTS})",
    )
    parser.add_argument(
        "--smooth", choices=["one-euro"], help="filter the result over time: less jitter, at the price of a little lag"
    )
    parser.add_argument(
        "--fit-body",
        action="store_true",
        help="fit an SMPL-style body to joints and meshes: one shape per person, joint rotations, bones of constant length "
        "(docs/body.md)",
    )
    parser.add_argument(
        "--average-flip",
        action="store_true",
        help="lift the mirrored person too and average the joints: twice the work, some mm less error",
    )
    parser.add_argument(
        "--gpu", metavar="N", help="CUDA device, or cpu; default: the first device, or the CPU where there is none"
    )
    add_traceback_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    check_arguments(args)

    from lib.device import choose_devices
    from lib.lifting.lifter import Lifter
    from lib.lifting.smoothing import smoothed
    from lib.lifting.usable import doubtful_image_size, prepare_usable

    outputs = check_outputs(args.output, args.fit_body)
    notes: list[str] = []
    lifter = Lifter(args.weights, choose_devices(args.gpu)[0], args.average_flip)  # first: a video may take hours
    if args.fit_body:
        lifter.require_body()
    watch = Stopwatch()
    people = choose(detected(args, watch, notes) if args.video else read(args, notes), args, notes)
    prepared, lines = prepare_usable(people, args.min_joints)
    if not prepared:
        raise UserError(lines[0].removeprefix("skipped: "))
    notes += lines
    if doubt := doubtful_image_size(prepared):
        notes.append(f"warning: {doubt}")

    sequences = lifter.lift(prepared, rate_of(args), args.camera)
    if args.camera:
        sequences = located(sequences, args.camera, notes)
    for sequence in sequences:
        notes += [f"warning: person {sequence.person}: {warning}" for warning in sequence.quality.warnings()]
    if args.smooth:
        sequences = [smoothed(sequence) for sequence in sequences]
    watch.lap("prepared and lifted")
    if args.fit_body:
        sequences = [lifter.fit(sequence) for sequence in sequences]
        watch.lap("fitted")
    written = []
    footage = Footage(Path(args.video), round(1e6 * (args.embed_video or 0))) if args.video else None
    for path in outputs:
        if not path.parent.exists():
            notes.append(f"created the folder {path.parent}")
        written += write_poses(path, sequences, footage)
        if footage and footage.embedded_bytes and path.suffix.lower() == ".html":
            notes.append(f"{path}: {path.stat().st_size / 1e6:.1f} MB with images of the video")
    watch.lap("written")
    if args.video:
        notes.append(f"time: {watch}")

    for note in notes:
        notice(note)
    for sequence in sequences:
        print(describe(sequence))
    place = "" if args.camera else "; positions are relative to each person's pelvis (--camera gives their place)"
    print(sequences[0].conditions() + place)
    print(f"written: {listed(written)}")


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


def check_arguments(args: argparse.Namespace) -> None:
    """UserError for what is wrong with the command line itself."""
    for name in ("input", "video", "image", "detector", "person-detector", "weights"):
        if getattr(args, name.replace("-", "_")) == "":
            raise UserError(f"--{name}: the path is empty")
    for name in ("detector", "person-detector", "clip", "embed-video"):
        if args.video is None and getattr(args, name.replace("-", "_")) is not None:
            raise UserError(f"--{name} belongs to --video, which is not given")
    if args.embed_video is not None and not 0 < args.embed_video <= MAX_EMBEDDED:
        raise UserError(f"--embed-video {args.embed_video:g}: must be above 0 and at most {MAX_EMBEDDED:g} MB")
    if args.clip and not 0 <= args.clip[0] < args.clip[1] < math.inf:
        raise UserError("--clip START END: two times in seconds, the second one later")
    if args.fps is not None and not FPS_RANGE[0] <= args.fps <= FPS_RANGE[1]:
        raise UserError(f"--fps {args.fps:g}: must be {FPS_RANGE[0]:g} to {FPS_RANGE[1]:g} frames per second")
    if args.max_persons is not None and args.max_persons < 1:
        raise UserError(f"--max-persons {args.max_persons}: must be 1 or more")
    if not MIN_KNOWN <= args.min_joints <= len(HUMAN36M_17):
        raise UserError(f"--min-joints {args.min_joints}: must be {MIN_KNOWN} to {len(HUMAN36M_17)}")
    if args.image_size and not all(0 < n <= MAX_IMAGE_SIDE for n in args.image_size):
        raise UserError(f"--image-size: width and height must be 1 to {MAX_IMAGE_SIDE} pixels")
    if args.camera and not (all(math.isfinite(n) for n in args.camera) and min(args.camera[:2]) > 0):
        raise UserError("--camera FX FY CX CY: four numbers in pixels, the focal lengths above 0")


def check_outputs(names: list[str], body: bool) -> list[Path]:
    """The paths of --output, each once; UserError where one cannot be written."""
    if "" in names:
        raise UserError("--output: the path is empty")
    paths = [check_output(name) for name in names]
    places = [os.path.realpath(path) for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            raise UserError(f"--output: {path} is named twice")
        if ending_of(path) in NEED_BODY and not body:
            raise UserError(f"--output: {path} holds a fitted body; add --fit-body, or choose another name")
        if path.is_dir():
            raise UserError(f"--output: {path} is a folder; name a file")
    return paths


def rate_of(args: argparse.Namespace) -> float | None:
    """Frames per second by --fps, else of the video, else None."""
    from lib.lifting.detectors.video import video_rate

    video = args.video or args.image
    return args.fps or (video_rate(video) if video else None)


def read(args: argparse.Namespace, notes: list[str]) -> "list[Keypoints]":
    """The people of --input; lines about what was skipped or decided are added to the notes."""
    from lib.lifting.detectors.video import image_size_of
    from lib.lifting.keypoints.readers import read_keypoints

    size = image_size_of(args.image) if args.image else tuple(args.image_size) if args.image_size else None
    people = read_keypoints(
        Path(args.input),
        args.joint_set,
        size,
        rate=rate_of(args),
        one_person=args.one_person,
        force=args.force,
        notes=notes,
    )
    if people[0].image_size is None:
        raise UserError(
            f"{args.input}: the image size is unknown; give it with --image-size W H, or one of the images with --image FILE"
        )
    return people


def detected(args: argparse.Namespace, watch: Stopwatch, notes: list[str]) -> "list[Keypoints]":
    """The people in --video; lines about the file are added to the notes."""
    from lib.lifting.detectors.factory import open_detector
    from lib.lifting.detectors.stream import detect_video

    most = 1 if args.one_person else args.max_persons
    detector = open_detector(args.detector, args.joint_set, most, args.person_detector)
    found = detect_video(detector, args.video, args.clip, args.one_person)
    notes += found.notes
    watch.lap(
        f"{found.frames} frames searched at {found.frames / found.wall:.1f} per second (decoding alone {found.decode:.1f} s, "
        f"detection alone {found.detect:.1f} s)"
    )
    return found.people


def choose(people: "list[Keypoints]", args: argparse.Namespace, notes: list[str]) -> "list[Keypoints]":
    """Those of --person, or all; at most --max-persons. Lines about the others are added to the notes."""
    from lib.joints.imputation import frame_ranges
    from lib.lifting.keypoints.readers import strongest

    missing = sorted(set(args.person or []) - {k.person for k in people})
    if missing:
        there = ", ".join(f"{k.person} ({frame_ranges(k.frames, 1)})" for k in people)
        raise UserError(f"{people[0].source}: no person {missing[0]}; there are {there}")
    people = [k for k in people if args.person is None or k.person in args.person]
    return people if args.max_persons is None else strongest(people, args.max_persons, notes)


def located(sequences: "list[PoseSequence]", camera: list[float], notes: list[str]) -> "list[PoseSequence]":
    """Those whose place in front of the camera can be found, with it; what is skipped is added to the notes."""
    from lib.lifting.root_translation import with_root_translation

    found = []
    for sequence in sequences:
        try:
            sequence, lost = with_root_translation(sequence, camera)
        except UserError as problem:
            notes.append(f"skipped: {problem}")
            continue
        found.append(sequence)
        notes += lost
    if not found:
        raise UserError(notes[-1].removeprefix("skipped: "))
    return found


def describe(sequence: "PoseSequence") -> str:
    """One line about one person: frames, size in the image, quality."""
    import numpy as np

    from lib.joints.imputation import frame_ranges
    from lib.lifting.virtual_camera import person_size

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


if __name__ == "__main__":
    run_command(main)
