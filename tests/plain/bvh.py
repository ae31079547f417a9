"""BVH read by the letter: every joint's world position by its channels in the order in which the file names them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

AXES = {"X": 0, "Y": 1, "Z": 2}


@dataclass
class Joint:
    name: str
    parent: "Joint | None"
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    channels: list[str] = field(default_factory=list)


@dataclass
class Clip:
    """joints in the file's order, end sites included as `NAME_end`; motion (T, channels); seconds per frame."""

    joints: list[Joint]
    motion: np.ndarray
    frame_time: float

    def positions(self) -> dict[str, np.ndarray]:
        """Joint name -> (T, 3), the file's unit and axes."""
        return {name: world[:, :3, 3] for name, world in self.worlds().items()}

    def worlds(self) -> dict[str, np.ndarray]:
        """Joint name -> (T, 4, 4): from the joint's own axes to the file's."""
        worlds: dict[str, np.ndarray] = {}
        column = 0
        for joint in self.joints:
            own = np.tile(np.eye(4), (len(self.motion), 1, 1))
            own[:, :3, 3] = joint.offset
            for channel in joint.channels:
                own = own @ channel_matrix(channel, self.motion[:, column])
                column += 1
            worlds[joint.name] = own if joint.parent is None else worlds[joint.parent.name] @ own
        assert column == self.motion.shape[1]
        return worlds


def channel_matrix(channel: str, values: np.ndarray) -> np.ndarray:
    """(T, 4, 4) of one channel, such as Xposition or Zrotation (degrees)."""
    axis, kind = AXES[channel[0]], channel[1:]
    matrix = np.tile(np.eye(4), (len(values), 1, 1))
    if kind == "position":
        matrix[:, axis, 3] = values
        return matrix
    assert kind == "rotation"
    u, v = (axis + 1) % 3, (axis + 2) % 3
    cos, sin = np.cos(np.deg2rad(values)), np.sin(np.deg2rad(values))
    matrix[:, u, u], matrix[:, u, v], matrix[:, v, u], matrix[:, v, v] = cos, -sin, sin, cos
    return matrix


def read(path: Path) -> Clip:
    words = path.read_text(encoding="ascii").split()
    assert words.pop(0) == "HIERARCHY"
    joints: list[Joint] = []
    open_joints: list[Joint] = []
    while (word := words.pop(0)) != "MOTION":
        if word in ("ROOT", "JOINT"):
            assert (word == "ROOT") == (not joints)
            joints.append(Joint(words.pop(0), open_joints[-1] if open_joints else None))
        elif word == "End":
            assert words.pop(0) == "Site"
            joints.append(Joint(f"{open_joints[-1].name}_end", open_joints[-1]))
        elif word == "{":
            open_joints.append(joints[-1])
        elif word == "}":
            open_joints.pop()
        elif word == "OFFSET":
            open_joints[-1].offset = np.array([float(words.pop(0)) for _ in range(3)])
        else:
            assert word == "CHANNELS", word
            open_joints[-1].channels = [words.pop(0) for _ in range(int(words.pop(0)))]
    assert not open_joints
    assert len({joint.name for joint in joints}) == len(joints)
    assert words.pop(0) == "Frames:"
    frames = int(words.pop(0))
    assert (words.pop(0), words.pop(0)) == ("Frame", "Time:")
    frame_time = float(words.pop(0))
    return Clip(joints, np.array(words, float).reshape(frames, -1), frame_time)
