"""What the demo does with an upload: one request per press of the button, in a folder that goes with its session."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lib.device import choose_devices
from lib.errors import UserError
from lib.lifting import GAUSSIAN
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
    floor: bool = False


@dataclass(frozen=True)
class Result:
    """error: the one line about what has to be put right, else empty; page: the web page (HTML) that plays, empty if too
    large; lines: what to know about it; files: those to download."""

    error: str = ""
    page: str = ""
    lines: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


@dataclass
class _Session:
    """The folder of a tab's latest run, and the files that it has uploaded."""

    folder: Path | None = None
    uploads: set[Path] = field(default_factory=set)


class Sessions:
    """The open networks, and the files of the browser tabs that use them: what a tab has uploaded and its latest results.

    root: an existing folder, in which uploads are too; weights: the networks to choose from, opened at once. UserError where
    one of them cannot be opened.
    """

    def __init__(self, root: Path, weights: Sequence[str | Path], settings: Settings):
        self._root, self._settings = root, settings
        device = choose_devices(settings.gpu)[0]
        names = [Path(path).name for path in weights]
        names = names if len(set(names)) == len(names) else list(map(str, weights))
        self._lifters = {name: Lifter(path, device) for name, path in zip(names, weights, strict=True)}
        self._open: dict[str, _Session] = {}
        self._kept: set[Path] = set()

    @property
    def weights(self) -> list[str]:
        """The networks to choose from: names of their files or folders, whole paths where two have one name."""
        return list(self._lifters)

    def keep_present_files(self) -> None:
        """Never remove the files that are there now, though tabs use them: the examples."""
        self._kept = set(self._root.rglob("*"))

    def run(self, session: str, upload: str | Path | None, choices: Choices) -> Result:
        """Lift an uploaded file; session: a name of the tab."""
        here = self._open.setdefault(session, _Session())
        _remove(here.folder)
        here.folder = folder = Path(tempfile.mkdtemp(dir=self._root))
        try:
            if upload is None:
                raise UserError("drop an image, a video or a file of 2D keypoints first")
            here.uploads.add(Path(upload))
            result = self._lift(Path(upload), choices, folder)
        except UserError as error:
            result = Result(error=_short(str(error), folder, upload))
        if self._open.get(session) is not here:  # the tab was closed meanwhile
            _remove(folder)
        return replace(result, lines=[_short(line, folder, upload) for line in result.lines])

    def end(self, session: str) -> None:
        """Remove the files of a tab, except uploads that another tab has uploaded too."""
        ended = self._open.pop(session, _Session())
        _remove(ended.folder)
        for upload in ended.uploads.difference(self._kept, *(other.uploads for other in self._open.values())):
            if upload.is_relative_to(self._root):
                upload.unlink(missing_ok=True)

    def _lift(self, source: Path, choices: Choices, folder: Path) -> Result:
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
        return Result("", shown, notes, lifted.written)

    def _request(self, source: Path, outputs: list[Path], choices: Choices, notes: list[str]) -> Request:
        """The page's choices as options of main/predict.py; a line about a video that is cut is added to the notes."""
        options = {
            "output": tuple(outputs),
            "joint_set": choices.joint_set,
            "fps": choices.fps,
            "max_persons": choices.max_persons,
            "one_person": choices.one_person,
            "smooth": GAUSSIAN if choices.smooth else None,
            "fit_body": choices.fit_body,
            "floor": choices.floor,
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


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _short(line: str, folder: Path, upload: str | Path | None) -> str:
    """The line with the bare names of files in the run's folder and of the upload."""
    for hidden in (folder, Path(upload or folder).parent):
        line = line.replace(f"{hidden}/", "")
    return line
