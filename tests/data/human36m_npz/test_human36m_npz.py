"""Human3.6M from VideoPose3D's files, on small files of that form and, where they are, on the shared examples."""

import copy
import dataclasses
import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import data
from data import build_table
from data.cache import Columns
from data.check import check
from lib.config import load_config
from lib.errors import UserError
from lib.evaluation.protocols import PROTOCOLS
from lib.evaluation.report import evaluate
from lib.joints.conversion import convert_joints
from tests.bodies import tiny_body
from tests.data.human36m_npz.npz_files import (
    METADATA,
    RECORDINGS,
    joints_2d,
    joints_3d,
    plain_camera,
    plain_camera_joints,
    plain_normalized,
    plain_pixels,
    write_files,
    write_npz,
)

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared" / "formats"
"""Files in the published formats with expected values; not part of the project."""

TRAIN, TEST = ("S1", "S5", "S6", "S7", "S8"), ("S9", "S11")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """data_dir with a sound set of files; not to be changed."""
    folder = tmp_path_factory.mktemp("data")
    write_files(folder, names=("gt", "cpn_ft_h36m_dbb", "detectron_pt_coco", "sh_pt_mpii"))
    return folder


@pytest.fixture
def own(files, tmp_path) -> Path:
    """A data_dir of the test's own; its files may be changed."""
    shutil.copytree(files, tmp_path / "data", ignore=shutil.ignore_patterns("cache"))
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def body(monkeypatch):
    monkeypatch.setattr(data, "load_body", lambda *_: tiny_body())


def configuration(data_dir: Path, protocol: str = "videopose3d", detections: str = "gt", **more: object):
    keys = {"data_dir": str(data_dir), "protocol": protocol, "detections": detections, **more}
    overrides = {f"DATASET.{key}": value for key, value in keys.items()} | {"MODEL.coarsen_levels": 7}
    return load_config(ROOT / "asset" / "yaml" / "HGN_human36m_npz_test.yml", overrides)


def table(data_dir: Path, split: str = "test", protocol: str = "videopose3d", detections: str = "gt", **more: object):
    return build_table(configuration(data_dir, protocol, detections, **more), "Human36MNpz", split, tiny_body())


def rows_of(split: str, keep=lambda subject, recording, frame: True):
    """(subject, recording, camera, frame) in the order in which samples must come."""
    subjects = {"train": TRAIN, "test": TEST}[split]
    return [
        (subject, recording, camera, frame)
        for subject in RECORDINGS
        if subject in subjects
        for recording, count in RECORDINGS[subject].items()
        for camera in range(4)
        for frame in range(count)
        if keep(subject, recording, frame)
    ]


# ---- values


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("protocol", "lens"), [("videopose3d", True), ("release", False)])
def test_every_sample_equals_the_step_by_step_computation(files, split, protocol, lens):
    got = table(files, split, protocol)
    stride = {"videopose3d": 1, "release": {"train": 5, "test": 50}[split]}[protocol]
    dropped = [] if lens else [("S9", "Greeting"), ("S9", "SittingDown 1"), ("S9", "Waiting 1")]
    rows = rows_of(split, lambda s, r, f: f % stride == 0 and (s, r) not in dropped)
    assert len(got) == len(rows)
    joints = joints_3d()
    for k, (subject, recording, number, frame) in enumerate(rows):
        camera = plain_camera(subject, number)
        points = plain_camera_joints(joints[subject][recording][frame], camera)
        np.testing.assert_allclose(1000 * (got.pose3d[k] + got.root[k].astype(float)), points, rtol=0, atol=2e-3)
        want = plain_normalized(plain_pixels(points, camera, lens), camera)
        np.testing.assert_allclose(got.pose2d[k], want, rtol=0, atol=1e-6)
        assert got.pose3d[k, 0].tolist() == [0, 0, 0]
        assert got.names[k] == f"{subject}_{recording}_{camera['id']}_{frame:06d}"
        assert got.sequence_names[got.sequences[k]] == f"{subject}_{recording}_{camera['id']}"
        assert got.frames[k] == frame
        assert got.action_names[got.actions[k]] == recording.split()[0]
        assert got.image_size[k].tolist() == [camera["width"], camera["height"]]
        np.testing.assert_allclose(got.camera[k], [*camera["f"], *camera["c"]], rtol=1e-6)


def test_the_lens_moves_pixels_by_pixels():
    camera = plain_camera("S9", 1)
    points = np.array([[900.0, -700.0, 4000.0]])
    assert 3 < np.abs(plain_pixels(points, camera, True) - plain_pixels(points, camera, False)).max() < 30


def test_ground_truth_is_projected_through_the_lens_where_its_file_is_missing(files, own):
    (own / "Human36MNpz" / "data_2d_h36m_gt.npz").unlink()
    np.testing.assert_allclose(table(own).pose2d, table(files).pose2d, rtol=0, atol=1e-6)


@pytest.mark.parametrize("protocol", ["videopose3d", "release"])
def test_detections_are_matched_by_name_and_cut_to_the_3d(files, protocol, capsys):
    got = table(files, "test", protocol, "cpn_ft_h36m_dbb")
    pixels = joints_2d(joints_3d(), 3.0, longer=True)
    rows = rows_of(
        "test", lambda s, r, f: protocol == "videopose3d" or (f == 0 and r not in ("Greeting", "SittingDown 1"))
    )
    for k, (subject, recording, number, frame) in enumerate(rows):
        want = plain_normalized(pixels[subject][recording][number][frame].astype(float), plain_camera(subject, number))
        np.testing.assert_allclose(got.pose2d[k], want, rtol=0, atol=1e-6)
    assert len(got) == len(rows)
    assert got.input2d == "detected (cpn_ft_h36m_dbb)"
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("data_2d")]
    assert lines == [
        "data_2d_h36m_cpn_ft_h36m_dbb.npz: 24 arrays cut by up to 2 frames to the 3D's length",
        "data_2d_h36m_cpn_ft_h36m_dbb.npz: S2 skipped, the 3D file does not have them",
    ]


def test_coco_detections_are_converted_to_the_17_joints(files):
    got = table(files, detections="detectron_pt_coco")
    pixels = joints_2d(joints_3d(), 3.0, longer=True)["S9"]["Greeting"][0][3]
    want = plain_normalized(convert_joints(pixels, "coco")[0], plain_camera("S9", 0))
    row = got.names.tolist().index("S9_Greeting_54138969_000003")
    np.testing.assert_allclose(got.pose2d[row], want, rtol=0, atol=1e-6)


def test_there_are_no_meshes_and_they_cost_nothing(files):
    got = table(files)
    assert not got.has_mesh.any()
    assert [len(mesh) for mesh in (*got.meshes, *got.flipped_meshes)] == [0] * 4


def test_every_pickle_protocol_is_read_alike(files, own):
    for protocol in (2, 4, 5):
        write_npz(own / "Human36MNpz" / "data_3d_h36m.npz", protocol, positions_3d=joints_3d())
        np.testing.assert_array_equal(table(own).pose3d, table(files).pose3d)


def test_the_second_time_neither_file_is_opened(own, monkeypatch):
    first = table(own)
    monkeypatch.setattr(data.Human36MNpz.dataset, "read_3d", None)
    again = table(own)
    for field in dataclasses.fields(first):
        if isinstance(value := getattr(first, field.name), np.ndarray):
            np.testing.assert_array_equal(getattr(again, field.name), value)


def test_chunks_are_written_as_they_come_so_memory_holds_one_recording(own, monkeypatch):
    rows, append = [], Columns.append

    def counting(columns, name, array):
        rows.append(len(array)) if name == "pose3d" else None
        append(columns, name, array)

    monkeypatch.setattr(Columns, "append", counting)
    table(own)
    assert rows == [4 * n for subject in TEST for n in RECORDINGS[subject].values()]


# ---- what is wrong with a file


def spoil_3d(change):
    def spoil(folder):
        joints = joints_3d()
        joints = change(joints) or joints
        write_npz(folder / "data_3d_h36m.npz", positions_3d=joints)

    return spoil


@cache
def sound_2d() -> dict:
    return joints_2d(joints_3d())


def spoil_2d(change, name="gt"):
    def spoil(folder):
        tree, metadata = copy.deepcopy(sound_2d()), dict(METADATA[name])
        change(tree, metadata)
        write_npz(folder / f"data_2d_h36m_{name}.npz", positions_2d=tree, metadata=metadata)

    return spoil


def renamed(tree, subject, old, new):
    tree[subject][new] = tree[subject].pop(old)


def nan_at(array, *index):
    array[index] = np.nan


def scaled(tree, factor):
    return {s: {r: a * np.float32(factor) for r, a in recordings.items()} for s, recordings in tree.items()}


def all_pixels(tree, change):
    for recordings in tree.values():
        for views in recordings.values():
            views[:] = [change(view) for view in views]


BAD = {
    "a recording's name": (spoil_3d(lambda j: renamed(j, "S9", "Walking", "Wandering")), r"3d_h36m\.npz: S9 'Wandering' is no"),
    "a subject's name": (spoil_3d(lambda j: j.update(S12=j["S11"])), r"3d_h36m\.npz: S12 is no subject"),
    "no subject of the split": (spoil_3d(lambda j: {s: j[s] for s in TRAIN}), "none of the subjects S9, S11"),
    "millimetres": (spoil_3d(lambda j: scaled(j, 1000)), "thighs and shins measure 4[0-9]{2}, expected about 0.45"),
    "31 joints": (spoil_3d(lambda j: j["S9"].update(Walking=j["S9"]["Walking"][:, :31])), "6 x 31 x 3 numbers, expected"),
    "whole numbers": (spoil_3d(lambda j: j["S9"].update(Walking=j["S9"]["Walking"].astype(int))), "expected frames x 32 x 3"),
    "a list": (spoil_3d(lambda j: j["S9"].update(Walking=[1, 2])), "S9 Walking: list numbers, expected frames x 32 x 3"),
    "nothing": (spoil_3d(lambda j: {"S9": {}}), "positions_3d is not"),
    "not nested": (spoil_3d(lambda j: {"S9": j["S9"]["Walking"]}), "positions_3d is not"),
    "NaN in a joint that is used": (
        spoil_3d(lambda j: nan_at(j["S1"]["Sitting 2"], 3, 13)),
        r"3d_h36m\.npz: S1 Sitting 2: NaN or infinite numbers in frame 3.*nan_frames",
    ),
    "NaN in the 2D": (spoil_2d(lambda t, m: nan_at(t["S9"]["Walking"][3], 1, 4)), r"gt\.npz: S9 Walking: NaN .* in frame 1"),
    "3 cameras": (spoil_2d(lambda t, m: t["S9"]["Walking"].pop()), r"gt\.npz: S9 Walking: 3 cameras, expected 4"),
    "16 joints": (
        spoil_2d(lambda t, m: all_pixels(t, lambda view: view[:, :16])), "16 x 2 numbers, expected frames x 17 x 2",
    ),
    "2D shorter": (
        spoil_2d(lambda t, m: t["S11"].update({"Walking 1": [v[:-1] for v in t["S11"]["Walking 1"]]})),
        "S11 Walking 1, camera 0: 6 frames, fewer than the 3D's 7",
    ),
    "a recording without 2D": (spoil_2d(lambda t, m: t["S9"].pop("Walking")), r"gt\.npz: S9 Walking is missing"),
    "a subject without 2D": (spoil_2d(lambda t, m: t.pop("S1")), r"gt\.npz: S1 Directions is missing"),
    "2D not in pixels": (spoil_2d(lambda t, m: all_pixels(t, lambda view: view / 1000)), "expected pixels of the full image"),
    "cameras in another order": (
        spoil_2d(lambda t, m: t["S9"]["Walking"].reverse()),
        r"gt\.npz: S9_Walking_54138969: the 3D joints project [0-9.]+ px \(median\) .* another order of cameras",
    ),
    "joints in another order": (
        spoil_2d(lambda t, m: t["S11"]["Walking 1"].__setitem__(2, t["S11"]["Walking 1"][2][:, ::-1])),
        r"gt\.npz: S11_Walking 1_58860488: the 3D joints project",
    ),
    "pixels of a larger image": (
        spoil_2d(lambda t, m: all_pixels(t, lambda view: 1.2 * view)), r"gt\.npz: S9_[\w ]+_54138969: the 3D joints",
    ),
    "another layout": (spoil_2d(lambda t, m: m.update(layout_name="mpii")), r"layout mpii \(17 joints\)"),
    "no metadata": (spoil_2d(lambda t, m: m.clear()), None),
    "text": (lambda folder: (folder / "data_3d_h36m.npz").write_text("text"), r"3d_h36m\.npz: is not a complete \.npz"),
    "no file": (lambda folder: (folder / "data_3d_h36m.npz").unlink(), r"data_3d_h36m\.npz is missing"),
}  # fmt: skip


@pytest.mark.parametrize("protocol", ["videopose3d", "release"])
@pytest.mark.parametrize("case", BAD)
def test_a_spoilt_file_is_one_line_that_names_it_and_nothing_is_left(own, case, protocol):
    spoil, words = BAD[case]
    spoil(own / "Human36MNpz")
    if words is None:
        table(own, protocol=protocol)
        return
    with pytest.raises(UserError, match=words) as refused:
        table(own, protocol=protocol)
    assert "\n" not in str(refused.value)
    assert not list((own / "Human36MNpz").glob("cache/*"))


def test_sixteen_joints_of_mpii_are_refused(files):
    with pytest.raises(UserError, match=r"sh_pt_mpii\.npz: the joints are in layout mpii \(16 joints\)"):
        table(files, detections="sh_pt_mpii")


def test_a_detector_without_file_is_named(files):
    with pytest.raises(UserError, match=r"data_2d_h36m_nobody\.npz is missing"):
        table(files, detections="nobody")


def test_nan_in_joints_that_are_not_used_does_not_matter(own):
    spoil_3d(lambda j: nan_at(j["S9"]["Walking"], 3, 4))(own / "Human36MNpz")
    assert np.isfinite(table(own).pose3d).all()


def test_frames_with_nan_are_dropped_and_counted_where_that_is_asked_for(files, own, capsys):
    spoil_3d(lambda j: nan_at(j["S9"]["Walking"], slice(2, 4), 13))(own / "Human36MNpz")
    spoil_2d(lambda t, m: nan_at(t["S11"]["Walking 1"][2], 0))(own / "Human36MNpz")
    got, whole = table(own, nan_frames="drop"), table(files)
    lost = [f"S9_Walking_{c}_00000{f}" for c in ("54138969", "55011271", "58860488", "60457274") for f in (2, 3)]
    lost += [f"S11_Walking 1_{c}_000000" for c in ("54138969", "55011271", "58860488", "60457274")]
    kept = ~np.isin(whole.names, lost)
    np.testing.assert_array_equal(got.names, whole.names[kept])
    np.testing.assert_array_equal(got.pose2d, whole.pose2d[kept])
    out = capsys.readouterr().out
    assert "S9 Walking: dropped 2 frames with NaN" in out
    assert "S11 Walking 1: dropped 1 frames with NaN" in out


def test_a_file_of_detections_and_a_detector_s_name_are_one_too_many(files):
    with pytest.raises(UserError, match="both name a 2D input"):
        table(files, detections="cpn_ft_h36m_dbb", detection_file="mine.json", use_gt_input=False)


# ---- the check


def test_check_counts_samples_and_passes_on_notes(own):
    joints = joints_3d()
    del joints["S11"]
    write_npz(own / "Human36MNpz" / "data_3d_h36m.npz", positions_3d=joints)
    findings = [f for f in check(configuration(own, detections="cpn_ft_h36m_dbb")) if "Human36MNpz" in f.text]
    assert {f.state for f in findings} == {"ok", "note"}
    texts = "\n".join(f.text for f in findings)
    assert "Human36MNpz train: 180 samples in 24 sequences" in texts
    assert "Human36MNpz test: 104 samples in 16 sequences of one camera, detected (cpn_ft_h36m_dbb) 2D input" in texts
    assert "data_3d_h36m.npz: has no S11; the test split is not the published one" in texts
    assert "no SMPL parameters" in texts


def projection_findings(data_dir, **more):
    return [f for f in check(configuration(data_dir, **more)) if "the 3D joints project" in f.text]


def plain_distances(joints, keypoints, subjects):
    return np.array([
        np.linalg.norm(plain_pixels(plain_camera_joints(frame, camera), camera, lens=True) - view[t], axis=-1)
        for subject in subjects
        for recording, frames in joints[subject].items()
        for view, camera in zip(
            keypoints[subject][recording], (plain_camera(subject, c) for c in range(4)), strict=True
        )
        for t, frame in enumerate(frames)
    ])  # fmt: skip


@pytest.mark.parametrize("protocol", ["videopose3d", "release"])
@pytest.mark.slow
def test_check_reports_that_ground_truth_2d_is_the_projection_of_the_3d(own, protocol):
    assert [f.state for f in projection_findings(own, protocol=protocol)] == ["ok", "ok"]
    spoil_2d(lambda t, m: all_pixels(t, lambda view: view + np.float32([3, 4])))(own / "Human36MNpz")
    for finding in projection_findings(own, protocol=protocol):
        assert finding.state == "note"
        assert "project 5 px (median) from the 2D ones, 5 px at most" in finding.text


def test_check_reports_the_median_and_the_largest_distance_of_detections(own):
    joints, keypoints = joints_3d(), joints_2d(joints_3d(), 30.0, longer=True)
    write_npz(own / "Human36MNpz" / "data_2d_h36m_mine.npz", positions_2d=keypoints, metadata={"layout_name": "h36m"})
    findings = projection_findings(own, protocol="videopose3d", detections="mine")
    for finding, subjects in zip(findings, (TRAIN, TEST), strict=True):
        wanted = plain_distances(joints, keypoints, [s for s in RECORDINGS if s in subjects])
        assert f"{np.median(wanted):.3g} px (median) from the 2D ones, {wanted.max():.3g} px at most" in finding.text
        assert finding.state == "ok"


@pytest.mark.slow
def test_check_finds_detections_of_other_cameras_which_training_cannot_know(own):
    def reverse(tree, metadata):
        for recordings in tree.values():
            for views in recordings.values():
                views.reverse()

    spoil_2d(reverse, "cpn_ft_h36m_dbb")(own / "Human36MNpz")
    for finding in projection_findings(own, detections="cpn_ft_h36m_dbb"):
        assert finding.state == "wrong"
        assert "detections are of other cameras" in finding.text
    assert len(table(own, detections="cpn_ft_h36m_dbb"))


# ---- the shared examples


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    if not (SHARED / "videopose3d").is_dir():
        pytest.skip(f"{SHARED} is not here: example files that are no part of the project")
    folder = tmp_path_factory.mktemp("shared") / "Human36MNpz"
    folder.mkdir()
    for path in (SHARED / "videopose3d").glob("data_*.npz"):
        shutil.copy(path, folder)
    return folder.parent


@pytest.mark.parametrize(
    ("detections", "key"), [("gt", "gt"), ("cpn_ft_h36m_dbb", "cpn"), ("detectron_pt_coco", "coco")]
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_shared_files_give_the_expected_arrays(shared, split, detections, key):
    got = table(shared, split, detections=detections)
    with np.load(SHARED / "expected" / "videopose3d.npz") as z:
        want = {name.removeprefix(f"{split}_"): z[name] for name in z if name.startswith(f"{split}_")}
    if split == "train":
        got = got.take(got.frames % 8 == 0)
    assert got.frames.tolist() == want["frame"].tolist()
    stems = [f"{s}_{a}_{c}" for s, a, c in zip(want["subject"], want["action"], want["camera"], strict=True)]
    assert [got.sequence_names[i] for i in got.sequences] == stems
    points = 1000 * (got.pose3d + got.root[:, None].astype(np.float64))
    np.testing.assert_allclose(points, want["cam3d_mm"], rtol=0, atol=1e-3)
    if f"screen_{key}" in want:
        screen = want[f"screen_{key}"]
        screen = convert_joints(screen, "coco")[0] if key == "coco" else screen
        np.testing.assert_allclose(got.pose2d, screen, rtol=0, atol=1e-6)


def test_shared_predictions_score_as_expected(shared):
    got = table(shared)
    predictions = np.load(SHARED / "videopose3d" / "predictions.npz")["pred_mm"]
    want = json.loads((SHARED / "expected" / "videopose3d.json").read_text())
    actions = np.asarray(got.action_names)[got.actions]
    report = evaluate(predictions, got.pose3d * np.float32(1000), actions, "", "", PROTOCOLS[got.protocol])
    tight = {"rel": 0, "abs": 1e-3}
    assert report.action_mean == pytest.approx(want["mean_of_actions"]["p1_mm"], **tight)
    assert report.pa_action_mean == pytest.approx(want["mean_of_actions"]["p2_mm"], **tight)
    assert report.mpjpe == pytest.approx(want["mean_of_samples"]["p1_mm"], **tight)
    for action, numbers in want["per_action"].items():
        row = report.per_action[action]
        assert row["num_samples"] == numbers["samples"]
        assert row["mpjpe"] == pytest.approx(numbers["p1_mm"], **tight)
        assert row["pa_mpjpe"] == pytest.approx(numbers["p2_mm"], **tight)


def shared_cases() -> dict[str, str | None]:
    path = SHARED / "bad" / "cases.json"
    cases = json.loads(path.read_text()) if path.is_file() else {"videopose3d/control": {"broken": None}}
    return {name.split("/")[1]: case["broken"] for name, case in cases.items() if name.startswith("videopose3d/")}


@pytest.mark.parametrize("case", shared_cases())
def test_shared_broken_files_are_refused_and_nothing_in_them_runs(shared, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)  # where code in a file would leave its mark
    shutil.copytree(SHARED / "bad" / "videopose3d" / case, tmp_path / "data" / "Human36MNpz")
    broken = shared_cases()[case]
    detections = "cpn_ft_h36m_dbb" if broken and "cpn" in broken else "gt"
    for split in ("train", "test"):
        if broken is None:
            assert len(table(tmp_path / "data", split, detections=detections)) == 16
            continue
        with pytest.raises(UserError, match=broken) as refused:
            table(tmp_path / "data", split, detections=detections)
        assert "\n" not in str(refused.value)
    assert not list(tmp_path.rglob("PWNED"))
