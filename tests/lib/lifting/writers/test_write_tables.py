import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from lib.lifting.quality import Quality
from lib.lifting.writers.tables import write_csv, write_json, write_npz
from tests.waving_person import make_sequence

R_WRIST = 16


@pytest.fixture
def people():
    return [make_sequence(3, 1, (-0.5, 0.25, 4)), replace(make_sequence(2, 2), frames=np.array([1, 5]))]


def test_npz_has_a_row_per_person_and_frame(tmp_path, people):
    write_npz(tmp_path / "a.npz", people)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        content = dict(file)
    assert content["person"].tolist() == [1, 1, 1, 2, 2]
    assert content["frame"].tolist() == [0, 1, 2, 1, 5]
    np.testing.assert_allclose(content["pose3d"][3:], people[1].pose3d, atol=1e-6)
    np.testing.assert_allclose(content["pose2d"][:3], people[0].pose2d, rtol=1e-6)
    np.testing.assert_allclose(content["mesh_fine"][:3], people[0].meshes[1], atol=1e-6)
    np.testing.assert_array_equal(content["faces_coarse"], people[0].faces[0])
    assert content["root"][0].tolist() == [-0.5, 0.25, 4]
    assert np.isnan(content["root"][3:]).all()
    assert content["joint_names"][R_WRIST] == "R_Wrist"
    assert (content["fps"], content["image_size"].tolist()) == (24.0, [640, 480])
    assert "metres" in json.loads(str(content["conventions"]))["pose3d"]


def test_json_says_units_and_keeps_a_tenth_of_a_millimetre(tmp_path, people):
    write_json(tmp_path / "a.json", people)
    content = json.loads((tmp_path / "a.json").read_text())
    assert "metres" in content["conventions"]["pose3d"]
    assert content["joint_names"][R_WRIST] == "R_Wrist"
    first, second = content["persons"]
    assert (first["person"], second["person"], second["frames"]) == (1, 2, [1, 5])
    assert first["pose3d"][0][R_WRIST] == [-0.33, -0.94, -0.06]
    np.testing.assert_allclose(first["pose3d"], people[0].pose3d, atol=5.1e-5)
    np.testing.assert_allclose(first["meshes"]["fine"]["vertices"], people[0].meshes[1], atol=5.1e-5)
    assert first["root"][0] == [-0.5, 0.25, 4]
    assert second["root"] is None
    assert first["imputed"][0].index(True) == 13  # L_Wrist


def test_csv_columns_carry_joint_axis_and_unit(tmp_path, people):
    write_csv(tmp_path / "a.csv", people)
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert len(rows[0]) == 6 + 17 * (3 + 2 + 1 + 1)
    assert [float(rows[0][f"R_Wrist_{axis}_m"]) for axis in "xyz"] == [-0.33, -0.94, -0.06]
    # the right wrist is at (-0.83, -0.69, 3.94) m from the camera: 320 - 0.83 / 3.94 * 500 = 214.67 px
    assert float(rows[0]["R_Wrist_u_px"]) == 214.67
    assert (rows[0]["L_Wrist_imputed"], rows[0]["R_Wrist_imputed"], rows[0]["Head_score"]) == ("1", "0", "0.9")
    assert rows[0]["root_z_m"] == "4.0"
    assert rows[4]["root_z_m"] == ""
    assert (rows[4]["person"], rows[4]["frame"], rows[4]["time_s"]) == ("2", "5", "0.2083")  # 5 / 24


@pytest.fixture
def measured(people):
    extras = [{"effort": np.arange(3.0)}, {"effort": np.array([7.0, 8])}]
    qualities = [Quality(0.5, 0.25, 0.0, 12.25, 0.0625), Quality(0.01, 0.0, 0.0, None, 0.0)]
    return [
        replace(s, extras=e, quality=q, camera=(500.0, 510.0, 320.0, 240.0), assumed=("fps",))
        for s, e, q in zip(people, extras, qualities, strict=True)
    ]


def test_npz_holds_quality_conditions_and_further_results(tmp_path, measured):
    write_npz(tmp_path / "a.npz", measured)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        content = dict(file)
    assert content["effort"].tolist() == [0, 1, 2, 7, 8]
    assert content["quality_person"].tolist() == [1, 2]
    assert content["quality_limb_spread"].tolist() == [0.5, 0.01]
    assert content["quality_jitter"][0] == 12.25
    assert np.isnan(content["quality_jitter"][1])
    assert content["quality_imputed"].tolist() == [0.0625, 0]
    assert content["camera"].tolist() == [500, 510, 320, 240]
    assert content["assumed"].tolist() == ["fps"]


def test_json_holds_quality_warnings_conditions_and_further_results(tmp_path, measured):
    write_json(tmp_path / "a.json", measured)
    content = json.loads((tmp_path / "a.json").read_text())
    first, second = content["persons"]
    assert first["quality"] == {"limb_spread": 0.5, "misfit": 0.25, "inverted": 0.0, "jitter": 12.25, "imputed": 0.0625}
    assert first["warnings"] == measured[0].quality.warnings()
    assert len(first["warnings"]) >= 1
    assert second["quality"]["jitter"] is None
    assert second["warnings"] == []
    assert second["effort"] == [7, 8]
    assert (content["camera"], content["assumed"]) == ([500, 510, 320, 240], ["fps"])


def test_files_without_quality_say_so(tmp_path, people):
    write_json(tmp_path / "a.json", people)
    write_npz(tmp_path / "a.npz", people)
    assert json.loads((tmp_path / "a.json").read_text())["persons"][0]["quality"] is None
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert np.isnan(file["quality_jitter"]).all()
        assert file["assumed"].tolist() == []
