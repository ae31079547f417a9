"""Lift people's own 2D keypoints to 3D: python main/predict.py --input keypoints.json --output out.html out.bvh"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from lib.cli import add_traceback_argument, add_weights_argument, notice, run_command
from lib.device import choose_devices
from lib.errors import UserError
from lib.joints import JOINT_SETS
from lib.joints.imputation import frame_ranges
from lib.lifting.detectors.pose_model import PoseModel, detect
from lib.lifting.detectors.video import image_size_of, read_frames, video_rate
from lib.lifting.keypoints.readers import Keypoints, read_keypoints
from lib.lifting.lifter import DEFAULT_FPS, PRETRAINED, Lifter, prepare_usable, smoothed, with_root_translation
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.virtual_camera import person_size
from lib.lifting.writers import WRITERS, check_output, write_poses


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="2D keypoints, or a video and a pose model, to 3D poses and body meshes. The files that can be read "
        "are in docs/joints.md, what happens between input and output in docs/predict.md."
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--input",
        metavar="PATH",
        help="2D keypoints: .npy, .npz, .csv, JSON of COCO, MMPose or AlphaPose, an OpenPose file or folder of them; "
        "recognised by content",
    )
    source.add_argument("--video", metavar="FILE", help="a video or picture of one person, together with --detector")
    parser.add_argument(
        "--detector",
        metavar="FILE",
        help="pose model exported to .onnx that finds the 2D joints in --video: top-down or single-person, with heatmap or "
        "SimCC outputs (needs onnxruntime)",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        nargs="+",
        required=True,
        help=f"files to write, the format by the ending: {', '.join(WRITERS)}",
    )
    add_weights_argument(parser, PRETRAINED)
    parser.add_argument(
        "--joint-set",
        choices=JOINT_SETS,
        help="which joints the keypoints are, in which order (docs/joints.md); needed where the file does not say it",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--image-size",
        type=int,
        nargs=2,
        metavar=("W", "H"),
        help="width and height, in pixels, of the pictures that the keypoints were found in; for files without it",
    )
    size.add_argument("--image", metavar="FILE", help="one of these pictures, or the video, to take the size from")
    parser.add_argument(
        "--camera",
        type=float,
        nargs=4,
        metavar=("FX", "FY", "CX", "CY"),
        help="focal lengths and principal point in pixels; gives every person's place before the camera. Without it poses "
        "are relative to the pelvis",
    )
    parser.add_argument(
        "--fps",
        type=float,
        help=f"frames per second of the input (default: the video's, else {DEFAULT_FPS:g}); for films, .bvh and --smooth",
    )
    parser.add_argument(
        "--person", type=int, nargs="+", metavar="N", help="only these persons, by the numbers that this command prints"
    )
    parser.add_argument(
        "--smooth", choices=["one-euro"], help="filter the result over time: less jitter, at the price of a little lag"
    )
    parser.add_argument(
        "--average-flip",
        action="store_true",
        help="lift the mirrored person too and average the joints: twice the work, some mm less error",
    )
    parser.add_argument(
        "--gpu", metavar="N", help="CUDA device; default: the first one, or the CPU where there is none"
    )
    add_traceback_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    outputs = [check_output(path) for path in args.output]
    if (args.video is None) != (args.detector is None):
        raise UserError("--video and --detector belong together: a video, and the pose model that finds joints in it")
    if args.fps is not None and not 0 < args.fps < np.inf:
        raise UserError(f"--fps {args.fps:g}: must be above 0")
    if args.camera and not (np.isfinite(args.camera).all() and min(args.camera[:2]) > 0):
        raise UserError("--camera FX FY CX CY: four numbers in pixels, the focal lengths above 0")
    people = choose(detected(args) if args.video else read(args), args.person)
    prepared, notes = prepare_usable(people)
    if not prepared:
        raise UserError(notes[0].removeprefix("left out: "))

    lifter = Lifter(args.weights, choose_devices(args.gpu)[0], args.average_flip)
    film = args.video or args.image
    fps = args.fps or (film and video_rate(film)) or DEFAULT_FPS
    sequences = lifter.lift(prepared, fps, args.camera)
    if args.camera:
        sequences = located(sequences, args.camera, notes)
    if args.smooth:
        sequences = [smoothed(sequence) for sequence in sequences]
    for path in outputs:
        write_poses(path, sequences)

    for note in notes:
        notice(note)
    for sequence in sequences:
        print(describe(sequence))
    if not args.camera:
        print("positions are relative to each person's pelvis; give --camera FX FY CX CY for their place in space")
    print("written: " + ", ".join(str(path) for path in outputs))


def read(args: argparse.Namespace) -> list[Keypoints]:
    """The people of --input."""
    size = image_size_of(args.image) if args.image else tuple(args.image_size) if args.image_size else None
    people = read_keypoints(Path(args.input), args.joint_set, size)
    if people[0].image_size is None:
        raise UserError(f"{args.input}: does not say its pictures' size; give it with --image-size W H or --image FILE")
    return people


def detected(args: argparse.Namespace) -> list[Keypoints]:
    """The person in --video."""
    model = PoseModel(args.detector, args.joint_set)
    return [detect(model, read_frames(args.video), args.video)]


def choose(people: list[Keypoints], wanted: list[int] | None) -> list[Keypoints]:
    """Those of --person, or all."""
    missing = sorted(set(wanted or []) - {k.person for k in people})
    if missing:
        there = ", ".join(f"{k.person} ({frame_ranges(k.frames, 1)})" for k in people)
        raise UserError(f"{people[0].source}: no person {missing[0]}; there are {there}")
    return [k for k in people if wanted is None or k.person in wanted]


def located(sequences: list[PoseSequence], camera: list[float], notes: list[str]) -> list[PoseSequence]:
    """Those whose place before the camera can be found, with it; what is left out is added to the notes."""
    found = []
    for sequence in sequences:
        try:
            sequence, lost = with_root_translation(sequence, camera)
        except UserError as problem:
            notes.append(f"left out: {problem}")
            continue
        found.append(sequence)
        notes += lost
    if not found:
        raise UserError(notes[-1].removeprefix("left out: "))
    return found


def describe(sequence: PoseSequence) -> str:
    """A line about what was done for one person."""
    size = np.median(person_size(sequence.pose2d, sequence.image_size))
    text = f"person {sequence.person}: {frame_ranges(sequence.frames)}, {size:.0%} of the picture's longer side"
    if sequence.imputed.any():
        text += f", {sequence.imputed.sum()} of {sequence.imputed.size} joints imputed in"
    return text


if __name__ == "__main__":
    run_command(main)
