"""Binary glTF 2.0 (.glb): the moving mesh and skeleton of every person, for viewers, game engines and Blender.

Metres, Y up. Each object is a skin in which every vertex has a joint of its own that carries it through the frames, so
the file grows linearly with them (morph targets would grow with their square). Format: Khronos, glTF 2.0 specification,
sections 3.6 (accessors), 3.7 (meshes, skins), 3.11 (animations) and 4 (GLB).

With the mesh "body" the file has the fitted body instead: all its vertices, skinned to its joints, which turn. Pose blend
shapes, some millimetres, have no place in a skin and are missing.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from lib.camera import y_up
from lib.evaluation.style import SIDE_COLOURS, bone_sides
from lib.files import replacing
from lib.joints import JointSet
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.body_motion import Y_UP, bone_names, strongest_weights
from lib.lifting.writers.geometry import placements, timeline
from lib.lifting.writers.skin import BODY, COARSE
from lib.lifting.writers.surface import vertex_normals

FLOAT, UINT16, UINT32 = 5126, 5123, 5125
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
MESH_COLOUR = "#b7c6da"


def write_glb(path: Path, sequences: list[PoseSequence], mesh: str = COARSE) -> list[Path]:
    """One file with all persons: nodes `person_N_mesh` (the finest mesh, if any) and `person_N_skeleton`; or `person_N_body`
    with the bones hips, spine, leftUpperLeg, ... (with `_N` after each where there are several persons)."""
    builder = _Builder(seconds=timeline(sequences)[0] / sequences[0].fps)
    for s, offset in zip(sequences, placements(sequences), strict=True):
        seconds = s.frames / s.fps
        if mesh == BODY:
            builder.add_body(s, offset, f"_{s.person}" if len(sequences) > 1 else "", seconds)
            continue
        if s.meshes:
            vertices, faces = y_up(s.meshes[-1] + offset), np.asarray(s.faces[-1])
            builder.add(f"person_{s.person}_mesh", vertices, faces, _rgb(MESH_COLOUR, len(vertices[0])), seconds)
        vertices, faces, colours = bone_mesh(s.pose3d + offset, s.joint_set)
        builder.add(f"person_{s.person}_skeleton", y_up(vertices), faces, colours, seconds)
    with replacing(path) as temporary:
        temporary.write_bytes(builder.to_bytes())
    return [path]


def bone_mesh(pose3d: np.ndarray, joint_set: JointSet, radius: float = 0.02) -> tuple[np.ndarray, ...]:
    """A skeleton (T, J, 3) with volume: vertices (T, 6 B, 3), faces (8 B, 3) outwards, colours (6 B, 3) by side.

    Every one of the B bones is a spindle with two ends and four corners around its middle.
    """
    bones = np.asarray(joint_set.bones)
    a, b = pose3d[:, bones[:, 0]], pose3d[:, bones[:, 1]]
    along = b - a
    along /= np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
    # "across" starts from the axis that the bone never comes near: one for all frames, or the corners would jump
    across = np.cross(along, np.eye(3)[np.abs(along).max(0).argmin(-1)])
    u = radius * across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
    v = np.cross(along, u)
    middle = (a + b) / 2
    vertices = np.stack([a, middle + u, middle + v, middle - u, middle - v, b], axis=2)
    ring = [(1, 2), (2, 3), (3, 4), (4, 1)]
    spindle = np.array([(0, q, p) for p, q in ring] + [(5, p, q) for p, q in ring])
    faces = (spindle + 6 * np.arange(len(bones))[:, None, None]).reshape(-1, 3)
    colours = np.concatenate([_rgb(SIDE_COLOURS[side], 6) for side in bone_sides(joint_set)])
    return vertices.reshape(len(pose3d), -1, 3), faces, colours


def _continuous(quaternions: np.ndarray) -> np.ndarray:
    """(T, 4) float32 with the signs for which neighbours lie in one half, so that viewers turn the short way."""
    flips = np.where((quaternions[1:] * quaternions[:-1]).sum(1) < 0, -1.0, 1.0)
    signs = np.cumprod(np.concatenate([[1.0], flips]))
    return (quaternions * signs[:, None]).astype(np.float32)


def _rgb(colour: str, count: int) -> np.ndarray:
    """A "#rrggbb" colour as `count` rows of linear RGB, which is what glTF's vertex colours are in."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.tile(np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4), (count, 1))


class _Builder:
    """Collects the JSON part and the binary part of one .glb file; time 0 is at `seconds`."""

    def __init__(self, seconds: float):
        self.start = seconds
        self.binary = bytearray()
        self.channels: list[dict] = []
        self.samplers: list[dict] = []
        self.json: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "hgn"},
            "scene": 0,
            "scenes": [{"nodes": []}],
            "nodes": [],
            "materials": [{"doubleSided": True, "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 0.8}}],
            "meshes": [],
            "skins": [],
            "accessors": [],
            "bufferViews": [],
        }

    def add(self, name: str, vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray, seconds: np.ndarray) -> None:
        """An object: vertices (T, R, 3) metres, Y up, at `seconds` (T,); faces (F, 3); colours (R, 3) linear RGB."""
        nodes, R = self.json["nodes"], vertices.shape[1]
        vertices = vertices.astype(np.float32)
        joints = np.zeros((R, 4), np.uint16)
        joints[:, 0] = np.arange(R)
        # each joint stands where its vertex is in the first frame, so the inverse bind matrix takes that away
        inverse = np.tile(np.eye(4, dtype=np.float32), (R, 1, 1))
        inverse[:, 3, :3] = -vertices[0]  # column-major, so the last row here is the last column there
        attributes = {
            "POSITION": self._accessor(vertices[0], "VEC3", FLOAT, ARRAY_BUFFER, bounds=True),
            "COLOR_0": self._accessor(colours.astype(np.float32), "VEC3", FLOAT, ARRAY_BUFFER),
            "JOINTS_0": self._accessor(joints, "VEC4", UINT16, ARRAY_BUFFER),
            "WEIGHTS_0": self._accessor(np.eye(1, 4, dtype=np.float32).repeat(R, 0), "VEC4", FLOAT, ARRAY_BUFFER),
        }
        indices = self._accessor(faces.reshape(-1).astype(np.uint32), "SCALAR", UINT32, ELEMENT_ARRAY_BUFFER)
        primitive = {"attributes": attributes, "indices": indices, "material": 0}
        self.json["meshes"].append({"name": name, "primitives": [primitive]})
        first = len(nodes) + 2
        self.json["skins"].append(
            {
                "inverseBindMatrices": self._accessor(inverse.reshape(R, 16), "MAT4", FLOAT),
                "joints": list(range(first, first + R)),
                "skeleton": first - 1,
            }
        )
        self.json["scenes"][0]["nodes"] += [first - 2, first - 1]
        nodes.append({"name": name, "mesh": len(self.json["meshes"]) - 1, "skin": len(self.json["skins"]) - 1})
        nodes.append({"name": f"{name}_vertices", "children": list(range(first, first + R))})
        nodes += [{"name": f"{name}_{i}", "translation": vertices[0, i].tolist()} for i in range(R)]
        if len(seconds) > 1:
            times = self._accessor((seconds - self.start).astype(np.float32), "SCALAR", FLOAT, bounds=True)
            for i in range(R):
                self._animate(first + i, "translation", times, self._accessor(vertices[:, i], "VEC3", FLOAT))

    def add_body(self, sequence: PoseSequence, offset: np.ndarray, suffix: str, seconds: np.ndarray) -> None:
        """A fitted body, moved by offset (T, 1, 3) metres, camera axes; suffix: of its bones' names."""
        body, nodes = sequence.body, self.json["nodes"]
        assert body is not None  # the caller has checked it
        parents, rest = body.model.parents.tolist(), body.rest_joints
        joints, weights = strongest_weights(body.model.lbs_weights)
        vertices = body.rest_vertices.astype(np.float32)
        inverse = np.tile(np.eye(4, dtype=np.float32), (len(rest), 1, 1))
        inverse[:, 3, :3] = -rest
        attributes = {
            "POSITION": self._accessor(vertices, "VEC3", FLOAT, ARRAY_BUFFER, bounds=True),
            "NORMAL": self._accessor(vertex_normals(vertices, body.model.faces), "VEC3", FLOAT, ARRAY_BUFFER),
            "COLOR_0": self._accessor(_rgb(MESH_COLOUR, len(vertices)).astype(np.float32), "VEC3", FLOAT, ARRAY_BUFFER),
            "JOINTS_0": self._accessor(joints, "VEC4", UINT16, ARRAY_BUFFER),
            "WEIGHTS_0": self._accessor(weights, "VEC4", FLOAT, ARRAY_BUFFER),
        }
        corners = body.model.faces.reshape(-1).astype(np.uint32)
        indices = self._accessor(corners, "SCALAR", UINT32, ELEMENT_ARRAY_BUFFER)
        name, first = f"person_{sequence.person}", len(nodes) + 2
        self.json["meshes"].append(
            {"name": f"{name}_body", "primitives": [{"attributes": attributes, "indices": indices, "material": 0}]}
        )
        bones = list(range(first, first + len(rest)))
        matrices = self._accessor(inverse.reshape(len(rest), 16), "MAT4", FLOAT)
        self.json["skins"].append({"inverseBindMatrices": matrices, "joints": bones, "skeleton": first})
        self.json["scenes"][0]["nodes"] += [first - 2, first - 1]
        numbers = {"mesh": len(self.json["meshes"]) - 1, "skin": len(self.json["skins"]) - 1}
        nodes.append({"name": f"{name}_body"} | numbers)
        nodes.append({"name": name, "children": [first]})  # of each person, or Blender would make one armature of all
        turns = body.pose.reshape(len(body.pose), len(rest), 3)
        places = ((rest[0] + body.transl + offset[:, 0]) @ Y_UP.T).astype(np.float32)
        names = bone_names(body)
        times = None
        if len(seconds) > 1:
            times = self._accessor((seconds - self.start).astype(np.float32), "SCALAR", FLOAT, bounds=True)
        for k, bone in enumerate(bones):
            rotation = Rotation.from_rotvec(turns[:, k])
            quaternions = _continuous((Rotation.from_matrix(Y_UP) * rotation if k == 0 else rotation).as_quat())
            at = places[0] if k == 0 else rest[k] - rest[parents[k]]
            node = {"name": names[k] + suffix, "translation": at.tolist(), "rotation": quaternions[0].tolist()}
            children = [first + child for child, parent in enumerate(parents) if parent == k]
            nodes.append(node | ({"children": children} if children else {}))
            if times is not None:
                self._animate(bone, "rotation", times, self._accessor(quaternions, "VEC4", FLOAT))
        if times is not None:
            self._animate(first, "translation", times, self._accessor(places, "VEC3", FLOAT))

    def _animate(self, node: int, path: str, times: int, values: int) -> None:
        self.channels.append({"sampler": len(self.samplers), "target": {"node": node, "path": path}})
        self.samplers.append({"input": times, "output": values})

    def to_bytes(self) -> bytes:
        """The file: header, JSON chunk padded with spaces, binary chunk (always a multiple of 4 long)."""
        content = self.json | {"buffers": [{"byteLength": len(self.binary)}]}
        if self.channels:
            content["animations"] = [{"name": "poses", "channels": self.channels, "samplers": self.samplers}]
        text = json.dumps(content, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(self.binary), b"BIN\0") + self.binary
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

    def _accessor(
        self, array: np.ndarray, kind: str, component: int, target: int | None = None, bounds: bool = False
    ) -> int:
        """Append the array to the binary part; returns the index of its accessor."""
        data = np.ascontiguousarray(array).tobytes()
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        self.json["bufferViews"].append(view | ({} if target is None else {"target": target}))
        self.binary += data + bytes(-len(data) % 4)
        number = len(self.json["bufferViews"]) - 1
        accessor = {"bufferView": number, "componentType": component, "count": len(array), "type": kind}
        if bounds:
            accessor |= {
                name: np.atleast_1d(f(array, axis=0)).tolist() for name, f in (("min", np.min), ("max", np.max))
            }
        self.json["accessors"].append(accessor)
        return len(self.json["accessors"]) - 1
