"""Acclaim's formats: .asf holds a subject's skeleton, .amc one of the subject's motions.

Bone b with rest direction d, length l, axis rotation C and degrees of freedom M turns by C M C^-1 relative to its parent
and carries its children at l d. A bone becomes a joint at the bone's START; leaf bones get a `<name>_end`.
"""

from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from data.Mocap.skeleton import Clip, Skeleton
from data.Mocap.text import MAX_JOINTS, Lines

INCH = 0.0254
_TURNS = ("rx", "ry", "rz")
_MOVES = ("tx", "ty", "tz")


@dataclass(frozen=True)
class AcclaimSkeleton:
    """Skeleton plus what is needed to read its motions.

    axes: (J, 3, 3) rotations C; orders: per joint the rotation order as three letters; freedoms: per joint the names of
    its channels in file order; scale: metres per file unit; degrees: whether the .asf gives angles in degrees,
    and with it motions that do not say.
    """

    skeleton: Skeleton
    axes: np.ndarray
    orders: tuple[str, ...]
    freedoms: tuple[tuple[str, ...], ...]
    position: np.ndarray
    scale: float
    degrees: bool


def read_asf(path: Path) -> AcclaimSkeleton:
    """Read an .asf file. UserError with file and line for everything malformed."""
    lines = Lines(path, comment="#")
    units = {"length": 1.0, "angle": "deg"}
    bones: dict[str, dict] = {"root": {"direction": [0.0, 0.0, 0.0], "length": 0.0, "dof": (*_MOVES, *_TURNS)}}
    bone: dict | None = None
    children: list[tuple[str, str, int]] = []
    section = ""
    for words in lines:
        key = words[0].lower()
        if key.startswith(":"):
            section, bone = key[1:], None
        elif section == "units" and key == "length":
            units["length"] = lines.floats(words[1:], 1)[0]
            if units["length"] <= 0:
                raise lines.error("the unit of length must be positive")
        elif section == "units" and key == "angle":
            units["angle"] = words[-1].lower()
            if units["angle"] not in ("deg", "rad"):
                raise lines.error(f"angle unit '{words[-1]}' is neither deg nor rad")
        elif section == "root":
            root = bones["root"]
            if key == "order":
                root["dof"] = _freedoms(lines, words[1:], (*_MOVES, *_TURNS))
            elif key == "axis":
                root["order"] = _axis_order(lines, words[1:])
            elif key in ("position", "orientation"):
                root[key] = lines.floats(words[1:], 3)
        elif section == "bonedata":
            if key == "begin":
                bone = {"dof": ()}
            elif bone is None:
                raise lines.error("'begin' expected")
            elif key == "end":
                missing = [k for k in ("name", "direction", "length", "axis") if k not in bone]
                if missing:
                    raise lines.error(f"the bone that ends here has no {missing[0]}")
                if bone["name"] in bones or len(bones) == MAX_JOINTS:
                    raise lines.error(f"bone {bone['name']} is defined twice, or there are over {MAX_JOINTS} bones")
                bones[bone["name"]] = bone
                bone = None
            elif key == "name":
                bone["name"] = " ".join(words[1:])
            elif key == "direction":
                bone["direction"] = lines.floats(words[1:], 3)
            elif key == "length":
                bone["length"] = lines.floats(words[1:], 1)[0]
            elif key == "axis":
                bone["axis"], bone["order"] = lines.floats(words[1:4], 3), _axis_order(lines, words[4:])
            elif key == "dof":
                bone["dof"] = _freedoms(lines, words[1:], _TURNS)
        elif section == "hierarchy" and key not in ("begin", "end"):
            unknown = next((w for w in words if w not in bones), None)
            if unknown:
                raise lines.error(f"the hierarchy names a bone '{unknown}' that :bonedata does not define")
            children += [(words[0], child, lines.number) for child in words[1:]]
    if len(bones) == 1 or not children:
        raise lines.error("the file ends without :bonedata or :hierarchy; it is not a complete .asf skeleton")
    return _assemble(lines, bones, children, INCH / units["length"], units["angle"] == "deg")


def _freedoms(lines: Lines, words: list[str], allowed: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(w.lower() for w in words)
    if not set(found) <= set(allowed) or len(set(found)) != len(found):
        raise lines.error(f"degrees of freedom '{' '.join(words)[:60]}' are not supported (known: {' '.join(allowed)})")
    return found


def _axis_order(lines: Lines, words: list[str]) -> str:
    if len(words) != 1 or sorted(words[0].upper()) != ["X", "Y", "Z"]:
        raise lines.error(f"'{' '.join(words)[:40]}' is not a rotation order such as XYZ")
    return words[0].lower()


def _assemble(lines: Lines, bones: dict, children: list, scale: float, degrees: bool) -> AcclaimSkeleton:
    """Order the bones parents first and turn bone ends into joints."""
    below: dict[str, list[str]] = {name: [] for name in bones}
    has_parent = {"root"}
    for parent, child, number in children:
        if child in has_parent:
            lines.number = number
            raise lines.error(f"bone {child} has two parents or is above itself")
        has_parent.add(child)
        below[parent].append(child)
    names, parents, offsets = [], [], []
    todo = [("root", -1)]
    while todo:
        name, parent = todo.pop()
        index = len(names)
        names.append(name)
        parents.append(parent)
        above = bones[names[parent]] if parent >= 0 else None
        offsets.append(np.multiply(above["direction"], above["length"] * scale) if above else np.zeros(3))
        todo += [(child, index) for child in reversed(below[name])]
    for name in [n for n in names if not below[n]]:
        names.append(f"{name}_end")
        parents.append(names.index(name))
        offsets.append(np.multiply(bones[name]["direction"], bones[name]["length"] * scale))
    orders, freedoms, axes = [], [], []
    for name in names:
        bone = bones.get(name, {"dof": ()})
        order = bone.get("order", "xyz")
        orders.append(order)
        freedoms.append(bone["dof"])
        angles = bone.get("orientation" if name == "root" else "axis", [0.0, 0.0, 0.0])
        # The three angles are written x, y, z, in any order of application.
        axes.append(_rotation(order, np.array(angles)[None], ("rx", "ry", "rz"), degrees)[0])
    skeleton = Skeleton(tuple(names), tuple(parents), np.array(offsets))
    position = np.multiply(bones["root"].get("position", [0.0, 0.0, 0.0]), scale)
    return AcclaimSkeleton(skeleton, np.array(axes), tuple(orders), tuple(freedoms), position, scale, degrees)


def _rotation(order: str, angles: np.ndarray, freedoms: tuple[str, ...], degrees: bool) -> np.ndarray:
    """Rotations about fixed axes in `order` (xyz: Rz Ry Rx) from angles (T, len(freedoms)); unlisted axes do not turn."""
    axes = [axis for axis in order if f"r{axis}" in freedoms]
    if not axes:
        return np.broadcast_to(np.eye(3), (len(angles), 3, 3))
    columns = [freedoms.index(f"r{axis}") for axis in axes]
    return Rotation.from_euler("".join(axes), angles[:, columns], degrees=degrees).as_matrix()


def read_amc(path: Path, subject: AcclaimSkeleton, fps: float) -> Clip:
    """Read a motion of `subject`; the format states no frame rate, so `fps` comes from the caller.

    Angles are in degrees or radians by the .amc's own line, else as in the .asf. UserError with file and line for everything
    malformed.
    """
    lines = Lines(path, comment="#")
    skeleton = subject.skeleton
    moving = {name: f for name, f in zip(skeleton.names, subject.freedoms, strict=True) if f}
    first, columns = {}, 0
    for name, freedoms in moving.items():
        first[name] = columns
        columns += len(freedoms)
    degrees, values, row, seen = subject.degrees, array("d"), [], set()

    def close_frame():
        if len(seen) < len(moving):
            raise lines.error(f"the frame before has no values for {next(n for n in moving if n not in seen)}")
        values.extend(row)

    for words in lines:
        name = words[0]
        if name.startswith(":"):
            degrees = {":degrees": True, ":radians": False}.get(name.lower(), degrees)
        elif len(words) == 1 and name.isdecimal():
            if row:
                close_frame()
            row, seen = [0.0] * columns, set()
        elif not row:
            raise lines.error("a frame number was expected")
        elif name not in moving or name in seen:
            raise lines.error(
                f"'{name[:40]}' is not a moving bone of this subject's .asf, or is there twice in one frame"
            )
        else:
            seen.add(name)
            row[first[name] : first[name] + len(moving[name])] = lines.floats(words[1:], len(moving[name]))
    if not row:
        raise lines.error("the file holds no frame")
    close_frame()
    rows = np.frombuffer(values).reshape(-1, columns)

    rotations = np.broadcast_to(np.eye(3), (len(rows), len(skeleton.names), 3, 3)).copy()
    for j, name in enumerate(skeleton.names):
        if name in moving:
            part = rows[:, first[name] : first[name] + len(moving[name])]
            M = _rotation(subject.orders[j], part, moving[name], degrees)
            C = subject.axes[j]
            rotations[:, j] = C @ M @ C.T
    translation = np.tile(subject.position, (len(rows), 1))
    for axis, move in enumerate(_MOVES):
        if move in moving["root"]:
            translation[:, axis] += rows[:, first["root"] + moving["root"].index(move)] * subject.scale
    return Clip(skeleton, rotations, translation, fps)
