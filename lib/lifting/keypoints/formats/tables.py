"""CSV: the project's own, DeepLabCut's, and tables with a column for every number of a joint, such as SLEAP's."""

import csv
import io
import re
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.joints import JOINT_SETS
from lib.lifting.keypoints.formats.body_parts import MIN_PARTS, arranged, best_set_with
from lib.lifting.keypoints.formats.detections import (
    NOBODY,
    Detections,
    Found,
    frame_numbers,
    look_normalized,
    whole_numbers,
)

COORDINATES = {"x": "x", "y": "y"} | dict.fromkeys(
    ("score", "confidence", "conf", "likelihood", "visibility", "vis", "c", "v"), "score"
)
"""Last words of a column's name -> what it holds of the body part before."""

FRAMES = ("frame", "frame_idx", "frame_id", "frame_number", "frame_index", "frameindex", "framenumber", "image_id")
PERSONS = ("track", "track_id", "person", "person_id", "individual", "individuals")
"""Names of columns in small letters; the first that is there is used."""

HEADER = ("frame", "person", "joint", "x", "y", "score")


def read_csv(path: Path, text: str, asked: str | None) -> Detections:
    """A table of one of three kinds, recognised by its header; asked: a joint set, for the project's own."""
    try:
        lines = list(csv.reader(io.StringIO(text.lstrip("\r\n"))))
    except csv.Error as error:
        raise UserError(f"{path}: not a CSV table ({error})") from None
    header = [h.strip() for h in lines[0]]
    if header[0].lower() == "scorer":
        return read_deeplabcut(path, lines)
    parts = parts_of(header)
    if len(parts) >= MIN_PARTS:
        return read_wide(path, lines, parts)
    return _read_own(path, lines, asked)


def read_deeplabcut(path: Path, lines: list[list[str]]) -> Detections:
    """Header rows scorer, [individuals,] bodyparts, coords; then a line for every frame.

    The frame is a number, or the name of a labelled image, in one column or as folder, video and image in three.
    """
    first = next((i for i, cell in enumerate(lines[0][1:], start=1) if cell.strip()), 1)
    rows = {line[0].strip().lower(): [c.strip() for c in line[first:]] for line in lines[:4] if line}
    body = [line for line in lines[4 if "individuals" in rows else 3 :] if line]
    if not {"bodyparts", "coords"} <= set(rows):
        raise UserError(f"{path}: a DeepLabCut table needs the header rows scorer, bodyparts and coords")
    parts, coords = rows["bodyparts"], rows["coords"]
    individuals = rows.get("individuals", [""] * len(parts))
    if not len(parts) == len(coords) == len(individuals):
        raise UserError(f"{path}: the header rows have different lengths")
    columns = list(zip(individuals, parts, coords, strict=True))
    values = _cells(path, [line[first:] for line in body], len(columns), 4)
    frames = _frames(path, ["/".join(line[:first]) for line in body])
    return deeplabcut(path, frames, columns, values)


def deeplabcut(path: Path, frames: np.ndarray, columns: list[tuple[str, str, str]], values: np.ndarray) -> Detections:
    """values (T, C) whose columns are (individual, body part, x | y | likelihood)."""
    people, parts = list(dict.fromkeys(c[0] for c in columns)), list(dict.fromkeys(c[1] for c in columns))
    if len(set(columns)) < len(columns):
        raise UserError(f"{path}: a body part is there twice")
    array = np.full((len(people), len(values), len(parts), 3), np.nan)
    array[..., 2] = 1
    places = {"x": 0, "y": 1, "likelihood": 2}
    for k, (person, part, coordinate) in enumerate(columns):
        if coordinate not in places:
            raise UserError(f"{path}: a column of {part} is called {coordinate!r}; x, y and likelihood are needed")
        array[people.index(person), :, parts.index(part), places[coordinate]] = values[:, k]
    if np.isnan(array[..., 2]).all():  # of people who labelled, sleap-io writes empty likelihoods
        array[..., 2] = 1
    joints, joint_set, notes = arranged(path, parts, array.reshape(-1, len(parts), 3))
    T, P = len(values), len(people)
    return Detections(np.tile(frames, P), np.repeat(np.arange(P), T), joints, joint_set, named=True, notes=notes)


def parts_of(header: list[str]) -> dict[str, tuple[int, int, int | None]]:
    """Body part -> columns of its x, y and score (None where there is none), of names such as nose.x, nose_x or nose x."""
    found: dict[str, dict[str, int]] = {}
    for column, name in enumerate(header):
        match = re.fullmatch(r"(.+)[ ._](\w+)", name)
        if match and (kind := COORDINATES.get(match[2].lower())):
            found.setdefault(match[1], {}).setdefault(kind, column)
    return {part: (c["x"], c["y"], c.get("score")) for part, c in found.items() if {"x", "y"} <= set(c)}


def read_wide(path: Path, lines: list[list[str]], parts: dict[str, tuple[int, int, int | None]]) -> Detections:
    """A line for every person and frame: x, y and perhaps a score of every body part, a frame number, a track.

    Lines are counted where no column is called like one of FRAMES; persons are texts or numbers under one of PERSONS.
    """
    header = [h.strip().lower() for h in lines[0]]
    body = [line for line in lines[1:] if line]
    if any(len(line) != len(header) for line in body):
        raise UserError(f"{path}: not all lines have the {len(header)} columns of the header")
    index = [column for columns in parts.values() for column in columns]
    cells = [["1" if i is None else line[i] for i in index] for line in body]
    values = _cells(path, cells, len(index), 2).reshape(-1, len(parts), 3)
    frame = next((header.index(name) for name in FRAMES if name in header), None)
    frames = np.arange(len(body)) if frame is None else _frames(path, [line[frame] for line in body])
    person = next((header.index(name) for name in PERSONS if name in header), None)
    tracks = [""] if person is None else [line[person].strip() for line in body]
    names = sorted(set(tracks))
    persons = None if "" in names else np.array([names.index(t) for t in tracks], np.int64)
    joints, joint_set, notes = arranged(path, list(parts), values)
    normalized = look_normalized([Found(0, None, v) for v in joints])
    return Detections(frames, persons, joints, joint_set, named=True, normalized=normalized, notes=notes)


def _read_own(path: Path, lines: list[list[str]], asked: str | None) -> Detections:
    """One line per joint under the header frame,person,joint,x,y,score; person and score are optional."""
    header = [h.strip().lower() for h in lines[0]]
    lacking = [name for name in ("frame", "joint", "x", "y") if name not in header]
    if lacking:
        raise UserError(
            f"{path}: text that is neither JSON nor CSV with the header {','.join(HEADER)} (lacking: {', '.join(lacking)}), "
            "nor a table of DeepLabCut, nor one with columns such as nose_x, nose_y, left_hip_x, left_hip_y"
        )
    column = {name: header.index(name) for name in HEADER if name in header}
    keys, names, numbers = [], [], []
    for n, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        try:
            cell = {name: line[i].strip() for name, i in column.items()}
            keys.append((int(cell["frame"]), int(cell.get("person", 0))))
            names.append(cell["joint"])
            numbers.append([float(cell[c] or "nan") for c in ("x", "y")] + [float(cell.get("score", 1) or "nan")])
        except (ValueError, IndexError):
            raise UserError(f"{path}: line {n} does not fit the header {','.join(header)}") from None
    if not keys:
        raise UserError(f"{path}: zero frames: a CSV file with a header only")
    joint_set = asked or best_set_with(set(names))
    unknown = sorted(set(names) - set(JOINT_SETS[joint_set].names)) if joint_set else sorted(set(names))
    if joint_set is None or (unknown and not asked):
        raise UserError(f"{path}: no keypoint convention has the joints {', '.join(unknown[:30])}; see docs/joints.md")
    if unknown:
        raise UserError(f"{path}: the convention {joint_set} has no joint {unknown[0]!r}; names are in docs/joints.md")
    joints = JOINT_SETS[joint_set].names
    flat = whole_numbers(path, [number for key in keys for number in key], "frame and person")
    rows, row = np.unique(flat.reshape(-1, 2), axis=0, return_inverse=True)
    cells = row.ravel() * len(joints) + [joints.index(name) for name in names]
    if len(np.unique(cells)) < len(cells):
        first = np.flatnonzero(np.bincount(cells) > 1)[0]
        frame, person = rows[first // len(joints)]
        raise UserError(f"{path}: {joints[first % len(joints)]} of person {person} is there twice in frame {frame}")
    values = np.full((len(rows) * len(joints), 3), np.nan)
    values[cells] = numbers
    return Detections(rows[:, 0], rows[:, 1], values.reshape(len(rows), len(joints), 3), joint_set, named=True)


def _cells(path: Path, lines: list[list[str]], count: int, first: int) -> np.ndarray:
    """(lines, count) numbers, NaN for empty cells; first: line number of the first."""
    if not lines:
        raise UserError(f"{path}: {NOBODY}: a table with a header only")
    numbers = []
    for n, line in enumerate(lines, start=first):
        if len(line) != count:
            raise UserError(f"{path}: line {n} has {len(line)} numbers, the header {count} columns")
        try:
            numbers.append([float(c or "nan") for c in line])
        except ValueError:
            raise UserError(f"{path}: line {n} holds something that is not a number") from None
    return np.array(numbers, np.float64)


def _frames(path: Path, cells: list[str]) -> np.ndarray:
    """Frame numbers from whole numbers, or from the names of one video's images."""
    numbers = [_number(cell) for cell in cells]
    if None not in numbers:
        return whole_numbers(path, numbers, "frame numbers")
    if all(n is None and re.search(r"\d", cell) for n, cell in zip(numbers, cells, strict=True)):
        frames, clips, _ = frame_numbers(path, cells)
        if clips is None:
            return frames
    raise UserError(f"{path}: frame numbers must be whole numbers, or images of one video, found {cells[0][:40]!r}")


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
