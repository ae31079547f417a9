"""The readers against independently computed values, where a folder of sample files in the published formats lies beside
the checkout (../shared/formats). It is no part of the project: what these tests hold is also held by tests that make up
their own files."""

import json
from pathlib import Path

import numpy as np
import pytest

from data.AMASS.importer import import_amass
from data.AMASS.motion import is_motion_file, read_motion
from data.MPIINF3DHP.calibration import read_calibration
from data.MPIINF3DHP.dataset import MpiInf3dhpSource
from data.MPIINF3DHP.joints import TEST_SEQUENCES, USUAL_CAMERAS
from data.MPIINF3DHP.pstmo import TEST_FILE, TRAIN_FILE, read_pstmo_test, read_pstmo_train
from data.MPIINF3DHP.test_set import read_test_sequence
from data.MPIINF3DHP.training_set import read_training_sequence
from data.ThreeDPW.sequence import read_sequence
from lib.camera import camera_to_pixel, pixel_to_normalized, world_to_camera
from lib.errors import UserError
from lib.evaluation.protocols import PROTOCOLS
from lib.evaluation.report import evaluate

FORMATS = Path(__file__).resolve().parents[3] / "shared" / "formats"

pytestmark = pytest.mark.skipif(not FORMATS.is_dir(), reason="no sample files in ../shared/formats")

MILLIMETRES, PIXELS, NORMALIZED = 1e-3, 1e-2, 1e-5


def expected(name):
    with np.load(FORMATS / "expected" / f"{name}.npz") as z:
        arrays = {key: z[key] for key in z.files}
    return arrays, json.loads((FORMATS / "expected" / f"{name}.json").read_text())


def test_amass_motions():
    arrays, files = expected("amass")
    found = {p.relative_to(FORMATS / "amass").as_posix() for p in (FORMATS / "amass").rglob("*") if is_motion_file(p)}
    assert found == set(files["files"])
    for name, facts in files["files"].items():
        motion, key = read_motion(FORMATS / "amass" / name, 10), name.removesuffix(".npz")
        np.testing.assert_array_equal(motion.pose, arrays[f"{key}/pose"])
        np.testing.assert_array_equal(motion.trans, arrays[f"{key}/trans"])
        np.testing.assert_array_equal(motion.betas, arrays[f"{key}/betas"])
        assert motion.frame.tolist() == facts["frames"]
        assert [motion.rate, motion.step] == [facts["rate"], facts["step"]]
        assert [motion.gender, motion.model] == [facts["gender"], facts["model"]]


def test_3dpw_sequences():
    arrays, facts = expected("3dpw")
    for path in (FORMATS / "3dpw").rglob("*.pkl"):
        sequence = read_sequence(path)
        for i, actor in enumerate(sequence.actors):
            key = f"{path.parent.name}/{sequence.name}/{i}"
            joints = 1000 * world_to_camera(actor.joints, actor.R, actor.t)
            pixels = camera_to_pixel(joints, sequence.f, sequence.c)
            np.testing.assert_array_equal(actor.frame, arrays[f"{key}/frame"])
            np.testing.assert_allclose(joints, arrays[f"{key}/cam_joints_mm"], atol=MILLIMETRES)
            np.testing.assert_allclose(pixels, arrays[f"{key}/pixel"], atol=PIXELS)
            screen = pixel_to_normalized(pixels, sequence.width, sequence.height)
            np.testing.assert_allclose(screen, arrays[f"{key}/screen"], atol=NORMALIZED)
            np.testing.assert_array_equal(actor.has_detections, arrays[f"{key}/has_2d"])
            assert (sequence.width, sequence.height) == (facts[key]["width"], facts[key]["height"])
            np.testing.assert_allclose(actor.betas, facts[key]["betas"])


def test_mpi_inf_3dhp_training_sequences_and_their_cameras():
    arrays, _ = expected("mpi_inf_3dhp")
    folder = FORMATS / "mpi_inf_3dhp"
    for key in ("S1/Seq1", "S3/Seq2"):
        cameras = read_calibration(folder / key / "camera.calibration")
        for c, view in read_training_sequence(folder / key / "annot.mat", tuple(range(14))).items():
            np.testing.assert_allclose(view.joints, arrays[f"{key}/cam3d_mm"][c], atol=MILLIMETRES)
            np.testing.assert_allclose(view.universal, arrays[f"{key}/univ_mm"][c], atol=MILLIMETRES)
            np.testing.assert_allclose(
                pixel_to_normalized(view.pixels, 2048, 2048), arrays[f"{key}/screen"][c], atol=NORMALIZED
            )
            world = world_to_camera(arrays[f"{key}/world_mm"].astype(float), cameras[c].R, cameras[c].t)
            np.testing.assert_allclose(world, view.joints, atol=0.01)


def test_mpi_inf_3dhp_numbers_of_a_given_predictor():
    pytest.importorskip("h5py")
    arrays, facts = expected("mpi_inf_3dhp")
    chunks = list(MpiInf3dhpSource(FORMATS / "mpi_inf_3dhp").chunks("test", progress=False))
    for name, chunk in zip(TEST_SEQUENCES, chunks, strict=True):
        np.testing.assert_array_equal(chunk.frames, arrays[f"{name}/frame"])
        np.testing.assert_allclose(chunk.joints, arrays[f"{name}/univ_mm"], atol=MILLIMETRES)
        screen = pixel_to_normalized(chunk.pixels, *chunk.image_size.T)
        np.testing.assert_allclose(screen, arrays[f"{name}/screen"], atol=NORMALIZED)
    joints = np.concatenate([c.joints for c in chunks])
    activities = np.concatenate([[c.action_names[a] for a in c.actions] for c in chunks])
    sequences = np.concatenate([np.repeat(c.sequence_names[0], len(c.names)) for c in chunks])
    with np.load(FORMATS / "mpi_inf_3dhp" / "predictions.npz") as z:
        report = evaluate(
            z["pred_mm"], joints - joints[:, :1], activities, scoring=PROTOCOLS["mpi_inf_3dhp"], sequences=sequences
        ).to_dict()
    names = {"mpjpe": "mpjpe_mm", "pa_mpjpe": "pa_mpjpe_mm", "pck_150": "pck_percent", "auc": "auc_percent"}
    numbers = dict(enumerate(chunks[0].action_names.values(), start=1))
    pairs = [(report, facts["total"])]
    pairs += [(report["per_sequence"][name], row) for name, row in facts["per_sequence"].items()]
    pairs += [(report["per_activity"][numbers[int(k)]], row) for k, row in facts["per_activity"].items()]
    assert len(pairs) == 1 + 6 + 7
    for found, wanted in pairs:
        for ours, theirs in names.items():
            assert found[ours] == pytest.approx(wanted[theirs], abs=1e-3), ours


def test_pstmo_files_equal_the_published_ones():
    arrays, _ = expected("mpi_inf_3dhp")
    for subject, sequence, camera, view in read_pstmo_train(FORMATS / "3dhp_pstmo" / TRAIN_FILE):
        key = f"S{subject}/Seq{sequence}"
        np.testing.assert_allclose(view.universal, arrays[f"{key}/univ_mm"][camera], atol=0.01)
        np.testing.assert_allclose(
            pixel_to_normalized(view.pixels, 2048, 2048), arrays[f"{key}/screen"][camera], atol=NORMALIZED
        )
    for name, view in read_pstmo_test(FORMATS / "3dhp_pstmo" / TEST_FILE).items():
        np.testing.assert_array_equal(view.frame, arrays[f"{name}/frame"])
        np.testing.assert_allclose(view.universal, arrays[f"{name}/univ_mm"], atol=0.01)


def _cases():
    path = FORMATS / "bad" / "cases.json"
    cases = json.loads(path.read_text()) if path.is_file() else {}
    return {name: case["broken"] for name, case in cases.items() if not name.startswith("videopose3d")}


def _read(kind, folder, tmp_path):
    if kind == "amass":
        import_amass(folder, tmp_path / "out", progress=False)
    elif kind == "3dpw":
        for path in folder.rglob("*.pkl"):
            read_sequence(path)
    elif kind == "mpi_inf_3dhp_test":
        pytest.importorskip("h5py")
        for path in folder.rglob("annot_data.mat"):
            read_test_sequence(path)
    elif kind == "mpi_inf_3dhp_train":
        for path in folder.rglob("annot.mat"):
            read_training_sequence(path, USUAL_CAMERAS)
            read_calibration(path.with_name("camera.calibration"))
    else:
        list(read_pstmo_train(folder / TRAIN_FILE))
        read_pstmo_test(folder / TEST_FILE)


@pytest.mark.parametrize(("name", "broken"), _cases().items())
def test_a_broken_file_is_refused_in_one_line_and_runs_nothing(tmp_path, monkeypatch, name, broken):
    monkeypatch.chdir(tmp_path)
    kind = name.split("/")[0]
    if broken is None or name == "amass/malicious_unused":  # a key that is never opened
        _read(kind, FORMATS / "bad" / name, tmp_path)
    else:
        with pytest.raises(UserError) as error:
            _read(kind, FORMATS / "bad" / name, tmp_path)
        assert broken in str(error.value)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()
    assert not (tmp_path / "PWNED").exists()
