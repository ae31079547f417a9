"""From a folder of files to annotations that the one reader of the project reads."""

import json
import os

import numpy as np
import pytest
from mocap_files import person_amc, person_asf, person_bvh

from data.Human36M.annotations import read_subject
from data.Mocap.dataset import mocap
from data.Mocap.importer import choose_split, find_recordings, import_mocap, number_subjects, stretches, subject_name
from lib.camera import world_to_camera
from lib.config import DatasetConfig
from lib.errors import UserError
from tests.bodies import tiny_body


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """(input, data folder, report) of an import of five motions of three subjects and one broken file."""
    folder, data_dir = tmp_path_factory.mktemp("in"), tmp_path_factory.mktemp("data")
    (folder / "07.asf").write_text(person_asf())
    still = [{}] * 25
    (folder / "07_01.amc").write_text(person_amc(still))
    # the root walks 5 units = 0.28 m per frame in x and z
    walk = [{"root": f"{i * 5} 14 {-i * 5} 0 0 0"} for i in range(25)]
    (folder / "07_02.amc").write_text(person_amc(walk))
    glitch = list(still)
    glitch[12] = {"lhumerus": "0 0 90"}
    (folder / "07_03.amc").write_text(person_amc(glitch))
    (folder / "HDM_xy_jump.bvh").write_text(person_bvh(frames=4, whole=False, fps=10))
    (folder / "cmu_08_01.bvh").write_text(person_bvh(frames=4, unit=0.01 * 0.45 / 0.0254, fps=10))
    (folder / "08_02.bvh").write_text(person_bvh()[:-40])
    (folder / "09_01.amc").write_text(person_amc(still))
    (folder / "10.asf").write_text(person_asf())
    report = import_mocap(folder, data_dir / "Mocap", tiny_body(), progress=False)
    return folder, data_dir, report


def test_subjects_keep_their_numbers_and_named_ones_follow_from_1001(imported):
    _, data_dir, _ = imported
    split = json.loads((data_dir / "Mocap" / "split.json").read_text())
    assert split == {
        "train": {"subjects": [7, 8], "frame_stride": 1},
        "test": {"subjects": [1001], "frame_stride": 1},
        "subject_numbers": {"07": 7, "08": 8, "xy": 1001},
    }


def test_the_loader_reads_the_split(imported):
    source = mocap(DatasetConfig((), (), data_dir=str(imported[1])), tiny_body())
    assert source.splits["train"].subjects == (7, 8)
    assert source.splits["test"].subjects == (1001,)
    assert len(read_subject(source.folder, 1001).names) == 16


def test_the_report_tells_what_happened(imported):
    _, _, report = imported
    # 25 frames at 120 fps give 3 at 10 fps: 07_01 3, 07_02 3, 07_03 2 (frame 12 is the glitch)
    assert report.files == 5
    assert report.frames == {"07": 8, "08": 4, "xy": 4}
    assert report.samples == {"07": 32, "08": 16, "xy": 16}
    assert report.glitches == {"07_03.amc": 1}
    assert list(report.repaired) == ["HDM_xy_jump.bvh"]
    text = str(report)
    assert "5 files read, 2 skipped" in text
    assert "08_02.bvh, line" in text
    assert "09_01.amc: there is no skeleton such as 09.asf beside it" in text


def test_a_person_who_walks_away_stays_inside_the_pictures(imported):
    _, data_dir, _ = imported
    samples = read_subject(data_dir / "Mocap" / "annotations", 7)
    walk = [name for name in samples.names if "act_03" in name]
    # 12 frames x 5 units x 56.4 mm = 3387 mm from one kept frame to the next: each is a stretch of its own.
    assert len(walk) == 12
    assert {name.split("_subact_")[1][:2] for name in walk} == {"01", "02", "03"}


def test_joints_are_world_millimetres_with_z_up(imported):
    _, data_dir, _ = imported
    joints = read_subject(data_dir / "Mocap" / "annotations", 1001).joints
    unit = 25.4 / 0.45
    np.testing.assert_allclose(joints[0, 0], [0, 0, 14 * unit], atol=0.01)
    # R_Ankle 14 units below, 1.6 to the right; the person faces world -y, so the nose has the least y.
    np.testing.assert_allclose(joints[0, 3], [-1.6 * unit, 0, 0], atol=0.01)
    assert joints[0, 9, 1] == pytest.approx(-100, abs=0.01)


def test_the_body_stands_where_the_person_stands(imported):
    _, data_dir, report = imported
    samples = read_subject(data_dir / "Mocap" / "annotations", 7)
    assert np.abs(samples.betas).max() <= 2.5
    assert max(report.distances.values()) < 50
    camera_space = world_to_camera(samples.joints[samples.frame], samples.R[samples.camera], samples.t[samples.camera])
    assert camera_space[..., 2].min() > 2000


def test_the_same_seed_gives_the_same_files(imported, tmp_path):
    folder, data_dir, _ = imported
    for seed in (0, 1):
        import_mocap(folder, tmp_path / str(seed), tiny_body(), seed=seed, progress=False)
    name = "annotations/Human36M_subject7_{}.json"
    for part in ("data", "camera", "joint_3d", "smpl_param"):
        first = (data_dir / "Mocap" / name.format(part)).read_bytes()
        assert first == (tmp_path / "0" / name.format(part)).read_bytes()
    assert (tmp_path / "0" / name.format("camera")).read_text() != (tmp_path / "1" / name.format("camera")).read_text()


def test_an_import_that_cannot_be_done_leaves_no_split(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a_1.bvh").write_text("HIERARCHY")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "split.json").write_text("{}")
    with pytest.raises(UserError, match=r"no file could be used; the first: .*a_1\.bvh, line 1"):
        import_mocap(tmp_path / "in", tmp_path / "out", tiny_body(), progress=False)
    assert not (tmp_path / "out" / "split.json").exists()


@pytest.mark.parametrize(
    ("stem", "name"),
    [("94_04", "94"), ("cmu_12_01_walk", "12"), ("HDM_bd", "bd"), ("1_3", "01"), ("135_04", "135"), ("walk", "walk")],
)
def test_the_subject_is_the_first_part_of_the_name(stem, name):
    assert subject_name(stem) == name


def test_numbers_are_kept_and_names_counted_in_order():
    assert number_subjects({"bk", "135", "01", "bd", "2000", "00"}) == {
        "01": 1, "135": 135, "00": 1001, "2000": 1002, "bd": 1003, "bk": 1004,
    }  # fmt: skip


def test_split_rules():
    names = ["01", "03", "11", "bd", "bk", "dg"]
    assert choose_split(names, None, None) == {"train": names[:5], "test": ["dg"]}  # round(6 / 5) = 1
    assert choose_split(names, None, ["1", "bd"]) == {"train": ["03", "11", "bk", "dg"], "test": ["01", "bd"]}
    assert choose_split(names, ["01"], ["bd"]) == {"train": ["01"], "test": ["bd"]}
    assert choose_split(names, None, names) == {"train": [], "test": names}  # only to test on
    assert choose_split(["01"], None, None) == {"train": ["01"], "test": ["01"]}


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (None, ["04"], "test subjects 04: choose among 01 03"),
        ([], None, r"train subjects \(none\)"),
        (["01"], ["01"], "01 are in both"),
        (["01", "03"], None, "no subject is left to test on"),
    ],
)
def test_impossible_splits_are_refused(train, test, message):
    with pytest.raises(UserError, match=message):
        choose_split(["01", "03"], train, test)


def test_which_name_of_a_folder_counts_does_not_depend_on_the_file_system(tmp_path, monkeypatch):
    for name in ("m", "z"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "01_01.bvh").touch()
    (tmp_path / "a").symlink_to(tmp_path / "z")
    found = {}
    for reverse in (False, True):
        walk = os.walk

        def in_order(*args, walk=walk, reverse=reverse, **kwargs):
            for root, folders, names in walk(*args, **kwargs):
                folders.sort(reverse=reverse)
                yield root, folders, names

        with monkeypatch.context() as patch:
            patch.setattr(os, "walk", in_order)
            found[reverse] = [r.path.parent.name for r in find_recordings(tmp_path)[0]]
    assert found == {False: ["a", "m"], True: ["a", "m"]}


def test_soft_linked_folders_are_read_once_even_in_a_circle(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for name in ("01.asf", "01_01.amc"):
        (tmp_path / "elsewhere" / name).touch()
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "01").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    recordings, report = find_recordings(folder)
    assert [r.path.name for r in recordings] == ["01_01.amc"]
    assert recordings[0].asf == recordings[0].path.with_name("01.asf")
    assert report.skipped == []


def test_subjects_to_train_on_that_cannot_be_read_are_told_but_none_may_be_wanted(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "01_01.bvh").write_text(person_bvh()[:-40])
    (folder / "02_01.bvh").write_text(person_bvh(frames=4, fps=10))
    with pytest.raises(UserError, match=r"no file of the subjects to train on could be used; the first: .*01_01\.bvh"):
        import_mocap(folder, tmp_path / "out", tiny_body(), test_subjects=["02"], progress=False)
    assert not (tmp_path / "out" / "split.json").exists()
    (folder / "01_01.bvh").unlink()
    report = import_mocap(folder, tmp_path / "out", tiny_body(), test_subjects=["02"], progress=False)
    assert report.split == {"train": [], "test": ["02"]}


def test_folders_without_motion_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        find_recordings(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no \.amc or \.bvh"):
        find_recordings(tmp_path)


def test_a_motion_takes_the_skeleton_with_the_longest_fitting_name(tmp_path):
    for name in ("HDM_bd.asf", "HDM.asf", "HDM_bd_run_001.AMC", "HDM_bk_run.amc", "x.amc"):
        (tmp_path / name).write_text("")
    recordings, report = find_recordings(tmp_path)
    assert [(r.path.name, r.asf.name, r.action_idx) for r in recordings] == [
        ("HDM_bd_run_001.AMC", "HDM_bd.asf", 2),
        ("HDM_bk_run.amc", "HDM.asf", 3),
    ]
    assert len(report.skipped) == 1


def test_a_way_is_cut_before_it_grows_longer_than_the_room():
    ground = np.array([[0, 0], [2900, 0], [3100, 0], [3100, 3000], [3100, 3100], [3100, 3100]], float)
    assert stretches(ground) == [slice(0, 2), slice(2, 4), slice(4, 6)]
