"""What a user wants lifted: the options of main/predict.py, checked."""

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path

from lib.errors import UserError
from lib.joints import HUMAN36M_17
from lib.joints.imputation import MIN_JOINTS
from lib.joints.plausible_pose import MIN_KNOWN
from lib.lifting import FPS_RANGE, GAUSSIAN, HEIGHT_RANGE, MAX_IMAGE_SIDE, ONE_EURO, PRETRAINED, SMOOTHERS
from lib.lifting.writers import BODY, NEED_BODY, check_output, ending_of

MAX_EMBEDDED = 500.0
"""MB of images in a page; browsers fail on much more."""

MAX_SMOOTHNESS = 1.0
"""Seconds of --fit-smoothness."""

BELONG_TO_VIDEO = ("detector", "person_detector", "heatmap_decoding", "clip", "embed_video")
"""Options that mean nothing without a video."""

NOT_LIVE = ("clip", "embed_video", "fps", "person")
"""Options that mean nothing with --live: it starts now, keeps no image, measures time and does not know who will come."""

PORTS = (1, 65535)


@dataclass(frozen=True)
class Request:
    """One thing to lift, how, and the files to write.

    Each field is the option of main/predict.py with its name, whose --help explains it; messages name it as `--option`. Either
    input or video is given; output may be empty where live is True. UserError where options contradict each other or are
    out of range; no file is looked at, except that no output may be a folder.
    """

    output: tuple[str | Path, ...] = ()
    input: str | Path | None = None
    video: str | Path | None = None
    detector: str | None = None
    person_detector: str | None = None
    heatmap_decoding: str | None = None
    live: bool = False
    port: int | None = None
    clip: tuple[float, float] | None = None
    embed_video: float | None = None
    weights: str | Path = PRETRAINED
    joint_set: str | None = None
    force: bool = False
    image_size: tuple[int, int] | None = None
    image: str | Path | None = None
    camera: tuple[float, ...] | None = None
    fps: float | None = None
    person: tuple[int, ...] | None = None
    max_persons: int | None = None
    one_person: bool = False
    min_joints: int = MIN_JOINTS
    smooth: str | None = None
    fit_body: bool = False
    fit_smoothness: float | None = None
    floor: bool = False
    up: tuple[str, ...] | None = None
    height: float | None = None
    mesh: str | None = None
    average_flip: bool = False
    gpu: str | None = None

    def __post_init__(self):
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("input", "video", "image", "detector", "person_detector", "weights"):
            if given[name] == "":
                raise UserError(f"{_option(name)}: the path is empty")
        if (self.input is None) == (self.video is None):
            raise UserError("either --input or --video is needed")
        for name in BELONG_TO_VIDEO:
            if self.video is None and given[name] is not None:
                raise UserError(f"{_option(name)} belongs to --video, which is not given")
        self._check_live()
        if self.mesh == BODY and not self.fit_body:
            raise UserError(f"--mesh {BODY} shows a fitted body; add --fit-body")
        if self.smooth is not None and self.smooth not in SMOOTHERS:
            raise UserError(f"--smooth {self.smooth}: must be {' or '.join(SMOOTHERS)}")
        if self.fit_smoothness is not None and not self.fit_body:
            raise UserError("--fit-smoothness belongs to --fit-body, which is not given")
        if self.fit_smoothness is not None and not 0 <= self.fit_smoothness <= MAX_SMOOTHNESS:
            raise UserError(f"--fit-smoothness {self.fit_smoothness:g}: must be 0 to {MAX_SMOOTHNESS:g} second")
        if self.up is not None and not self.floor:
            raise UserError("--up belongs to --floor, which is not given")
        if self.vertical is not None and not (len(self.vertical) == 3 and any(self.vertical)):
            raise UserError("--up: give three numbers that are not all 0 (x right, y down, z forward), or camera")
        if self.height is not None and not HEIGHT_RANGE[0] <= self.height <= HEIGHT_RANGE[1]:
            raise UserError(f"--height {self.height:g}: must be {HEIGHT_RANGE[0]:g} to {HEIGHT_RANGE[1]:g} metres")
        if self.embed_video is not None and not 0 < self.embed_video <= MAX_EMBEDDED:
            raise UserError(f"--embed-video {self.embed_video:g}: must be above 0 and at most {MAX_EMBEDDED:g} MB")
        if self.clip and not 0 <= self.clip[0] < self.clip[1] < math.inf:
            raise UserError("--clip START END: two times in seconds, the second one later")
        if self.fps is not None and not FPS_RANGE[0] <= self.fps <= FPS_RANGE[1]:
            raise UserError(f"--fps {self.fps:g}: must be {FPS_RANGE[0]:g} to {FPS_RANGE[1]:g} frames per second")
        if self.max_persons is not None and self.max_persons < 1:
            raise UserError(f"--max-persons {self.max_persons}: must be 1 or more")
        if not MIN_KNOWN <= self.min_joints <= len(HUMAN36M_17):
            raise UserError(f"--min-joints {self.min_joints}: must be {MIN_KNOWN} to {len(HUMAN36M_17)}")
        if self.image_size and not all(0 < n <= MAX_IMAGE_SIDE for n in self.image_size):
            raise UserError(f"--image-size: width and height must be 1 to {MAX_IMAGE_SIDE} pixels")
        if self.camera and not (all(math.isfinite(n) for n in self.camera) and min(self.camera[:2]) > 0):
            raise UserError("--camera FX FY CX CY: four numbers in pixels, the focal lengths above 0")
        _check_outputs(self.outputs, self.fit_body)

    def _check_live(self) -> None:
        """UserError where options do not go with --live, or miss it."""
        if self.live and self.video is None:
            raise UserError(
                "--live belongs to --video, which is not given: a camera's number, a stream's address, or a file"
            )
        if not self.live and not self.output:
            raise UserError("--output: name at least one file")
        if self.port is not None and not self.live:
            raise UserError("--port belongs to --live, which is not given")
        if self.port is not None and not PORTS[0] <= self.port <= PORTS[1]:
            raise UserError(f"--port {self.port}: must be {PORTS[0]} to {PORTS[1]}")
        for name in NOT_LIVE if self.live else ():
            if getattr(self, name) is not None:
                raise UserError(f"{_option(name)} does not go with --live")
        if self.live and self.smooth == GAUSSIAN:
            raise UserError(f"--smooth {GAUSSIAN} needs the frames after each one; with --live use --smooth {ONE_EURO}")

    @property
    def vertical(self) -> tuple[float, ...] | None:
        """The vector of --up in camera axes, empty where its words are no numbers; None where it has to be estimated."""
        if self.up is None:
            return None
        if tuple(self.up) == ("camera",):
            return 0.0, -1.0, 0.0
        try:
            vector = tuple(float(word) for word in self.up)
        except ValueError:
            return ()
        return vector if all(map(math.isfinite, vector)) else ()

    @property
    def outputs(self) -> list[Path]:
        """The paths of --output."""
        if "" in self.output:
            raise UserError("--output: the path is empty")
        return [check_output(name) for name in self.output]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check_outputs(paths: list[Path], body: bool) -> None:
    """UserError where one of --output cannot be written or is named twice."""
    places = [os.path.realpath(path) for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            raise UserError(f"--output: {path} is named twice")
        if ending_of(path) in NEED_BODY and not body:
            raise UserError(f"--output: {path} holds a fitted body; add --fit-body, or choose another name")
        if path.is_dir():
            raise UserError(f"--output: {path} is a folder; name a file")
