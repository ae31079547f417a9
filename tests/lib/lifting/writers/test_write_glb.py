import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from lib.joints import HUMAN36M_17
from lib.lifting.writers.glb import bone_mesh, write_glb
from tests.waving_person import make_sequence, walking

COMPONENTS = {5126: "<f4", 5123: "<u2", 5125: "<u4"}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
UP = np.array([1, -1, -1])


def read_glb(path):
    """Own reader of the container: the JSON part and a function from accessor index to array."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    assert size % 4 == 0
    content = json.loads(data[20 : 20 + size])
    binary_size, kind = struct.unpack_from("<I4s", data, 20 + size)
    assert kind == b"BIN\0"
    binary = data[28 + size :]
    assert len(binary) == binary_size == content["buffers"][0]["byteLength"]

    def accessor(index):
        entry = content["accessors"][index]
        view = content["bufferViews"][entry["bufferView"]]
        dtype, width = np.dtype(COMPONENTS[entry["componentType"]]), WIDTHS[entry["type"]]
        assert view["byteOffset"] % 4 == 0
        assert view["byteLength"] == entry["count"] * width * dtype.itemsize
        array = np.frombuffer(binary, dtype, entry["count"] * width, view["byteOffset"]).reshape(-1, width)
        if "min" in entry:
            np.testing.assert_array_equal(array.min(0), np.float32(entry["min"]))
            np.testing.assert_array_equal(array.max(0), np.float32(entry["max"]))
        return array

    return content, accessor


def skinned(content, accessor, name, seconds):
    """Vertices (R, 3) of a named object at a moment: animated joints, inverse bind matrices and weights by the book."""
    node = next(n for n in content["nodes"] if n["name"] == name)
    skin = content["skins"][node["skin"]]
    places = {j: np.array(content["nodes"][j]["translation"]) for j in skin["joints"]}
    for animation in content.get("animations", []):
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            assert channel["target"]["path"] == "translation"
            times, values = accessor(sampler["input"])[:, 0], accessor(sampler["output"])
            assert (np.diff(times) > 0).all()
            assert times[0] >= 0
            if channel["target"]["node"] in places:
                places[channel["target"]["node"]] = [np.interp(seconds, times, v) for v in values.T]
    matrices = accessor(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1).astype(float)
    matrices[:, :3, 3] += np.array([places[j] for j in skin["joints"]])
    attributes = content["meshes"][node["mesh"]]["primitives"][0]["attributes"]
    position = accessor(attributes["POSITION"])
    homogeneous = np.concatenate([position, np.ones((len(position), 1))], axis=1)
    moved = np.einsum("rkij,rj->rki", matrices[accessor(attributes["JOINTS_0"])], homogeneous)
    return np.einsum("rk,rki->ri", accessor(attributes["WEIGHTS_0"]), moved)[:, :3]


def test_skinning_by_the_specification_gives_the_mesh_of_every_frame(tmp_path):
    sequence = make_sequence(6, root=(0.5, 0.1, 4.0))
    write_glb(tmp_path / "a.glb", [sequence])
    content, accessor = read_glb(tmp_path / "a.glb")
    for t in range(6):
        got = skinned(content, accessor, "person_0_mesh", t / 24)
        np.testing.assert_allclose(got, (sequence.meshes[1][t] + [0.5, 0.1, 4.0]) * UP, atol=1e-5)
    primitive = content["meshes"][0]["primitives"][0]
    np.testing.assert_array_equal(accessor(primitive["indices"]).reshape(-1, 3), sequence.faces[1])


def test_skeleton_is_upright_with_the_right_wrist_at_negative_x(tmp_path):
    write_glb(tmp_path / "a.glb", [make_sequence(2, mesh=False)])
    content, accessor = read_glb(tmp_path / "a.glb")
    vertices = skinned(content, accessor, "person_0_skeleton", 0.0)
    np.testing.assert_allclose(vertices[vertices[:, 1].argmax()], [-0.33, 0.94, 0.06], atol=1e-6)
    assert [n["name"] for n in content["nodes"] if "mesh" in n] == ["person_0_skeleton"]


def test_one_frame_is_a_still_without_animation(tmp_path):
    sequence = make_sequence(1)
    write_glb(tmp_path / "a.glb", [sequence])
    content, accessor = read_glb(tmp_path / "a.glb")
    assert "animations" not in content
    np.testing.assert_allclose(skinned(content, accessor, "person_0_mesh", 0), sequence.meshes[1][0] * UP, atol=1e-6)


def test_person_who_comes_later_moves_later(tmp_path):
    first = make_sequence(4, 1, (-1, 0, 4))
    second = replace(make_sequence(3, 2, (1, 0, 4)), frames=np.array([2, 3, 5]))
    write_glb(tmp_path / "a.glb", [first, second])
    content, accessor = read_glb(tmp_path / "a.glb")
    got = skinned(content, accessor, "person_2_mesh", 5 / 24)
    np.testing.assert_allclose(got, (second.meshes[1][2] + [1, 0, 4]) * UP, atol=1e-5)
    roots = content["scenes"][0]["nodes"]
    assert len(roots) == len(set(roots)) == 8  # mesh and skeleton, each with its vertices, of two persons


def test_bones_have_volume_outward_normals_and_their_ends_at_the_joints():
    pose = walking(5)
    vertices, faces, colours = bone_mesh(pose, HUMAN36M_17)
    a, b, c = vertices[:, faces].transpose(2, 0, 1, 3)
    volume = np.einsum("tfi,tfi->t", a, np.cross(b, c)) / 6
    # two pyramids of base (0.02 sqrt(2))^2 over a length: (2 * 0.02^2) * length / 3 for every bone
    bones = np.array(HUMAN36M_17.bones)
    lengths = np.linalg.norm(pose[:, bones[:, 1]] - pose[:, bones[:, 0]], axis=-1).sum(1)
    assert volume == pytest.approx(2 * 0.02**2 * lengths / 3)
    np.testing.assert_array_equal(vertices[:, 5::6], pose[:, bones[:, 1]])
    assert colours.shape == (96, 3)
    right, left = colours[9 * 6], colours[6 * 6]  # forearms
    assert right[0] > right[2]  # reddish
    assert left[2] > left[0]  # bluish
