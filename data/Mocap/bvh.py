"""The BVH format (Biovision hierarchy): a joint tree with offsets and channels, then one line of numbers per frame."""

from array import array
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from data.Mocap.skeleton import Clip, Skeleton
from data.Mocap.text import MAX_JOINTS, Lines

_POSITIONS = ("xposition", "yposition", "zposition")
_ROTATIONS = ("xrotation", "yrotation", "zrotation")


def read_bvh(path: Path) -> Clip:
    """Read a BVH file; lengths stay in the file's unit, which the format does not state (see `clean.guess_unit`).

    Any channel order and any subset of the six channels is read. Rotations multiply in the order of the channels.
    Position channels of joints other than the root are accepted and ignored: where they occur, they repeat the
    offset. Raises UserError with file and line for everything malformed.
    """
    lines = Lines(path)
    names, parents, offsets, channels = _read_hierarchy(lines)
    rows, fps = _read_motion(lines, sum(map(len, channels)))

    rotations = np.broadcast_to(np.eye(3), (len(rows), len(names), 3, 3)).copy()
    translation = np.tile(np.asarray(offsets[0], np.float64), (len(rows), 1))
    first = 0
    for j, names_of in enumerate(channels):
        turns = [(first + i, name[0].upper()) for i, name in enumerate(names_of) if name in _ROTATIONS]
        if turns:
            columns, axes = zip(*turns, strict=True)
            angles = rows[:, columns]
            rotations[:, j] = Rotation.from_euler("".join(axes), angles, degrees=True).as_matrix()
        if j == 0:
            for i, name in enumerate(names_of):
                if name in _POSITIONS:
                    translation[:, _POSITIONS.index(name)] = rows[:, first + i]
        first += len(names_of)
    return Clip(Skeleton(tuple(names), tuple(parents), np.array(offsets)), rotations, translation, fps)


def _read_hierarchy(lines: Lines) -> tuple[list[str], list[int], list[list[float]], list[tuple[str, ...]]]:
    """Names, parents, offsets and channel names of all joints, in file order; stops after the line `MOTION`."""
    names, parents, offsets, channels = [], [], [], []
    open_joints: list[int] = []
    announced = False  # a ROOT, JOINT or End Site waits for its brace
    for words in lines:
        keyword = words[0].lower()
        if keyword == "hierarchy" and not names:
            continue
        if keyword == "motion":
            if not names or open_joints or announced:
                raise lines.error("MOTION before the hierarchy is complete: a '}' is missing")
            missing = next((n for n, o in zip(names, offsets, strict=True) if o is None), None)
            if missing:
                raise lines.error(f"joint {missing} has no OFFSET")
            return names, parents, offsets, channels
        if keyword in ("root", "joint", "end"):
            if announced:
                raise lines.error("'{' expected")
            if (keyword == "root") == bool(names) or (keyword != "root" and not open_joints):
                raise lines.error(f"{words[0]} outside the tree; the file must hold exactly one ROOT")
            if len(names) == MAX_JOINTS:
                raise lines.error(f"more than {MAX_JOINTS} joints")
            name = names[open_joints[-1]] + "_end" if keyword == "end" else " ".join(words[1:]).rstrip("{").strip()
            if not name:
                raise lines.error(f"{words[0]} without a name")
            parents.append(open_joints[-1] if open_joints else -1)
            names.append(name)
            offsets.append(None)
            channels.append(())
            announced = not words[-1].endswith("{")
            if not announced:
                open_joints.append(len(names) - 1)
        elif keyword == "{" and announced:
            announced = False
            open_joints.append(len(names) - 1)
        elif keyword == "}" and open_joints and not announced:
            open_joints.pop()
        elif keyword == "offset" and open_joints and not announced:
            offsets[open_joints[-1]] = lines.floats(words[1:], 3)
        elif keyword == "channels" and open_joints and not announced:
            found = tuple(w.lower() for w in words[2:])
            known = set(found) <= {*_POSITIONS, *_ROTATIONS}
            if not known or len(set(found)) != len(found) or words[1:2] != [str(len(found))]:
                raise lines.error(
                    "CHANNELS must give a count and that many different channels (Xposition, Zrotation ...)"
                )
            channels[open_joints[-1]] = found
        else:
            raise lines.error(f"'{words[0][:40]}' does not belong here in a BVH hierarchy")
    raise lines.error("the file ends inside the hierarchy, before MOTION")


def _read_motion(lines: Lines, columns: int) -> tuple[np.ndarray, float]:
    """The numbers (T, columns) and the frames per second."""
    iterator = iter(lines)
    header = {}
    for key in ("frames", "frame time"):
        words = next(iterator, [])
        label, _, value = " ".join(words).partition(":")
        if label.strip().lower() != key:
            raise lines.error(f"'{key.title()}:' expected")
        header[key] = lines.floats(value.split(), 1)[0]
    announced, frame_time = header["frames"], header["frame time"]
    if not 1e-4 <= frame_time <= 10:
        raise lines.error(f"a frame time of {frame_time} s is not plausible")
    # The announced count only serves as a check: memory grows with the lines that are really there.
    values = array("d")
    count = 0
    for words in iterator:
        values.extend(lines.floats(words, columns))
        count += 1
    if count != announced or count == 0:
        raise lines.error(f"{count} frames found, {announced:.0f} announced; the file is incomplete or damaged")
    return np.frombuffer(values).reshape(count, columns), 1 / frame_time
