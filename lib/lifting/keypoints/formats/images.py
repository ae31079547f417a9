"""JSON of one image's people, which many detectors write: alone, a folder of such files, a list of them, or a line for each."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from lib.errors import UserError
from lib.joints import BODY_25
from lib.lifting.keypoints.formats import mmpose, openpifpaf, openpose, tensorflow_js, ultralytics
from lib.lifting.keypoints.formats.detections import (
    COCO,
    Detections,
    Found,
    check_bytes,
    detections_of,
    load_bytes,
    look_normalized,
    parse_json,
    usual_joint_set,
    whole_numbers,
)


class Kind(NamedTuple):
    """fits: whether parsed content is one image's people in this format; people: (file, content, frame) to them; usual: number of
    joints -> the convention that so many nearly always are in."""

    fits: Callable[[Any], bool]
    people: Callable[[Path, Any, int | str], list[Found]]
    usual: dict[int, str]


KINDS = {
    "OpenPose": Kind(openpose.is_image, openpose.people, {len(BODY_25): "body25"}),
    "MMPose's instances": Kind(mmpose.is_image, mmpose.people, {}),
    "Ultralytics": Kind(ultralytics.is_image, ultralytics.people, COCO),
    "OpenPifPaf": Kind(openpifpaf.is_image, openpifpaf.people, COCO),
    "TensorFlow.js": Kind(tensorflow_js.is_image, tensorflow_js.people, COCO),
}
"""Name -> format; the first that fits is used."""

_FRAME_KEYS = ("frame", "frame_id")
_PEOPLE_KEYS = ("predictions", "poses")
"""Keys of an object that holds an image's people beside its number."""


def are_images(content) -> bool:
    """One image's people, or a list of such images."""
    return any(_kind(image) for image in _images(content))


def read_images(path: Path, content) -> Detections:
    """One image, or a list of them; frames are counted where they have no number."""
    return _read(path, [(path, frame, image) for frame, image in enumerate(_images(content))])


def read_folder(path: Path) -> Detections:
    """A folder with one file per image; the frame number is the last number in the file's name.

    Names that differ before that number are several clips, if they have the same frame numbers.
    """
    files = sorted(p for p in path.iterdir() if p.suffix.lower() == ".json")
    check_bytes(path, sum(p.stat().st_size for p in files), "the folder")
    images = []
    for file in files:
        content = parse_json(file, load_bytes(file).decode("utf-8-sig", errors="replace"))
        content = content[0] if isinstance(content, list) and len(content) == 1 and _kind(content[0]) else content
        images.append((file, file.name, content))
    return _read(path, images)


def _read(path: Path, images: Iterable[tuple[Path, int | str, Any]]) -> Detections:
    """images: (file, frame number or name, content)."""
    found, sizes, kind = [], set(), None
    for file, frame, image in images:
        if isinstance(image, dict):
            frame = next((image[key] for key in _FRAME_KEYS if key in image), frame)
        content = _people_of(image)
        name = _kind(content)
        if name is None and content not in ([], None):
            raise UserError(f"{file}: not one image's people as {', '.join(KINDS)} write them")
        if name is None:
            continue
        kind = kind or name
        if name != kind:
            raise UserError(f"{file}: {name}'s, while others in {path} are {kind}'s; use one format")
        found += KINDS[kind].people(file, content, frame)
        sizes |= _sizes(file, content)
    if len(sizes) > 1:
        raise UserError(f"{path}: images of different sizes; one file or folder must hold one size, split it")
    joint_set = usual_joint_set(found, KINDS[kind].usual) if kind else None
    size = next(iter(sizes), None)
    return detections_of(
        path, found, joint_set=joint_set, image_size=size, normalized=size is not None and look_normalized(found)
    )


def _images(content) -> list:
    return [content] if _kind(content) or not isinstance(content, list) else content


def _kind(image) -> str | None:
    content = _people_of(image)
    return next((name for name, kind in KINDS.items() if kind.fits(content)), None)


def _people_of(image):
    """What a wrapper {frame, predictions} holds, or the image's people as they are."""
    if isinstance(image, dict) and any(key in image for key in _FRAME_KEYS):
        return next((image[key] for key in _PEOPLE_KEYS if key in image), image)
    return image


def _sizes(path: Path, content) -> set[tuple[int, int]]:
    """The image's size, which ControlNet's preprocessors write beside the people."""
    if not isinstance(content, dict) or not {"canvas_width", "canvas_height"} <= set(content):
        return set()
    width, height = whole_numbers(path, [content["canvas_width"], content["canvas_height"]], "canvas sizes").tolist()
    return {(width, height)}
