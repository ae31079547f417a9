import json

import numpy as np
import pytest

from data.AMASS.importer import choose_split, import_amass, load_person, person_file, read_split
from lib.errors import UserError
from tests.field_files import write_amass

PEOPLE = ["CMU/01", "CMU/60", "KIT/3", "SSM_synced/2016"]


@pytest.fixture
def amass(tmp_path):
    """A folder of four people in three sub-sets, one of them with two recordings."""
    folder = tmp_path / "amass"
    write_amass(folder / "CMU" / "01" / "01_01_poses.npz", 61, 120.0, "male", seed=1)
    write_amass(folder / "CMU" / "01" / "a b_poses.npz", 31, 60.0, "male", seed=2)
    write_amass(folder / "CMU" / "60" / "60_02_poses.npz", 25, 60.0, "female", seed=3)
    write_amass(folder / "KIT" / "3" / "walk_stageii.npz", 31, 100.0, "female", "smplx", seed=4)
    write_amass(folder / "SSM_synced" / "2016" / "wings_poses.npz", 13, 59.94, "neutral", seed=5)
    np.savez(folder / "CMU" / "01" / "shape.npz", betas=np.zeros(16))
    (folder / "CMU" / "LICENSE.txt").write_text("yours")
    return folder


def imported(amass, output, **options):
    return import_amass(amass, output, progress=False, **options)


def test_every_kept_frame_comes_back_as_it_was_in_the_file(amass, tmp_path):
    report = imported(amass, tmp_path / "out")
    assert report.frames == {"CMU/01": 12, "CMU/60": 5, "KIT/3": 4, "SSM_synced/2016": 3}
    motions = dict(load_person(tmp_path / "out" / "annotations" / person_file(1)))
    assert list(motions) == ["01_01_poses", "a b_poses"]
    with np.load(amass / "CMU" / "01" / "a b_poses.npz") as z:
        motion = motions["a b_poses"]
        assert motion.frame.tolist() == [0, 6, 12, 18, 24, 30]
        np.testing.assert_allclose(motion.pose[:, :66], z["poses"][::6, :66], atol=1e-6)
        np.testing.assert_array_equal(motion.trans, z["trans"][::6])
        np.testing.assert_array_equal(motion.betas, z["betas"][:10])
        assert (motion.gender, motion.model, motion.rate) == ("male", "smplh", 60.0)
    assert not motion.pose[:, 66:].any()


def test_the_published_test_subset_is_tested_by_default(amass, tmp_path):
    report = imported(amass, tmp_path / "out")
    assert report.split == {"train": PEOPLE[:3], "test": PEOPLE[3:]}
    assert read_split(tmp_path / "out")["test"] == {"SSM_synced/2016": 4}
    assert "1 files are of SMPL-X" in str(report)


@pytest.mark.parametrize(
    ("train", "test", "tested"),
    [
        (None, ["CMU"], PEOPLE[:2]),
        (None, ["60", "KIT/3"], PEOPLE[1:3]),
        (["CMU", "KIT"], None, PEOPLE[3:]),
        (["CMU/01"], ["3"], PEOPLE[2:3]),
    ],
)
def test_the_split_is_named_by_subsets_and_subjects(train, test, tested):
    split = choose_split(PEOPLE, train, test)
    assert split["test"] == tested
    assert not set(split["train"]) & set(tested)


def test_without_the_published_subsets_the_last_fifth_is_tested_and_one_person_is_both():
    assert choose_split(PEOPLE[:3], None, None)["test"] == ["KIT/3"]
    assert choose_split(PEOPLE[:1], None, None) == {"train": ["CMU/01"], "test": ["CMU/01"]}


@pytest.mark.parametrize(("train", "test"), [(None, ["EKUT"]), (["CMU"], ["01"])])
def test_a_split_that_cannot_be_is_refused_before_anything_is_written(amass, tmp_path, train, test):
    with pytest.raises(UserError, match=r"EKUT|both"):
        imported(amass, tmp_path / "out", train=train, test=test)
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_leaves_the_earlier_import_as_it_was(amass, tmp_path):
    imported(amass, tmp_path / "out")
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    path = amass / "KIT" / "3" / "walk_stageii.npz"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match="walk_stageii"):
        imported(amass, tmp_path / "out")
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before
    with pytest.raises(UserError):
        imported(amass, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_damaged_files_are_skipped_and_named_on_request(amass, tmp_path):
    path = amass / "CMU" / "60" / "60_02_poses.npz"
    path.write_bytes(b"no zip")
    report = imported(amass, tmp_path / "out", skip_damaged=True)
    assert report.files == 4
    assert "60_02_poses" in report.skipped[0]
    assert read_split(tmp_path / "out")["train"] == {"CMU/01": 1, "KIT/3": 3}


def test_a_second_import_replaces_the_first(amass, tmp_path):
    imported(amass, tmp_path / "out")
    imported(amass / "CMU", tmp_path / "out", fps=30)
    assert sorted(p.name for p in (tmp_path / "out" / "annotations").iterdir()) == [person_file(1), person_file(2)]
    assert read_split(tmp_path / "out")["fps"] == 30
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["annotations", "split.json"]


def test_a_folder_of_other_annotations_is_not_replaced(amass, tmp_path):
    (tmp_path / "out" / "annotations").mkdir(parents=True)
    (tmp_path / "out" / "annotations" / "mine.json").write_text("{}")
    with pytest.raises(UserError, match=r"no split\.json"):
        imported(amass, tmp_path / "out")
    assert (tmp_path / "out" / "annotations" / "mine.json").exists()


def test_a_folder_without_motion_is_named(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        imported(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(UserError, match="holds no motion of AMASS"):
        imported(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"version": 0})])
def test_a_damaged_split_file_asks_for_a_new_import(amass, tmp_path, content):
    imported(amass, tmp_path / "out")
    (tmp_path / "out" / "split.json").write_text(content)
    with pytest.raises(UserError, match="import AMASS again"):
        read_split(tmp_path / "out")
