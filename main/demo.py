"""A page in the browser: drop an image, a video or 2D keypoints, see them in 3D: python main/demo.py"""

import argparse
import importlib.util
import os
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.cli import add_traceback_argument, notice, run_command
from lib.errors import UserError
from lib.lifting import PRETRAINED

HOST = "127.0.0.1"

PORT = 7860

MAX_UPLOAD = 200
"""MB of an uploaded file."""

MAX_SECONDS = 60.0
"""Seconds of a video that are looked at: one person after another waits for it."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Serves a page to this computer: drop an image, a video or a file of 2D keypoints, see the people in 3D, "
        "download the files that main/predict.py writes. `sh requirements.sh video demo` installs what it needs."
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"port of {HOST} (default: {PORT})")
    parser.add_argument(
        "--share",
        action="store_true",
        help="also open a public address through Gradio's servers: whoever knows it can use this computer",
    )
    parser.add_argument(
        "--weights",
        metavar="PATH",
        nargs="+",
        default=[PRETRAINED],
        help="checkpoints, or folders with one; of several the page offers a choice (default: the project's own)",
    )
    parser.add_argument("--detector", metavar="NAME", help="what finds people, as in main/predict.py")
    parser.add_argument("--person-detector", metavar="FILE", help="finds people for --detector, as in main/predict.py")
    parser.add_argument(
        "--max-upload", type=int, default=MAX_UPLOAD, metavar="MB", help=f"largest upload (default: {MAX_UPLOAD})"
    )
    parser.add_argument(
        "--max-seconds",
        type=float,
        default=MAX_SECONDS,
        metavar="S",
        help=f"so much of a video is used (default: {MAX_SECONDS:g})",
    )
    parser.add_argument(
        "--gpu", metavar="N", help="CUDA device, or cpu; default: the first, or the CPU if there is none"
    )
    add_traceback_argument(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    check_arguments(args)
    with tempfile.TemporaryDirectory(prefix="hgn_demo_") as folder:
        # read by Gradio when it is imported: no messages to its makers, and uploads where they are removed
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": folder}

        from main.web.page import open_page
        from main.web.sessions import Sessions, Settings

        settings = Settings(args.detector, args.person_detector, args.max_seconds, args.gpu)
        sessions = Sessions(Path(folder), args.weights, settings)
        page = open_page(sessions, HOST, args.port, args.share, args.max_upload)
        notice(f"open http://{HOST}:{args.port} in a browser; Ctrl-C ends the demo")
        if args.share:
            notice(f"public: {page.share_url}")
        try:
            wait_for_the_end()
        finally:
            page.close(verbose=False)


def check_arguments(args: argparse.Namespace) -> None:
    """UserError for numbers out of range, a port that is taken, and where Gradio is missing."""
    if not 1 <= args.port <= 65535:
        raise UserError(f"--port {args.port}: must be 1 to 65535")
    if args.max_upload < 1:
        raise UserError(f"--max-upload {args.max_upload}: must be 1 MB or more")
    if not args.max_seconds > 0:
        raise UserError(f"--max-seconds {args.max_seconds:g}: must be above 0")
    if importlib.util.find_spec("gradio") is None:
        raise UserError("the demo needs Gradio, which is not installed: sh requirements.sh video demo")
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, args.port))
        except OSError as error:
            raise UserError(f"--port {args.port}: cannot be used ({error.strerror}); give another one") from None


def wait_for_the_end() -> None:
    """Return when the user or the system asks the process to end."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


if __name__ == "__main__":
    run_command(main)
