from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from data import build_table
from data.body_joints import BodyJoints
from data.check import check
from data.ThreeDPW.dataset import ThreeDPWSource, three_dpw, vertical
from lib.camera import camera_to_pixel
from lib.config import DatasetConfig, load_config
from lib.errors import UserError
from lib.joints import HUMAN36M_17
from tests.bodies import builtin_body, tiny_body
from tests.field_files import sequence_3dpw, write_3dpw
from tests.plain.smpl import plain_smpl

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def content():
    return sequence_3dpw(frames=8)


@pytest.fixture
def make(tmp_path, content):
    def make(**options):
        write_3dpw(tmp_path / "3DPW" / "sequenceFiles" / "test" / "made_up_00.pkl", content)
        return ThreeDPWSource(tmp_path / "3DPW", BodyJoints(tiny_body(), tmp_path), **options)

    return make


def test_joints_are_smpls_with_root_and_translation_turned_into_the_camera(make, content):
    body = tiny_body()
    chunks = list(make().chunks("test", progress=False))
    assert [c.sequence_names for c in chunks] == [("made_up_00 actor 0",), ("made_up_00 actor 1",)]
    for i, chunk in enumerate(chunks):
        row = 5
        frame = chunk.frames[row]
        R, t = content["cam_poses"][frame, :3, :3], content["cam_poses"][frame, :3, 3]
        rotations = Rotation.from_rotvec(content["poses"][i][frame].reshape(-1, 3)).as_matrix()
        rotations[0] = R @ rotations[0]
        vertices, posed = plain_smpl(body, rotations, content["betas"][i][:10])
        J0 = posed[0]
        vertices = vertices + R @ (content["trans"][i][frame] + J0) + t - J0
        expected = 1000 * body.joint_regressor @ vertices
        np.testing.assert_allclose(chunk.joints[row], expected, atol=1e-6)
        K = content["cam_intrinsics"]
        pixel = K @ expected[3] / expected[3, 2]
        np.testing.assert_allclose(chunk.pixels[row, 3], pixel[:2], atol=1e-6)


def test_frames_with_a_wrong_camera_are_no_samples(make, content):
    for i, chunk in enumerate(make().chunks("test", progress=False)):
        assert chunk.frames.tolist() == np.flatnonzero(content["campose_valid"][i]).tolist()
        np.testing.assert_array_equal(chunk.smpl.frame, np.arange(7))
        assert len(set(chunk.names)) == 7


@pytest.mark.parametrize("up", [(0, 1, 0), (0, 0, 1), (0, -1, 0)])
def test_the_vertical_is_the_axis_of_the_world_along_which_people_stand(up):
    world = np.random.default_rng(0).normal(0, 300, (50, 17, 3))
    world[:, HUMAN36M_17.names.index("Neck")] += 1400 * np.array(up)
    assert vertical(world) == up


def test_the_table_knows_the_vertical_of_a_world_whose_y_points_up(tmp_path, content):
    content["poses"] = [0 * poses for poses in content["poses"]]
    write_3dpw(tmp_path / "3DPW" / "sequenceFiles" / "test" / "made_up_00.pkl", content)
    cfg = load_config(ROOT / "asset" / "yaml" / "HGN_3dpw_test.yml", {"DATASET.data_dir": str(tmp_path)})
    table = build_table(cfg, "3DPW", "test", builtin_body())
    np.testing.assert_allclose(table.up, np.tile([0, -1, 0], (len(table), 1)), atol=1e-6)


def test_frames_behind_the_camera_are_dropped_and_counted(make, content):
    content["cam_poses"][2, 2, 3] = -8
    for chunk in make().chunks("test", progress=False):
        assert 2 not in chunk.frames
        assert any("dropped 1 frames behind the camera" in note for note in chunk.notes)


def test_openpose_joints_are_the_input_and_frames_without_are_dropped_and_counted(make, content):
    content["poses2d"][0][4] = 0
    chunk, _ = make(detections="openpose").chunks("test", progress=False)
    assert 4 not in chunk.frames
    assert "3DPW test: 1 of the 24 published sequences" in chunk.notes
    assert "dropped 1 frames in which OpenPose found too few joints" in chunk.notes[1]
    ankle = content["poses2d"][0][chunk.frames][:, :2, 10]  # right, among OpenPose's 18
    np.testing.assert_array_equal(chunk.pixels[:, 3], ankle)
    projected = camera_to_pixel(chunk.joints, chunk.camera[:, :2], chunk.camera[:, 2:])
    assert np.abs(projected[:, 3] - ankle).max() > 10
    assert make(detections="openpose").input2d == "detected (openpose)"


def test_each_split_has_a_folder_of_its_own(make, tmp_path):
    for split, frames in (("train", 5), ("validation", 6)):
        path = tmp_path / "3DPW" / "sequenceFiles" / split / f"{split}_00.pkl"
        write_3dpw(path, sequence_3dpw(frames, people=1))
    source = make()
    names = {split: {c.sequence_names for c in source.chunks(split, progress=False)} for split in source.parts}
    assert names == {
        "train": {("train_00 actor 0",)},
        "validation": {("validation_00 actor 0",)},
        "test": {("made_up_00 actor 0",), ("made_up_00 actor 1",)},
    }
    chunk = next(source.chunks("validation", progress=False))
    assert "3DPW validation: 1 of the 12 published sequences" in chunk.notes


def test_a_data_set_without_a_validation_split_is_named(tmp_path):
    names = {
        "DATASET.train_list": ["3DPW"],
        "DATASET.test_list": ["3DPW", "MPIINF3DHP"],
        "DATASET.test_split": "validation",
    }
    overrides = {"DATASET.data_dir": str(tmp_path), **names}
    cfg = load_config(ROOT / "asset" / "yaml" / "HGN_3dpw_test.yml", overrides)
    with pytest.raises(UserError, match=r"MPIINF3DHP has no validation split, only train and test"):
        build_table(cfg, "MPIINF3DHP", "validation", tiny_body())
    texts = [finding.text for finding in check(cfg) if finding.state == "wrong"]
    assert any(text.startswith("3DPW validation: ") and "holds no .pkl" in text for text in texts)
    assert any("MPIINF3DHP has no validation split" in text for text in texts)


def test_an_unknown_detector_and_a_missing_folder_are_one_line(tmp_path):
    cfg = DatasetConfig(train_list=("3DPW",), test_list=("3DPW",), data_dir=str(tmp_path), detections="cpn_ft_h36m_dbb")
    with pytest.raises(UserError, match="gt and openpose"):
        three_dpw(cfg, tiny_body())
    source = ThreeDPWSource(tmp_path, BodyJoints(tiny_body(), tmp_path))
    with pytest.raises(UserError, match=r"sequenceFiles.test: holds no \.pkl"):
        source.identity("test")


def test_the_identity_follows_the_files_and_the_input(make):
    source = make()
    assert source.identity("test") == source.identity("test")
    assert source.identity("test") != make(detections="openpose").identity("test")
