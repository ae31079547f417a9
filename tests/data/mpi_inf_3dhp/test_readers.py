import os
from itertools import pairwise

import numpy as np
import pytest

from data.MPIINF3DHP.calibration import read_calibration
from data.MPIINF3DHP.joints import USUAL_CAMERAS
from data.MPIINF3DHP.pstmo import read_pstmo_test, read_pstmo_train
from data.MPIINF3DHP.test_set import read_test_sequence
from data.MPIINF3DHP.training_set import read_training_sequence
from lib.errors import UserError
from lib.joints import HUMAN36M_17
from tests.field_files import (
    TEST_FROM_TRAINING,
    Malicious,
    arrays_3dhp_test,
    views_3dhp,
    write_3dhp_test,
    write_3dhp_training,
    write_npz_of_object,
)


@pytest.fixture
def training(tmp_path):
    folder = tmp_path / "S1" / "Seq1"
    write_3dhp_training(folder, views_3dhp())
    return folder


def upright(joints):
    """Whether joints (..., 17, 3), y down, are those of a standing person in Human3.6M's order."""
    y = dict(zip(HUMAN36M_17.names, np.moveaxis(joints[..., 1], -1, 0), strict=True))
    down = ("Head", "Nose", "Neck", "Torso", "Pelvis", "R_Knee", "R_Ankle")
    x = dict(zip(HUMAN36M_17.names, np.moveaxis(joints[..., 0], -1, 0), strict=True))
    sides = all(
        (x[f"L_{part}"] > x[f"R_{part}"]).all() for part in ("Hip", "Knee", "Ankle", "Shoulder", "Elbow", "Wrist")
    )
    return sides and all((y[a] < y[b]).all() for a, b in pairwise(down))


def test_training_joints_take_their_places_among_the_17(training):
    written = views_3dhp()
    view = read_training_sequence(training / "annot.mat", (0,))[0]
    assert upright(view.joints)
    assert view.frame.tolist() == list(range(6))
    np.testing.assert_allclose(view.joints[:, 10], written["joints"][0][:, 7], atol=1e-3)  # our Head takes head_top
    np.testing.assert_allclose(view.joints[:, 9], written["joints"][0][:, 6], atol=1e-3)  # our Nose takes head
    np.testing.assert_allclose(view.universal, 0.92 * view.joints, atol=1e-3)
    np.testing.assert_allclose(view.pixels[:, 0], written["pixels"][0][:, 4], atol=1e-3)


def test_only_the_asked_cameras_and_the_published_frames_are_kept(training):
    views = read_training_sequence(training / "annot.mat", USUAL_CAMERAS, frames=4)
    assert tuple(views) == USUAL_CAMERAS
    assert {len(v.frame) for v in views.values()} == {4}
    np.testing.assert_allclose(views[8].joints[0, 0], views_3dhp()["joints"][8][0, 4], atol=1e-3)


def test_the_calibration_gives_every_camera_of_the_file(training):
    written = views_3dhp()
    cameras = read_calibration(training / "camera.calibration")
    assert list(cameras) == list(range(14))
    for index, camera in cameras.items():
        np.testing.assert_array_equal(camera.f, written["K"][index][[0, 1], [0, 1]])
        np.testing.assert_array_equal(camera.c, written["K"][index][:2, 2])
        np.testing.assert_array_equal(camera.R, written["R"][index])
        assert (camera.t.tolist(), camera.width) == ([0, 0, 4000], 2048)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("Skeletool", "Other", "does not begin with"),
        ("sensor      10 10", "sensor      ten 10", "line 3: a number was expected"),
        ("sensor", "lens", "line 3: unknown word 'lens'"),
        ("  radial      0\nname          1", "name          1", "camera 0 has no radial"),
        ("radial      0", "radial      0.1", "lens distortion"),
        ("intrinsic   1", "intrinsic   -1", "focal length"),
    ],
)
def test_a_broken_calibration_is_one_line_that_names_it(training, old, new, text):
    path = training / "camera.calibration"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=text) as error:
        read_calibration(path)
    assert "camera.calibration" in str(error.value)


def test_a_calibration_that_ends_early_is_refused(training):
    path = training / "camera.calibration"
    path.write_text(path.read_text()[:-200])
    with pytest.raises(UserError, match=r"camera\.calibration, line"):
        read_calibration(path)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        read_calibration(path)


def _cells(views, joints, size):
    column = np.empty((len(views["K"]), 1), object)
    for c in range(len(column)):
        column[c, 0] = np.ones((6, joints * size))
    return column


BROKEN_TRAINING = {
    "no 3D": (lambda v: {"annot3": None, "univ_annot3": None}, "has no annot3 and no univ_annot3"),
    "no frames": (lambda v: {"frames": None}, "has no frames"),
    "27 joints": (lambda v: {"annot3": _cells(v, 27, 3)}, "camera 0: annot3 is 6 x 27 x 3"),
    "few cameras": (lambda v: {"cameras": np.arange(3)[None]}, "has no camera 4; it has 0, 1, 2"),
    "metres": (lambda v: {"univ_annot3": _metres(v)}, "thighs and shins measure 0.4"),
}


def _metres(views):
    column = np.empty((len(views["K"]), 1), object)
    for c in range(len(column)):
        column[c, 0] = views["joints"][c].reshape(6, -1) / 1000
    return column


@pytest.mark.parametrize("case", BROKEN_TRAINING)
def test_a_broken_training_file_is_one_line_that_names_it(tmp_path, case):
    change, text = BROKEN_TRAINING[case]
    write_3dhp_training(tmp_path, views_3dhp(), **change(views_3dhp()))
    with pytest.raises(UserError, match=text) as error:
        read_training_sequence(tmp_path / "annot.mat", USUAL_CAMERAS)
    assert "annot.mat" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"text", b"MATLAB 5.0 MAT-file".ljust(200)])
def test_something_else_than_a_mat_file_is_refused(tmp_path, content):
    (tmp_path / "annot.mat").write_bytes(content)
    with pytest.raises(UserError, match="not a MATLAB 5 file"):
        read_training_sequence(tmp_path / "annot.mat", (0,))


def test_a_nan_is_refused_or_its_frame_dropped_for_that_camera(tmp_path):
    views = views_3dhp()
    views["joints"][0, 2, 4] = np.nan  # the pelvis, camera 0
    views["joints"][1, 3, 0] = np.nan  # a joint that is none of the 17
    write_3dhp_training(tmp_path, views)
    with pytest.raises(UserError, match=r"camera 0: NaN or infinite numbers in 1 of 6 .* frame 2"):
        read_training_sequence(tmp_path / "annot.mat", (0, 1))
    kept = read_training_sequence(tmp_path / "annot.mat", (0, 1), drop_nan=True)
    assert kept[0].frame.tolist() == [0, 1, 3, 4, 5]
    assert (kept[0].missing, kept[1].missing, len(kept[1].frame)) == (1, 0, 6)


@pytest.fixture
def test_file(tmp_path):
    pytest.importorskip("h5py")
    return tmp_path / "mpi_inf_3dhp_test_set" / "TS1" / "annot_data.mat"


def test_test_joints_take_their_places_and_only_valid_frames_are_kept(test_file):
    written = arrays_3dhp_test()
    write_3dhp_test(test_file, written)
    view = read_test_sequence(test_file)
    assert upright(view.joints)
    assert view.frame.tolist() == [0, 2, 3, 4, 5, 6]
    assert view.activity.tolist() == [1, 1, 2, 2, 2, 3]
    np.testing.assert_allclose(view.universal[:, 0], written["univ_annot3"][view.frame, 0, 14], rtol=1e-6)
    np.testing.assert_allclose(view.pixels[:, 10], written["annot2"][view.frame, 0, 0], rtol=1e-6)


def test_both_orders_of_joints_give_the_same_person():
    from data.MPIINF3DHP.joints import HUMAN36M_FROM_TEST, HUMAN36M_FROM_TRAINING

    assert [TEST_FROM_TRAINING[k] for k in HUMAN36M_FROM_TEST] == list(HUMAN36M_FROM_TRAINING)


BROKEN_TEST = {
    "no truth": (lambda c: c | {"univ_annot3": None}, "has no univ_annot3"),
    "16 joints": (lambda c: c | {"annot2": c["annot2"][:, :, :16]}, "annot2 is 8 x 16 x 2"),
    "valid short": (lambda c: c | {"valid_frame": c["valid_frame"][:-1]}, "valid_frame has 7 entries for 8 frames"),
    "activity": (lambda c: c | {"activity_annotation": c["activity_annotation"] + 7}, "must be 1 to 7"),
    "nan": (lambda c: c | {"annot2": np.where(np.arange(8)[:, None, None, None] == 2, np.nan, c["annot2"])}, "frame 2"),
}


@pytest.mark.parametrize("case", BROKEN_TEST)
def test_a_broken_test_file_is_one_line_that_names_it(test_file, case):
    change, text = BROKEN_TEST[case]
    write_3dhp_test(test_file, change(arrays_3dhp_test()))
    with pytest.raises(UserError, match=text) as error:
        read_test_sequence(test_file)
    assert "annot_data.mat" in str(error.value)


def test_a_nan_in_a_frame_that_is_not_valid_is_no_matter(test_file):
    content = arrays_3dhp_test()
    content["univ_annot3"][1] = np.nan
    write_3dhp_test(test_file, content)
    assert len(read_test_sequence(test_file).frame) == 6
    content["univ_annot3"][4] = np.nan
    write_3dhp_test(test_file, content)
    view = read_test_sequence(test_file, drop_nan=True)
    assert (view.frame.tolist(), view.missing) == ([0, 2, 3, 5, 6], 1)


def test_something_else_than_hdf5_is_refused(test_file):
    write_3dhp_test(test_file, arrays_3dhp_test())
    whole = test_file.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2]):
        test_file.write_bytes(content)
        with pytest.raises(UserError, match=r"not a MATLAB 7\.3 file"):
            read_test_sequence(test_file)


def test_an_hdf5_header_that_promises_more_than_the_file_holds_is_refused(test_file):
    import h5py

    write_3dhp_test(test_file, arrays_3dhp_test() | {"annot2": None})
    with h5py.File(test_file, "a") as file:
        file.create_dataset("annot2", (10**12, 1, 17, 2), "f8", chunks=(1, 1, 17, 2))
    with pytest.raises(UserError, match="more than the file can hold"):
        read_test_sequence(test_file)


def test_without_h5py_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UserError, match="pip install h5py"):
        read_test_sequence(tmp_path / "annot_data.mat")


def recording_of(pixels, joints, **more):
    return {"data_2d": pixels, "data_3d": joints, **more}


def test_pstmo_files_hold_the_same_views(tmp_path):
    test = arrays_3dhp_test()
    pixels, universal = test["annot2"][:, 0], test["univ_annot3"][:, 0]
    train_path, test_path = tmp_path / "data_train_3dhp.npz", tmp_path / "data_test_3dhp.npz"
    recordings = {camera: recording_of(pixels, universal) for camera in ("0", "4")}
    write_npz_of_object(train_path, "data", {"S2 Seq1": [recordings, 25]})
    write_npz_of_object(
        test_path, "data", {"TS2": recording_of(pixels, universal, valid=test["valid_frame"].reshape(-1))}
    )
    views = list(read_pstmo_train(train_path))
    assert [v[:3] for v in views] == [(2, 1, 0), (2, 1, 4)]
    assert upright(views[1][3].universal)
    assert len(views[1][3].frame) == 8
    view = read_pstmo_test(test_path)["TS2"]
    assert view.frame.tolist() == [0, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(view.universal[:, 0], universal[view.frame, 14], rtol=1e-6)
    assert view.joints is None
    assert view.activity is None


BROKEN_PSTMO = {
    "name": ({"Seq3": []}, "no recording"),
    "no cameras": ({"S1 Seq1": [{}, 25]}, "holds no cameras"),
    "no 3D": ({"S1 Seq1": [{"0": {"data_2d": np.zeros((3, 17, 2))}}, 25]}, "camera 0: has no data_3d"),
    "camera": ({"S1 Seq1": [{"front": {}}, 25]}, "no camera number"),
    "joints": ({"S1 Seq1": [{"0": recording_of(np.ones((3, 16, 2)), np.ones((3, 17, 3)))}, 25]}, "16 x 2"),
    "length": ({"S1 Seq1": [{"0": recording_of(np.ones((4, 17, 2)), np.ones((3, 17, 3)))}, 25]}, "expected 4 frames"),
    "list": (["S1 Seq1"], "holds no recordings"),
    "code": (Malicious(), "refused"),
}


@pytest.mark.parametrize("case", BROKEN_PSTMO)
def test_a_broken_pstmo_file_is_one_line_that_names_it_and_runs_nothing(tmp_path, monkeypatch, case):
    content, text = BROKEN_PSTMO[case]
    monkeypatch.chdir(tmp_path)
    write_npz_of_object(tmp_path / "data_train_3dhp.npz", "data", content)
    with pytest.raises(UserError, match=text) as error:
        list(read_pstmo_train(tmp_path / "data_train_3dhp.npz"))
    assert "data_train_3dhp.npz" in str(error.value)
    assert not os.path.exists("PWNED")


def test_pstmo_tests_need_their_valid_frames(tmp_path):
    test = arrays_3dhp_test()
    recording = recording_of(test["annot2"][:, 0], test["univ_annot3"][:, 0])
    write_npz_of_object(tmp_path / "t.npz", "data", {"TS1": recording})
    with pytest.raises(UserError, match="TS1: has no valid"):
        read_pstmo_test(tmp_path / "t.npz")
