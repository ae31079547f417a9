import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from bodies import tiny_body

import data.Synthetic.generate as generate_module
from data.Human36M.dataset import ACTION_NAMES, SPLITS
from data.Synthetic.generate import MARKER, generate, person
from data.Synthetic.kinematics import FRAME_RATE, Skeleton, two_bone_ik
from data.Synthetic.motions import ACTIONS, motion
from lib.camera import camera_to_pixel, world_to_camera
from lib.errors import UserError
from lib.joints import HUMAN36M_17, SMPL_24
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix, forward_kinematics
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer

SUBJECTS = (*SPLITS["train"].subjects, *SPLITS["test"].subjects)
SMALL = {"train_frames": 4, "test_frames": 10, "subactions": 1, "progress": False}
FEW = {**SMALL, "train_frames": 1, "test_frames": 1}
ANKLES = [SMPL_24.names.index("L_Ankle"), SMPL_24.names.index("R_Ankle")]


@pytest.fixture(scope="module")
def body():
    return tiny_body()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("synthetic") / "annotations"
    generate(path, body, **SMALL)
    return path


@pytest.fixture(scope="module")
def clips(body):
    """(action, pose (T, 24, 3), joints (T, 24, 3) metres at 50 Hz) of three motions of every action."""
    rest = body.J_regressor @ body.v_template
    skeleton = Skeleton(rest, float(body.v_template[:, 1].min()))
    result = []
    for action in ACTIONS:
        for draw in range(3):
            pose, transl = motion(action, 120, skeleton, np.random.default_rng([draw, len(action)]))
            rotations = axis_angle_to_matrix(torch.as_tensor(pose))
            rests = torch.as_tensor(rest).expand(len(pose), -1, -1)
            joints, _ = forward_kinematics(rotations, rests, body.parents.tolist())
            result.append((action, pose, joints.numpy() + transl[:, None]))
    return result


def read(folder, subject, part):
    return json.loads((folder / f"Human36M_subject{subject}_{part}.json").read_text())


def parameters(folder, subject):
    """pose (N, 72), betas (N, 10), transl (N, 3) and joints (N, 17, 3) of all frames of a subject."""
    rows, joints = [], []
    joint_3d = read(folder, subject, "joint_3d")
    for action, motions in read(folder, subject, "smpl_param").items():
        for subaction, frames in motions.items():
            for frame, row in frames.items():
                rows.append((row["pose"], row["shape"], row["trans"]))
                joints.append(joint_3d[action][subaction][frame])
    return *(np.array(part) for part in zip(*rows, strict=True)), np.array(joints)


def vertices(body, pose, betas, transl):
    layer = SMPL_Layer(body, torch.float64)
    return layer(*(torch.as_tensor(x) for x in (pose, betas, transl)))[0].numpy()


def test_tiny_body_is_one_closed_surface(body):
    edges = np.concatenate([body.faces[:, [0, 1]], body.faces[:, [1, 2]], body.faces[:, [2, 0]]])
    directed = set(map(tuple, edges.tolist()))
    assert len(directed) == len(edges)
    assert all((b, a) in directed for a, b in directed)
    assert len(body.v_template) - len(edges) // 2 + len(body.faces) == 2  # Euler: one surface without holes
    assert len(body.v_template) > 600
    for weights in (body.J_regressor, body.joint_regressor, body.lbs_weights):
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(1), 1)


def test_actions_are_those_of_human36m_in_its_order():
    assert tuple(ACTIONS) == ACTION_NAMES


def test_all_subjects_have_every_action_and_frame_in_coco_style(folder):
    for subject in SUBJECTS:
        data = read(folder, subject, "data")
        frames = SMALL["train_frames" if subject in SPLITS["train"].subjects else "test_frames"]
        images = {image["id"]: image for image in data["images"]}
        assert len(images) == len(data["images"]) == 15 * 4 * frames
        assert [a["image_id"] for a in data["annotations"]] == list(images)
        assert {i["frame_idx"] for i in images.values()} == {5 * (k + 1) for k in range(frames)}
        assert {(i["action_idx"], i["action_name"]) for i in images.values()} == set(enumerate(ACTION_NAMES, start=2))
        assert {i["cam_idx"] for i in images.values()} == {int(c) for c in read(folder, subject, "camera")}
        assert all(a["bbox"][2] > 0 and a["bbox"][3] > 0 for a in data["annotations"])


def test_every_subject_is_another_person_within_the_shape_limit(body):
    betas = np.array([person(subject, body, 0) for subject in SUBJECTS])
    assert np.abs(betas).max() < 2
    assert min(np.abs(a - b).max() for i, a in enumerate(betas) for b in betas[:i]) > 0.1


def test_joints_are_regressed_from_the_mesh_of_the_written_parameters(folder, body):
    pose, betas, transl, joints = parameters(folder, 9)
    expected = 1000 * (body.joint_regressor @ vertices(body, pose, betas, transl))
    assert np.abs(joints - expected).max() <= 0.00051  # mm: half of the last written digit


def test_lowest_vertex_is_on_the_floor(folder, body):
    pose, betas, transl, _ = parameters(folder, 11)
    assert np.abs(vertices(body, pose, betas, transl)[..., 2].min(1)).max() < 1e-5


def test_person_stands_upright_in_the_picture_with_the_left_side_left(folder):
    """In pictures y points down, and who looks into the camera has the left shoulder further right."""
    at = {name: k for k, name in enumerate(HUMAN36M_17.names)}
    joints = read(folder, 1, "joint_3d")[str(2 + ACTION_NAMES.index("Photo"))]["1"]["5"]
    checked = 0
    for camera in read(folder, 1, "camera").values():
        R, t, f, c = (np.array(camera[k]) for k in "Rtfc")
        space = world_to_camera(np.array(joints), R, t)
        pixels = camera_to_pixel(space, f, c)
        assert pixels[at["Head"], 1] < pixels[at["Pelvis"], 1] < pixels[at["L_Ankle"], 1]
        hands = (space[at["L_Wrist"], 2] + space[at["R_Wrist"], 2]) / 2  # they hold a camera before the face
        towards = space[at["Neck"], 2] - hands
        if abs(towards) > 100:
            assert np.sign(pixels[at["L_Shoulder"], 0] - pixels[at["R_Shoulder"], 0]) == np.sign(towards)
            checked += 1
    assert checked


def test_knees_and_elbows_bend_one_way_only(clips):
    """Knees about +X; elbows forwards: the left about -Y, the right about +Y."""
    hinges = {"L_Knee": (1, 0, 0), "R_Knee": (1, 0, 0), "L_Elbow": (0, -1, 0), "R_Elbow": (0, 1, 0)}
    for _, pose, _ in clips:
        for name, axis in hinges.items():
            rotation = pose[:, SMPL_24.names.index(name)]
            flexion = rotation @ np.array(axis, float)
            assert flexion.min() > 0
            assert flexion.max() < np.deg2rad(150)
            np.testing.assert_allclose(rotation, flexion[:, None] * axis, atol=1e-12)


def test_no_joint_is_faster_than_a_person_moves(clips):
    for action, _, joints in clips:
        speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1) * FRAME_RATE
        assert speed.max() < 8, action


def test_one_foot_rests_while_walking(clips):
    for action, _, joints in clips:
        speed = np.linalg.norm(np.diff(joints[:, ANKLES], axis=0), axis=-1) * FRAME_RATE
        if action == "Walking":
            assert np.median(speed.min(1)) < 0.1
            assert np.quantile(speed.max(1), 0.9) > 1.5
        elif action in ("Directions", "Greeting", "Posing"):
            assert speed.max() < 0.1


def test_everybody_stays_in_the_capture_space(clips):
    for action, _, joints in clips:
        assert np.abs(joints[..., :2]).max() < 2.6, action
        assert -0.05 < joints[..., 2].min() < 0.2, action


def test_sitting_is_low_and_walking_is_not(clips):
    height = {name: [] for name in ACTIONS}
    for action, _, joints in clips:
        height[action].append(joints[:, 0, 2].mean())
    assert max(height["Sitting"]) < 0.65 < 0.75 < min(height["Walking"])


def test_poses_and_directions_vary(folder):
    """Root-relative joints spread by more than 100 mm on average, and people face all four quarters."""
    joints = np.concatenate([parameters(folder, subject)[3] for subject in SUBJECTS])
    assert (joints - joints[:, :1]).std(0)[1:].mean() > 100
    across = joints[:, 4, :2] - joints[:, 1, :2]
    quarters = np.histogram(np.arctan2(across[:, 1], across[:, 0]), bins=4, range=(-np.pi, np.pi))[0]
    assert quarters.min() > 0.1 * len(joints)


@pytest.mark.slow
def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, body):
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        generate(tmp_path / name, body, **FEW, seed=seed)
    files = sorted(p.name for p in (tmp_path / "first").iterdir())
    assert len(files) == 4 * 7 + 1
    for name in files:
        first, again, other = ((tmp_path / made / name).read_bytes() for made in ("first", "again", "other"))
        assert first == again
        assert first != other


def stopped_after(subjects):
    """A write_subject that is interrupted when it has written this many subjects."""
    written = []

    def write(*args):
        if len(written) == subjects:
            raise KeyboardInterrupt
        written.append(args)
        return write_subject(*args)

    write_subject = generate_module.write_subject
    return write


@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["interrupted", "killed"])
def test_an_interruption_leaves_no_folder_that_looks_complete(tmp_path, body, monkeypatch, killed):
    path = tmp_path / "data" / "annotations"
    with monkeypatch.context() as patch:
        patch.setattr(generate_module, "write_subject", stopped_after(2))
        if killed:  # nothing gets tidied up
            patch.setattr(generate_module.shutil, "rmtree", lambda *args, **kwargs: None)
        with pytest.raises(KeyboardInterrupt):
            generate(path, body, **FEW)
    assert not path.exists()
    assert len(list(path.parent.iterdir())) == killed
    generate(path, body, **FEW)
    assert (path / MARKER).is_file()


@pytest.mark.slow
def test_a_complete_folder_is_kept_and_one_of_other_arguments_replaced(tmp_path, body, monkeypatch):
    generate(tmp_path / "a", body, **FEW)
    before = (tmp_path / "a" / MARKER).stat()
    with monkeypatch.context() as patch:
        patch.setattr(generate_module, "write_subject", stopped_after(0))
        generate(tmp_path / "a", body, **FEW)
    assert (tmp_path / "a" / MARKER).stat() == before
    generate(tmp_path / "a", body, **FEW, seed=3)
    assert json.loads((tmp_path / "a" / MARKER).read_text())["seed"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_files_of_another_origin_are_never_touched(tmp_path, body):
    licensed = tmp_path / "Human36M_subject1_data.json"
    licensed.write_text("{}")
    with pytest.raises(UserError, match=MARKER):
        generate(tmp_path, body, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == [licensed.name]
    assert licensed.read_text() == "{}"


def test_body_without_human36m_regressor_is_refused(tmp_path, body):
    with pytest.raises(UserError, match="regressor"):
        generate(tmp_path / "a", replace(body, joint_regressor=None), **SMALL)
    assert not (tmp_path / "a").exists()


def test_two_bone_ik_reaches_the_target_by_a_right_angle():
    """Bones of 3 and 4 along -Y reach a point 5 away with a right angle between them (3-4-5 triangle)."""
    upper, lower = np.array([0.0, -3, 0]), np.array([0.0, -4, 0])
    target = np.array([[0.0, -3, 4]])
    first, hinge = two_bone_ik(upper, lower, np.array([1.0, 0, 0]), target, np.array([[0.0, 1, 1]]))
    np.testing.assert_allclose(first.apply(upper + hinge.apply(lower)), target, atol=1e-12)
    np.testing.assert_allclose(hinge.magnitude(), np.pi / 2)
    # The knee is on the pole's side: 9/5 along the target and 12/5 up and forwards, (0, 12/5 * 4/5, 12/5 * 3/5).
    np.testing.assert_allclose(first.apply(upper), [[0, -27 / 25 + 48 / 25, 36 / 25 + 36 / 25]], atol=1e-12)
