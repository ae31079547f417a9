"""Files that hold a fitted body, read back by other readers than the code that wrote them."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from data.AMASS.motion import read_motion
from data.Mocap.bvh import read_bvh
from data.Mocap.skeleton import forward_kinematics
from lib.errors import UserError
from lib.joints import SMPL_24
from lib.lifting.joint_angles import joint_angles
from lib.lifting.writers import write_poses
from lib.lifting.writers.surface import vertex_normals
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer
from tests.lib.lifting.writers.test_write_glb import read_glb
from tests.waving_person import make_sequence

T, K = 7, 24
AMASS_AXES = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # right, forward, up


def vertices(model, pose, betas, transl):
    """(T, V, 3) by the plain layer."""
    betas = np.tile(betas, (len(pose), 1))
    return SMPL_Layer(model, torch.float64)(*map(torch.as_tensor, (pose, betas, transl)))[0].numpy()


def in_camera(sequence):
    """(T, V, 3) metres, camera axes, absolute."""
    body = sequence.body
    return vertices(body.model, body.pose, body.betas, body.transl + sequence.root)


def test_an_amass_file_comes_back_through_the_importer_with_the_same_surface(sequence, model, tmp_path):
    assert write_poses(tmp_path / "walk_poses.npz", [sequence]) == [tmp_path / "walk_poses.npz"]
    motion = read_motion(tmp_path / "walk_poses.npz", 30.0)
    assert (motion.rate, motion.gender, motion.model) == (30.0, "neutral", "smplh")
    np.testing.assert_array_equal(motion.betas, sequence.body.betas)
    np.testing.assert_array_equal(motion.pose[:, 3:], sequence.body.pose[:, 3:])  # bit for bit
    with np.load(tmp_path / "walk_poses.npz") as z:
        np.testing.assert_array_equal(motion.pose[:, :66], z["poses"][:, :66])
        np.testing.assert_array_equal(motion.trans, z["trans"])
    again = vertices(model, motion.pose, motion.betas, motion.trans)
    np.testing.assert_allclose(again, in_camera(sequence) @ AMASS_AXES.T, atol=1e-9)


def test_amass_files_have_the_keys_and_widths_of_the_data_set(sequence, tmp_path):
    write_poses(tmp_path / "walk_poses.npz", [sequence])
    with np.load(tmp_path / "walk_poses.npz") as z:
        shapes = {name: z[name].shape for name in z.files}
        assert float(z["mocap_framerate"]) == 30.0
        assert str(z["gender"]) == "neutral"
    assert shapes == {
        "poses": (T, 156), "betas": (16,), "trans": (T, 3), "dmpls": (T, 8), "gender": (), "mocap_framerate": ()
    }  # fmt: skip


def test_each_person_has_an_amass_file_and_missing_frames_are_turned_through(sequence, tmp_path):
    gap = sequence.rows([0, 1, 3, 4])
    written = write_poses(tmp_path / "x_poses.npz", [gap, replace(sequence, person=4)])
    assert [p.name for p in written] == ["x_person_0_poses.npz", "x_person_4_poses.npz"]
    motion = read_motion(written[0], 30.0)
    assert len(motion.pose) == 5
    a, middle, b = (Rotation.from_rotvec(motion.pose[t, 3:6]) for t in (1, 2, 3))
    assert (a.inv() * middle).magnitude() == pytest.approx((a.inv() * b).magnitude() / 2)
    np.testing.assert_allclose(motion.trans[2], (motion.trans[1] + motion.trans[3]) / 2)


def test_a_format_for_bodies_needs_a_body(sequence, tmp_path):
    with pytest.raises(UserError, match=r"x_poses.npz: this format holds a fitted body; add --fit-body"):
        write_poses(tmp_path / "x_poses.npz", [replace(sequence, body=None)])
    assert not list(tmp_path.iterdir())
    write_poses(tmp_path / "poses.npz", [replace(sequence, body=None)])
    with np.load(tmp_path / "poses.npz") as z:
        assert "pose3d" in z.files


def test_a_bvh_file_has_the_bodys_bones_and_puts_every_joint_where_it_is(sequence, tmp_path):
    write_poses(tmp_path / "a.bvh", [sequence])
    clip = read_bvh(tmp_path / "a.bvh")
    positions, _ = forward_kinematics(clip)
    body = sequence.body
    places = joint_places(body, body.transl + sequence.root) @ np.diag([1, -1, -1]) * 100
    assert clip.fps == pytest.approx(sequence.fps, rel=1e-5)
    for k, name in enumerate(SMPL_24.names):
        np.testing.assert_allclose(positions[:, clip.skeleton.names.index(name)], places[:, k], atol=2e-3)


def joint_places(body, transl):
    """(T, K, 3) metres, by the plain layer."""
    betas = np.tile(body.betas, (len(body.pose), 1))
    return SMPL_Layer(body.model, torch.float64)(*map(torch.as_tensor, (body.pose, betas, transl)))[1].numpy()


def test_a_glb_file_has_the_whole_skin_and_poses_it_as_the_body(sequence, tmp_path):
    write_poses(tmp_path / "a.glb", [sequence])
    content, accessor = read_glb(tmp_path / "a.glb")
    (mesh,) = content["meshes"]
    attributes = mesh["primitives"][0]["attributes"]
    weights, joints = accessor(attributes["WEIGHTS_0"]), accessor(attributes["JOINTS_0"])
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert joints.max() < K
    np.testing.assert_allclose(np.linalg.norm(accessor(attributes["NORMAL"]), axis=1), 1, atol=1e-5)
    whole = in_camera(sequence) @ np.diag([1, -1, -1])
    for t in (0, 3, T - 1):
        np.testing.assert_allclose(posed_skin(content, accessor, t / sequence.fps), whole[t], atol=1e-4)


def posed_skin(content, accessor, seconds):
    """Vertices (V, 3) of the only skin at a moment, by glTF's rules."""
    nodes = [dict(node) for node in content["nodes"]]
    (animation,) = content["animations"]
    for channel in animation["channels"]:
        sampler, target = animation["samplers"][channel["sampler"]], channel["target"]
        times, values = accessor(sampler["input"])[:, 0], accessor(sampler["output"])
        nodes[target["node"]][target["path"]] = values[np.abs(times - seconds).argmin()]
    world = {}

    def place(index, above):
        node, own = nodes[index], np.eye(4)
        own[:3, :3] = Rotation.from_quat(node.get("rotation", [0, 0, 0, 1])).as_matrix()
        own[:3, 3] = node.get("translation", [0, 0, 0])
        world[index] = above @ own
        for child in node.get("children", []):
            place(child, world[index])

    for index in content["scenes"][0]["nodes"]:
        place(index, np.eye(4))
    (skin,) = content["skins"]
    inverse = accessor(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
    matrices = np.stack([world[j] for j in skin["joints"]]) @ inverse
    attributes = content["meshes"][0]["primitives"][0]["attributes"]
    joints, weights = accessor(attributes["JOINTS_0"]), accessor(attributes["WEIGHTS_0"])
    points = accessor(attributes["POSITION"])
    blended = np.einsum("vn,vnij->vij", weights, matrices[joints])
    return np.einsum("vij,vj->vi", blended[:, :3, :3], points) + blended[:, :3, 3]


def test_bones_are_named_as_other_programs_name_them_and_apart_for_several_people(sequence, tmp_path):
    write_poses(tmp_path / "a.glb", [sequence])
    names = [node["name"] for node in read_glb(tmp_path / "a.glb")[0]["nodes"]]
    assert {"hips", "leftUpperLeg", "rightLowerArm", "head", "person_0_body"} <= set(names)
    write_poses(tmp_path / "b.glb", [sequence, replace(sequence, person=1)])
    names = [node["name"] for node in read_glb(tmp_path / "b.glb")[0]["nodes"]]
    assert len(names) == len(set(names)) == 2 * (K + 2)


def test_one_frame_of_a_body_is_a_still_skin(sequence, tmp_path):
    write_poses(tmp_path / "a.glb", [sequence.rows([2])])
    content, _ = read_glb(tmp_path / "a.glb")
    assert "animations" not in content


def test_normals_point_outwards(model):
    normals = vertex_normals(model.v_template, model.faces)
    head = model.v_template[:, 1] > 0.4
    outwards = model.v_template[head] - model.v_template[head].mean(0)
    assert ((normals[head] * outwards).sum(1) > 0).mean() > 0.95


def test_angles_are_written_with_their_names_units_and_times(sequence, tmp_path):
    write_poses(tmp_path / "a_angles.csv", [sequence.rows([0, 2]), replace(sequence, person=1)])
    with open(tmp_path / "a_angles.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["person"], row["frame"]) for row in rows[:3]] == [("0", "0"), ("0", "2"), ("1", "0")]
    assert float(rows[1]["time_s"]) == pytest.approx(2 / 30, abs=1e-4)
    angles = joint_angles(sequence.body.pose)
    assert {f"{name}_deg" for name in angles} == set(rows[0]) - {"person", "frame", "time_s"}
    assert float(rows[1]["L_knee_flexion_deg"]) == pytest.approx(angles["L_knee_flexion"][2], abs=0.01)


def test_markers_are_written_in_the_layout_that_opensim_reads(tmp_path):
    sequence = make_sequence(6).rows([0, 1, 3, 4])
    write_poses(tmp_path / "a.trc", [sequence])
    lines = [line.split("\t") for line in (tmp_path / "a.trc").read_text().splitlines()]
    assert lines[0] == ["PathFileType", "4", "(X/Y/Z)", "a.trc"]
    header = dict(zip(lines[1], lines[2], strict=True))
    assert (header["NumFrames"], header["NumMarkers"], header["Units"]) == ("5", "17", "m")
    assert float(header["DataRate"]) == sequence.fps
    assert lines[3][:6] == ["Frame#", "Time", "Pelvis", "", "", "R_Hip"]
    assert lines[4][:5] == ["", "", "X1", "Y1", "Z1"]
    assert lines[5] == [""]
    values = np.array(lines[6:], float)
    assert values.shape == (5, 2 + 3 * 17)
    np.testing.assert_allclose(values[:, 0], np.arange(1, 6))
    np.testing.assert_allclose(values[:, 1], np.arange(5) / sequence.fps, atol=1e-5)
    markers = values[:, 2:].reshape(5, 17, 3)
    place = 0 if sequence.root is None else sequence.root[:, None]
    np.testing.assert_allclose(markers[[0, 1, 3, 4]], (sequence.pose3d + place) * [1, -1, -1], atol=1e-5)
    np.testing.assert_allclose(markers[2], (markers[1] + markers[3]) / 2, atol=2e-5)


def test_a_person_who_sits_has_the_angles_that_a_goniometer_reads(sequence, tmp_path):
    """Worked example: hips bent by 80 degrees, the left knee by 90, the right one by 60, elbows by 30, in camera axes; the
    angles between thighs, shanks and forearms of the posed body are measured with vectors alone."""
    turns = {"L_Hip": ("x", -80), "R_Hip": ("x", -80), "L_Knee": ("x", 90), "R_Knee": ("x", 60)}
    turns |= {"L_Elbow": ("y", -30), "R_Elbow": ("y", 30)}
    pose = np.zeros((1, K, 3))
    pose[0, 0] = Rotation.from_euler("xyz", [180, 25, 0], degrees=True).as_rotvec()
    for name, (axis, degrees) in turns.items():
        pose[0, SMPL_24.names.index(name)] = Rotation.from_euler(axis, degrees, degrees=True).as_rotvec()
    one = sequence.rows([0])
    body = replace(one.body, pose=pose.reshape(1, -1), betas=0 * one.body.betas)
    write_poses(tmp_path / "a_angles.csv", [replace(one, body=body)])
    with open(tmp_path / "a_angles.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    angles = {name: float(value) for name, value in row.items() if name.endswith("_deg")}
    want = {"L_hip_flexion": 80, "R_hip_flexion": 80, "L_knee_flexion": 90, "R_knee_flexion": 60}
    want |= {"L_elbow_flexion": 30, "R_elbow_flexion": 30, "L_hip_adduction": 0, "L_ankle_dorsiflexion": 0}
    want |= {"trunk_flexion": 0, "L_shoulder_elevation": 90}
    assert {name: angles[f"{name}_deg"] for name in want} == pytest.approx(want, abs=0.01)

    rest, places = body.rest_joints, joint_places(body, body.transl)[0]

    def along(points, start, end):
        bone = points[SMPL_24.names.index(end)] - points[SMPL_24.names.index(start)]
        return bone / np.linalg.norm(bone)

    def bend(points, *names):
        """Degrees between two bones that meet."""
        return np.degrees(np.arccos(along(points, *names[:2]) @ along(points, *names[1:])))

    for side in "LR":
        for chain, name in (("Hip Knee Ankle", "knee"), ("Shoulder Elbow Wrist", "elbow")):
            names = [f"{side}_{part}" for part in chain.split()]
            straight = bend(rest, *names)
            assert bend(places, *names) == pytest.approx(angles[f"{side}_{name}_flexion_deg"], abs=straight + 0.01)
            assert straight < 1.5
    trunk = along(places, "Pelvis", "Neck")
    assert np.degrees(np.arccos(-trunk @ along(places, "L_Hip", "L_Knee"))) == pytest.approx(80, abs=2)
