"""Lift people's own 2D keypoints to 3D: python main/predict.py --input keypoints.json --output out.html out.bvh"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.cli import add_traceback_argument, add_weights_argument, notice, run_command
from lib.joints import JOINT_SETS
from lib.joints.imputation import MIN_JOINTS
from lib.lifting import DEFAULT_FPS, FIT_SMOOTHNESS, GAUSSIAN, ONE_EURO, PRETRAINED, SMOOTHERS
from lib.lifting.detectors.heatmaps import DECODERS
from lib.lifting.footage import EMBEDDED_MEGABYTES
from lib.lifting.request import Request
from lib.lifting.writers import MESHES, WRITERS


def parse_arguments() -> Request:
    parser = argparse.ArgumentParser(
        description="2D keypoints, or a video and a pose model, to 3D poses and body meshes. The files that can be read "
        "are in docs/joints.md, what happens between input and output in docs/predict.md."
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--input",
        metavar="PATH",
        help="2D keypoints: NumPy, CSV, HDF5, JSON or labels as OpenPose, COCO, MMPose, AlphaPose, MediaPipe, YOLO-pose, "
        "OpenPifPaf, ViTPose, DeepLabCut, SLEAP and others write them, a folder too; recognised by content (docs/joints.md)",
    )
    source.add_argument(
        "--video",
        metavar="FILE",
        help="a video or an image of people; with --live also a camera's number or a stream's address",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="show the people of --video in a browser as they come: 0 is the first camera, rtsp://... a stream, a file is played "
        "at its own speed. The page is on this computer alone; its address is printed. Ctrl-C ends and writes --output",
    )
    parser.add_argument("--port", type=int, metavar="N", help="port of the page of --live (default: any that is free)")
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
        "--heatmap-decoding",
        choices=DECODERS,
        help="how a --detector with heatmaps was trained to be decoded (docs/predict.md); default: by the file's name, which "
        "says dark or udp in MMPose's models, else quarter",
    )
    parser.add_argument(
        "--clip", type=float, nargs=2, metavar=("START", "END"), help="only this part of --video, in seconds"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        nargs="+",
        default=(),
        help=f"files to write, the format by the ending: {', '.join(WRITERS)}; only --live may do without",
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
        help=f"frames per second of the input (default: the video's or the file's, else {DEFAULT_FPS:g}); what is smoothed, "
        "bridged or exchanged over time follows it",
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
        "--smooth",
        nargs="?",
        const=GAUSSIAN,
        choices=SMOOTHERS,
        help=f"filter the result over time: less jitter. {GAUSSIAN} (without a word): from the frames before and after, without "
        f"lag; {ONE_EURO}: from those before, for --live",
    )
    parser.add_argument(
        "--fit-body",
        action="store_true",
        help="fit an SMPL-style body to joints and meshes: one shape per person, joint rotations, bones of constant length "
        "(docs/body.md)",
    )
    parser.add_argument(
        "--mesh",
        choices=MESHES,
        help="what .html, .png, .gif, .mp4, .glb and .obj show: coarse, the network's mesh of about 80 vertices, or body, the "
        "shaded skin of --fit-body (about 6,900 vertices; default with --fit-body)",
    )
    parser.add_argument(
        "--fit-smoothness",
        type=float,
        nargs="?",
        const=FIT_SMOOTHNESS,
        metavar="SECONDS",
        help="for --fit-body: joints turn smoothly, faster changes than this are noise "
        f"(without a number {FIT_SMOOTHNESS:g}; default: every frame by itself)",
    )
    parser.add_argument(
        "--floor",
        action="store_true",
        help="put people on the floor, for a camera that stands still: level axes, a pelvis that moves as the planted feet "
        "say, feet that neither slide nor sink; with --fit-body heels and toes, else ankles (docs/body.md)",
    )
    parser.add_argument(
        "--up",
        nargs="+",
        metavar=("X", "Y Z"),
        help="for --floor, the vertical: three numbers in camera axes (x right, y down, z forward), or `camera` for a camera "
        "that is held level; default: estimated from feet and upright people",
    )
    parser.add_argument(
        "--height",
        type=float,
        metavar="METRES",
        help="how tall each person is: fixes the scale of everything; default: as the network sees it",
    )
    parser.add_argument(
        "--average-flip",
        action="store_true",
        help="lift the mirrored person too and average the joints: twice the work, about 1 mm less error",
    )
    parser.add_argument(
        "--gpu", metavar="N", help="CUDA device, or cpu; default: the first device, or the CPU where there is none"
    )
    add_traceback_argument(parser)
    options = vars(parser.parse_args())
    del options["traceback"]  # lib.cli.run_command looks for it
    return Request(**{name: tuple(value) if isinstance(value, list) else value for name, value in options.items()})


def main() -> None:
    request = parse_arguments()

    from lib.lifting.lift_file import lift_file
    from lib.lifting.live.lift_live import lift_live

    lifted = lift_live(request, notice) if request.live else lift_file(request)
    for note in lifted.notes:
        notice(note)
    for line in lifted.report():
        print(line)


if __name__ == "__main__":
    run_command(main)
