import re

import numpy as np
import pytest

from data.MPIINF3DHP.dataset import MpiInf3dhpSource, fit_lens
from data.MPIINF3DHP.joints import HUMAN36M_FROM_TEST, USUAL_CAMERAS
from data.MPIINF3DHP.pstmo import TEST_FILE, TRAIN_FILE
from data.MPIINF3DHP.view import View
from lib.camera import camera_to_pixel
from lib.errors import UserError
from tests.bodies import tiny_body
from tests.field_files import (
    TEST_FROM_TRAINING,
    arrays_3dhp_test,
    views_3dhp,
    write_3dhp_test,
    write_3dhp_training,
    write_npz_of_object,
)


def chunks(source, split):
    return list(source.chunks(split, progress=False))


@pytest.fixture
def training(tmp_path):
    write_3dhp_training(tmp_path / "S1" / "Seq1", views_3dhp(seed=1))
    write_3dhp_training(tmp_path / "S3" / "Seq2", views_3dhp(seed=2))
    return MpiInf3dhpSource(tmp_path)


def test_training_takes_every_frame_of_the_usual_cameras_of_what_is_there(training):
    found = chunks(training, "train")
    names = [f"S{s} Seq{q} camera {c}" for s, q in ((1, 1), (3, 2)) for c in USUAL_CAMERAS]
    assert [c.sequence_names[0] for c in found] == names
    assert {len(c.names) for c in found} == {6}
    assert all(c.smpl is None for c in found)
    assert [note for c in found for note in c.notes] == ["MPI-INF-3DHP train: 2 of the 16 published sequences"]
    assert found[0].names[0] == "S1_Seq1_video_0_000001.jpg"
    assert {c.action_names[int(c.actions[0])] for c in found} == {"S1_Seq1", "S3_Seq2"}


def test_the_truth_is_the_universal_skeleton_and_the_input_its_projection(training):
    views = views_3dhp(seed=1)
    chunk = chunks(training, "train")[3]  # camera 4
    np.testing.assert_allclose(chunk.joints[:, 0], 0.92 * views["joints"][4][:, 4], atol=1e-3)
    np.testing.assert_allclose(chunk.pixels[:, 0], views["pixels"][4][:, 4], atol=1e-3)
    np.testing.assert_allclose(chunk.camera[0], views["K"][4][[0, 1, 0, 1], [0, 1, 2, 2]])
    projected = camera_to_pixel(chunk.joints, chunk.camera[:, :2], chunk.camera[:, 2:])
    np.testing.assert_allclose(projected, chunk.pixels, atol=1e-3)


def test_a_calibration_of_another_sequence_is_refused(training, tmp_path):
    path = tmp_path / "S1" / "Seq1" / "camera.calibration"
    path.write_text(path.read_text().replace("intrinsic   1", "intrinsic   9", 1))
    with pytest.raises(UserError, match=r"annot\.mat: camera 0: the 3D joints project .* do not belong together"):
        chunks(training, "train")


def test_check_reports_that_the_2d_is_the_projection_of_the_3d(training):
    texts = [f.text for f in training.check("train", "MPIINF3DHP train", tiny_body()) if f.state == "ok"]
    (text,) = (text for text in texts if "the 3D joints project" in text)
    median, largest = re.fullmatch(r".* project (\S+) px \(median\) from the 2D ones, (\S+) px at most", text).groups()
    assert 0 < float(median) < float(largest) < 1e-2


def test_a_2d_of_the_mirrored_person_is_refused():
    joints = np.random.default_rng(0).normal(0, 400, (4, 17, 3)) + [0, 0, 4000]
    pixels = camera_to_pixel(joints * [-1, 1, 1], np.array([1500.0, 1500]), np.array([1000.0, 1000]))
    view = View(np.arange(4), pixels.astype(np.float32), joints.astype(np.float32), None, None)
    with pytest.raises(UserError, match="mirror"):
        fit_lens("x", view)


def test_a_missing_calibration_is_named_before_anything_is_read(training, tmp_path):
    (tmp_path / "S3" / "Seq2" / "camera.calibration").unlink()
    with pytest.raises(UserError, match=r"Seq2/camera\.calibration is missing"):
        training.identity("train")


def test_frames_beyond_the_published_videos_are_cut(tmp_path, monkeypatch):
    import data.MPIINF3DHP.dataset as dataset

    write_3dhp_training(tmp_path / "S1" / "Seq1", views_3dhp())
    monkeypatch.setitem(dataset.PUBLISHED_FRAMES, (1, 1), 4)
    assert {len(c.names) for c in chunks(MpiInf3dhpSource(tmp_path), "train")} == {4}


@pytest.mark.parametrize(("name", "size"), [("TS1", (2048, 2048)), ("TS6", (1920, 1080))])
def test_the_outdoor_sequences_have_smaller_images(tmp_path, name, size):
    pytest.importorskip("h5py")
    write_3dhp_test(tmp_path / "mpi_inf_3dhp_test_set" / name / "annot_data.mat", arrays_3dhp_test(size=size))
    (chunk,) = chunks(MpiInf3dhpSource(tmp_path), "test")
    assert (chunk.image_size == size).all()
    np.testing.assert_allclose(chunk.camera[0], [1400, 1400, size[0] / 2, size[1] / 2], rtol=1e-4)
    assert [chunk.action_names[a] for a in chunk.actions[[0, -1]]] == ["Standing/Walking", "Sitting"]
    assert chunk.sequence_names == (name,)


def test_a_lens_is_found_from_2d_and_3d():
    rng = np.random.default_rng(0)
    joints = rng.normal(0, 400, (4, 17, 3)) + [0, 0, 4000]
    lens = np.array([1500.0, 1490, 1000, 1030])
    pixels = camera_to_pixel(joints, lens[:2], lens[2:])
    view = View(np.arange(4), pixels.astype(np.float32), (1.1 * joints).astype(np.float32), None, None)
    np.testing.assert_allclose(fit_lens("x", view), lens, atol=1e-2)
    other = View(view.frame, pixels[::-1].astype(np.float32), view.universal, None, None)
    with pytest.raises(UserError, match="do not belong together"):
        fit_lens("x", other)


def test_pstmo_files_give_the_same_samples_and_the_publishers_go_first(tmp_path):
    views = views_3dhp(seed=1)
    recordings = {
        str(camera): {
            "data_2d": views["pixels"][camera][:, TEST_FROM_TRAINING],
            "data_3d": 0.92 * views["joints"][camera][:, TEST_FROM_TRAINING],
        }
        for camera in USUAL_CAMERAS
    }
    write_npz_of_object(tmp_path / TRAIN_FILE, "data", {"S1 Seq1": [recordings, 25]})
    source = MpiInf3dhpSource(tmp_path)
    converted = chunks(source, "train")
    write_3dhp_training(tmp_path / "S1" / "Seq1", views)
    published = chunks(source, "train")
    assert len(converted) == len(published) == len(USUAL_CAMERAS)
    for a, b in zip(converted, published, strict=True):
        assert a.names.tolist() == b.names.tolist()
        assert a.sequence_names == b.sequence_names
        np.testing.assert_allclose(a.joints, b.joints, atol=1e-2)
        np.testing.assert_allclose(a.pixels, b.pixels, atol=1e-2)
        np.testing.assert_allclose(a.camera, b.camera, rtol=1e-3)


def test_pstmo_tests_have_no_activities(tmp_path):
    test = arrays_3dhp_test()
    recording = {"data_2d": test["annot2"][:, 0], "data_3d": test["univ_annot3"][:, 0], "valid": test["valid_frame"]}
    write_npz_of_object(tmp_path / TEST_FILE, "data", {"TS2": recording})
    (chunk,) = chunks(MpiInf3dhpSource(tmp_path), "test")
    assert set(chunk.action_names.values()) == {"(activities unknown)"}
    np.testing.assert_allclose(chunk.joints[0], test["univ_annot3"][0, 0, list(HUMAN36M_FROM_TEST)], rtol=1e-6)


def test_an_empty_folder_is_one_line_that_names_both_kinds_of_files(tmp_path):
    with pytest.raises(UserError, match=r"neither S1/Seq1/annot\.mat .* nor data_train_3dhp\.npz"):
        MpiInf3dhpSource(tmp_path).identity("train")
