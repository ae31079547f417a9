"""What `prepare_data.py check` finds, on real folders in which one thing is wrong."""

import json

import numpy as np
import pytest

from data import check as check_module
from data.check import check
from data.Human36M import source
from lib.config import load_config
from tests.annotation_files import write_annotations
from tests.bodies import tiny_body

SUBJECTS = {"train": (1, 5, 6, 7, 8), "test": (9, 11)}


@pytest.fixture
def cfg(tmp_path, monkeypatch, repository):
    """Human3.6M annotations of all seven subjects, and a body whose joints lie where the regressor says."""
    folder = tmp_path / "data" / "Human36M" / "annotations"
    write_annotations(folder, (*SUBJECTS["train"], *SUBJECTS["test"]))
    monkeypatch.setattr(check_module, "load_body", lambda *_, **__: tiny_body())
    monkeypatch.setattr(source, "PLAUSIBLE_FIT", 2000.0)  # random parameters: only gross errors can be told
    overrides = {"DATASET.data_dir": str(tmp_path / "data"), "MODEL.smpl_dir": "built-in"}
    return load_config(repository / "asset/yaml/HGN_human36J_train_human36.yml", overrides)


def states(cfg) -> list[str]:
    return [finding.state for finding in check(cfg)]


def wrong(cfg) -> str:
    return "\n".join(finding.text for finding in check(cfg) if finding.state == "wrong")


def annotation(tmp_path, subject, part):
    return tmp_path / "data" / "Human36M" / "annotations" / f"Human36M_subject{subject}_{part}.json"


def test_complete_data_have_nothing_wrong_and_every_subject_is_named(cfg):
    findings = list(check(cfg))
    assert {f.state for f in findings} == {"ok"}
    for split, subjects in SUBJECTS.items():
        for subject in subjects:
            assert any(f"Human36M {split} subject {subject}: " in f.text for f in findings)


def test_every_missing_file_is_named_not_only_the_first(cfg, tmp_path):
    annotation(tmp_path, 5, "camera").unlink()
    annotation(tmp_path, 9, "joint_3d").unlink()
    assert "Human36M_subject5_camera.json is missing" in wrong(cfg)
    assert "Human36M_subject9_joint_3d.json is missing" in wrong(cfg)


def test_a_split_without_subjects_is_wrong_for_who_names_it(cfg, tmp_path, repository):
    folder = tmp_path / "data" / "Mocap"
    write_annotations(folder / "annotations", (9,))
    split = {part: {"subjects": subjects, "frame_stride": 1} for part, subjects in (("train", []), ("test", [9]))}
    (folder / "split.json").write_text(json.dumps(split))
    overrides = {"DATASET.data_dir": str(tmp_path / "data"), "MODEL.smpl_dir": "built-in"}
    assert (
        wrong(load_config(repository / "asset/yaml/HGN_mocap_train.yml", overrides)) == "Mocap train: has no subjects"
    )


def test_a_damaged_file_is_named_and_the_other_subjects_are_still_checked(cfg, tmp_path):
    path = annotation(tmp_path, 6, "data")
    path.write_text(path.read_text()[:-100])
    assert "Human36M_subject6_data.json: is not valid JSON" in wrong(cfg)
    assert states(cfg).count("wrong") == 1


def test_joints_in_metres_are_told_from_millimetres(cfg, tmp_path):
    path = annotation(tmp_path, 7, "joint_3d")
    tree = json.loads(path.read_text())
    for subactions in tree.values():
        for frames in subactions.values():
            for frame, joints in frames.items():
                frames[frame] = (np.array(joints) / 1000).tolist()
    path.write_text(json.dumps(tree))
    assert "subject 7: thighs and shins measure 0.4" in wrong(cfg)


def test_parameters_of_another_person_are_told_by_the_distance_from_the_annotated_joints(cfg, tmp_path):
    path = annotation(tmp_path, 8, "smpl_param")
    tree = json.loads(path.read_text())
    for subactions in tree.values():
        for frames in subactions.values():
            for entry in frames.values():
                entry["trans"] = [50.0, 0.0, 0.0]
    path.write_text(json.dumps(tree))
    assert "subject 8: annotated joints are" in wrong(cfg)
    assert "do not belong together" in wrong(cfg)


def test_a_missing_detection_file_is_wrong_only_where_it_would_be_read(cfg, repository):
    overrides = {
        "DATASET.data_dir": cfg.DATASET.data_dir,
        "MODEL.smpl_dir": "built-in",
        "DATASET.detection_file": "no_such.json",
    }
    path = repository / "asset/yaml/HGN_human36J_train_human36.yml"
    assert "wrong" not in states(load_config(path, overrides))
    assert "no_such.json is missing" in wrong(load_config(path, {**overrides, "DATASET.use_gt_input": False}))
