"""What the demo does with an upload: one request per press of the button, in a folder that goes with its session."""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lib.device import choose_devices
from lib.errors import UserError
from lib.lifting.detectors.video import duration
from lib.lifting.keypoints.formats import begins_like_keypoints
from lib.lifting.lift_file import lift_file
from lib.lifting.lifter import Lifter
from lib.lifting.request import Request

PAGE_ENDING = ".html"

EMBEDDED = 4.0
"""MB of images in the page that is shown."""

MAX_SHOWN = 40.0
"""MB of a page that is shown; a larger one can be downloaded."""


@dataclass(frozen=True)
class Settings:
    """What the person who starts the demo decides: options of main/predict.py, and how many seconds of a video are used."""

    detector: str | None = None
    person_detector: str | None = None
    max_seconds: float = 60.0
    gpu: str | None = None


@dataclass(frozen=True)
class Choices:
    """What the person at the page decides: endings of the files to download besides the page, and options of
    main/predict.py."""

    endings: Sequence[str] = ()
    weights: str | None = None
    image_size: tuple[int, int] | None = None
    joint_set: str | None = None
    fps: float | None = None
    max_persons: int | None = None
    one_person: bool = False
    smooth: bool = False
    fit_body: bool = False


@dataclass(frozen=True)
class Result:
    """page: the web page (HTML) that plays, empty where there is none; lines: what to know about it, or the one error;
    files: those to download; failed: whether it ended in an error."""

    page: str
    lines: list[str]
    files: list[Path]
    failed: bool = False


@dataclass
class _Session:
    folders: list[Path] = field(default_factory=list)
    uploads: set[Path] = field(default_factory=set)


class Sessions:
    """The open networks, and the folders of the browser tabs that use them.

    root: an existing folder in which every run gets one of its own; weights: the networks to choose from, opened at once.
    UserError where one of them cannot be opened.
    """

    def __init__(self, root: Path, weights: Sequence[str | Path], settings: Settings):
        self._root, self._settings = root, settings
        device = choose_devices(settings.gpu)[0]
        self._lifters = {str(path): Lifter(path, device) for path in weights}
        self._open: dict[str, _Session] = {}

    @property
    def weights(self) -> list[str]:
        """The networks to choose from."""
        return list(self._lifters)

    def run(self, session: str, uploads: Sequence[str], choices: Choices) -> Result:
        """Lift one uploaded file, or several as a folder of OpenPose files; session: any name of the tab."""
        here = self._open.setdefault(session, _Session())
        here.uploads |= {Path(upload) for upload in uploads}
        folder = Path(tempfile.mkdtemp(dir=self._root))
        here.folders.append(folder)
        try:
            result = self._lift(uploads, choices, folder)
        except UserError as error:
            result = Result("", [f"error: {error}"], [], failed=True)
        if self._open.get(session) is not here:  # the tab was closed meanwhile
            shutil.rmtree(folder, ignore_errors=True)
        hidden = [folder, *(Path(upload).parent for upload in uploads)]
        return replace(result, lines=[_short(line, hidden) for line in result.lines])

    def end(self, session: str) -> None:
        """Remove what a tab has left, and its uploads, unless another tab has uploaded the same."""
        ended = self._open.pop(session, _Session())
        for folder in ended.folders:
            shutil.rmtree(folder, ignore_errors=True)
        in_use: set[Path] = set().union(*(other.uploads for other in self._open.values()))
        for upload in ended.uploads - in_use:
            if upload.is_relative_to(self._root):  # the examples stay
                upload.unlink(missing_ok=True)

    def _lift(self, uploads: Sequence[str], choices: Choices, folder: Path) -> Result:
        if not uploads:
            raise UserError("drop an image, a video or a file of 2D keypoints first")
        source = Path(uploads[0]) if len(uploads) == 1 else _as_folder(uploads, folder / "frames")
        page = folder / f"{source.stem}_3d{PAGE_ENDING}"
        outputs = [page, *(folder / f"{source.stem}_3d{ending}" for ending in choices.endings if ending != PAGE_ENDING)]
        notes: list[str] = []
        lifter = choices.weights or self.weights[0]
        lifted = lift_file(self._request(source, outputs, choices, notes), self._lifters[lifter])
        size = page.stat().st_size / 1e6
        shown = page.read_text(encoding="utf-8") if size <= MAX_SHOWN else ""
        if not shown:
            notes.append(f"the page takes {size:.0f} MB, too much to be shown here; download it")
        notes += [*lifted.notes, *lifted.report()[:-1]]  # the last line names the files, which are offered anyway
        return Result(shown, notes, lifted.written)

    def _request(self, source: Path, outputs: list[Path], choices: Choices, notes: list[str]) -> Request:
        """The page's choices as options of main/predict.py; a line about a video that is cut is added to the notes."""
        options = {
            "output": tuple(outputs),
            "joint_set": choices.joint_set,
            "fps": choices.fps,
            "max_persons": choices.max_persons,
            "one_person": choices.one_person,
            "smooth": "one-euro" if choices.smooth else None,
            "fit_body": choices.fit_body,
        }
        if begins_like_keypoints(source):
            return Request(input=source, image_size=choices.image_size, **options)
        clip, longest = None, self._settings.max_seconds
        seconds = duration(source)
        if seconds is None or seconds > longest:
            clip = (0.0, longest)
            notes.append(f"only the first {longest:g} s of the video are used (--max-seconds of main/demo.py)")
        return Request(
            video=source,
            detector=self._settings.detector,
            person_detector=self._settings.person_detector,
            clip=clip,
            embed_video=EMBEDDED,
            **options,
        )


def _as_folder(files: Sequence[str], folder: Path) -> Path:
    """A new folder of links to the files."""
    folder.mkdir()
    for name, file in {Path(file).name: file for file in files}.items():
        (folder / name).symlink_to(file)
    return folder


def _short(line: str, folders: Iterable[Path]) -> str:
    """The line without the names of temporary folders."""
    for folder in folders:
        line = line.replace(f"{folder}/", "")
    return line
