"""Every format of a body, read by others' libraries or by plain readers that share no code with the writers."""

import json
import os
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from lib.joints import SMPL_24
from lib.lifting.writers import write_poses
from lib.lifting.writers.body_motion import HUMANOID
from tests.lib.lifting.writers.test_write_body import in_camera, joint_places, posed_skin
from tests.plain import bvh, trc
from tests.waving_person import make_sequence

Y_UP = np.array([1, -1, -1])
FLOATS = {5126: "<f4", 5125: "<u4", 5123: "<u2", 5121: "u1"}


@pytest.fixture
def pygltflib():
    return pytest.importorskip("pygltflib", reason="needs pygltflib (sh requirements.sh)")


@pytest.fixture
def trimesh():
    return pytest.importorskip("trimesh", reason="needs trimesh (sh requirements.sh)")


def opened(pygltflib, path):
    """The file as pygltflib reads it: its JSON part, and a function from accessor index to array."""
    gltf = pygltflib.GLTF2().load(str(path))
    blob = gltf.binary_blob()
    widths = {pygltflib.SCALAR: 1, pygltflib.VEC3: 3, pygltflib.VEC4: 4, pygltflib.MAT4: 16}

    def accessor(index):
        entry = gltf.accessors[index]
        view = gltf.bufferViews[entry.bufferView]
        dtype = np.dtype(FLOATS[entry.componentType])
        assert (view.byteOffset + (entry.byteOffset or 0)) % dtype.itemsize == 0
        start = view.byteOffset + (entry.byteOffset or 0)
        return np.frombuffer(blob, dtype, entry.count * widths[entry.type], start).reshape(entry.count, -1)

    return gltf, json.loads(gltf.to_json()), accessor


def test_pygltflib_reads_a_valid_skin_whose_bind_pose_and_frames_are_the_bodys(pygltflib, sequence, tmp_path):
    write_poses(tmp_path / "a.glb", [sequence])
    gltf, content, accessor = opened(pygltflib, tmp_path / "a.glb")
    (skin,), (mesh,), body = gltf.skins, gltf.meshes, sequence.body
    attributes = mesh.primitives[0].attributes
    joints, weights = accessor(attributes.JOINTS_0), accessor(attributes.WEIGHTS_0)
    assert joints.shape == weights.shape == (len(body.model.v_template), 4)
    assert joints.max() < len(skin.joints) == len(body.model.parents)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert [gltf.nodes[j].name for j in skin.joints] == list(HUMANOID)

    # one tree: every bone but the root is the child of one bone, the root that of the person's node in the scene
    above = {child: index for index, node in enumerate(gltf.nodes) for child in node.children or []}
    number = {joint: k for k, joint in enumerate(skin.joints)}
    assert [number.get(above[j], -1) for j in skin.joints] == body.model.parents.tolist()
    assert gltf.nodes[above[skin.joints[0]]].name == "person_0"
    assert above[skin.joints[0]] in gltf.scenes[gltf.scene].nodes

    # the inverse bind matrices undo the joints' places at rest
    inverse = accessor(skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    at_rest = np.tile(np.eye(4), (len(inverse), 1, 1))
    at_rest[:, :3, 3] = body.rest_joints
    np.testing.assert_allclose(inverse @ at_rest, np.tile(np.eye(4), (len(inverse), 1, 1)), atol=1e-6)

    whole = in_camera(sequence) * Y_UP
    for t in range(len(whole)):
        np.testing.assert_allclose(posed_skin(content, accessor, t / sequence.fps), whole[t], atol=1e-4)


def test_trimesh_reads_the_skin_of_a_glb_file_as_one_closed_surface(trimesh, sequence, tmp_path):
    write_poses(tmp_path / "a.glb", [sequence])
    (mesh,) = trimesh.load(tmp_path / "a.glb", process=False).geometry.values()
    np.testing.assert_allclose(mesh.vertices, sequence.body.rest_vertices, atol=1e-6)
    np.testing.assert_array_equal(mesh.faces, sequence.body.model.faces)
    assert mesh.is_watertight
    assert mesh.volume > 0  # faces point outwards


def test_trimesh_reads_the_coarse_mesh_and_the_skeleton_of_a_glb_file(trimesh, tmp_path):
    write_poses(tmp_path / "a.glb", [make_sequence(4)])
    geometry = trimesh.load(tmp_path / "a.glb", process=False).geometry
    assert sorted(geometry) == ["person_0_mesh", "person_0_skeleton"]
    np.testing.assert_allclose(geometry["person_0_mesh"].vertices, make_sequence(4).meshes[1][0] * Y_UP, atol=1e-6)


@pytest.mark.parametrize("mesh", ["coarse", "body"])
def test_trimesh_reads_every_frame_of_an_obj_sequence(trimesh, sequence, tmp_path, mesh):
    coarse = make_sequence(len(sequence.frames))
    shown = replace(sequence, meshes=coarse.meshes, faces=coarse.faces)
    written = write_poses(tmp_path / "a.obj", [shown], mesh=mesh)
    assert len(written) == len(sequence.frames)
    place = sequence.root[:, None]
    wanted = in_camera(sequence) if mesh == "body" else coarse.meshes[1] + place
    for t in (0, 5):
        read = trimesh.load(written[t], process=False, maintain_order=True)
        np.testing.assert_allclose(read.vertices, wanted[t] * Y_UP, atol=1e-5)
        np.testing.assert_array_equal(read.faces, sequence.body.model.faces if mesh == "body" else coarse.faces[1])


NODE = shutil.which("node")
VALIDATE = """
const validator = require("gltf-validator"), fs = require("fs");
const bytes = new Uint8Array(fs.readFileSync(process.argv[1]));
validator.validateBytes(bytes).then((report) => console.log(JSON.stringify(report.issues)));
"""


def khronos_validator_is_there() -> bool:
    return (
        NODE is not None
        and not subprocess.run([NODE, "-e", 'require("gltf-validator")'], capture_output=True).returncode
    )


@pytest.mark.parametrize("mesh", ["coarse", "body"])
def test_khronos_validator_finds_nothing_in_a_glb_file(sequence, tmp_path, mesh):
    if not khronos_validator_is_there():
        pytest.skip("needs node and gltf-validator (npm install gltf-validator; NODE_PATH names its node_modules)")
    coarse = make_sequence(len(sequence.frames))
    shown = replace(sequence, meshes=coarse.meshes, faces=coarse.faces)
    write_poses(tmp_path / "a.glb", [shown, replace(shown, person=4)], mesh=mesh)
    command = [NODE, "-e", VALIDATE, str(tmp_path / "a.glb")]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    issues = json.loads(result.stdout)
    assert [issues[kind] for kind in ("numErrors", "numWarnings", "numInfos", "numHints")] == [0, 0, 0, 0], issues


def test_a_plain_bvh_reader_finds_every_joint_of_the_body_and_constant_bones(sequence, tmp_path):
    (path,) = write_poses(tmp_path / "a.bvh", [sequence])
    clip = bvh.read(path)
    assert clip.frame_time == pytest.approx(1 / sequence.fps, rel=1e-6)
    assert sorted(joint.name for joint in clip.joints if joint.channels) == sorted(SMPL_24.names)
    parents = {joint.name: joint.parent.name for joint in clip.joints if joint.parent is not None}
    for name, parent in zip(SMPL_24.names, sequence.body.model.parents.tolist(), strict=True):
        assert parent < 0 or parents[name] == SMPL_24.names[parent]
    places = joint_places(sequence.body, sequence.body.transl + sequence.root) * Y_UP
    found = clip.positions()
    for k, name in enumerate(SMPL_24.names):
        np.testing.assert_allclose(found[name] / 100, places[:, k], atol=2e-5)


def test_a_plain_bvh_reader_finds_the_rotations_of_the_body(sequence, tmp_path):
    from scipy.spatial.transform import Rotation

    (path,) = write_poses(tmp_path / "a.bvh", [sequence])
    worlds = bvh.read(path).worlds()
    pose = sequence.body.pose.reshape(len(sequence.frames), -1, 3)
    for child, parent in (("L_Knee", "L_Hip"), ("R_Elbow", "R_Shoulder"), ("Spine2", "Spine1")):
        relative = np.linalg.inv(worlds[parent]) @ worlds[child]
        wanted = Rotation.from_rotvec(pose[:, SMPL_24.names.index(child)]).as_matrix()
        np.testing.assert_allclose(relative[:, :3, :3], wanted, atol=1e-5)


@pytest.mark.parametrize("fps", [24.0, 23.976, 120.0])
def test_a_strict_reader_finds_the_joints_in_a_trc_file(tmp_path, fps):
    people = [replace(make_sequence(6, number, (number, 0, 4.0)), fps=fps) for number in (0, 3)]
    written = write_poses(tmp_path / "a.trc", [person.rows([0, 1, 3, 4, 5]) for person in people])
    assert len(written) == 2
    for path, person in zip(written, people, strict=True):
        markers = trc.read(path)
        assert markers.names == list(person.joint_set.names)
        assert markers.rate == pytest.approx(fps)
        wanted = (person.pose3d + person.root[:, None]) * Y_UP
        np.testing.assert_allclose(markers.points[[0, 1, 3, 4, 5]], wanted[[0, 1, 3, 4, 5]], atol=1e-5)
        np.testing.assert_allclose(markers.points[2], (wanted[1] + wanted[3]) / 2, atol=2e-5)
