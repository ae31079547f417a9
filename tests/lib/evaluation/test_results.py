import json

import numpy as np
import pytest

from lib.evaluation.evaluate import Predictions
from lib.evaluation.report import evaluate
from lib.evaluation.results import write_images, write_results
from lib.graph.scales import GraphScale
from tests.tables import FIVE_JOINTS, random_table

TABLE = random_table(4, joints=FIVE_JOINTS)
FACES = np.array([[0, 1, 2], [2, 3, 4]])
SCALES = [
    GraphScale(np.eye(5, dtype=bool), np.arange(5)),
    GraphScale(np.eye(5, dtype=bool), np.arange(5), None, FACES),
    GraphScale(np.eye(9, dtype=bool), np.arange(9), None, FACES[:0]),  # so coarse that no face is left
]


@pytest.fixture
def predictions() -> Predictions:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 20, TABLE.pose3d.shape).astype(np.float32)
    return Predictions(TABLE.pose3d * np.float32(1000) + noise, TABLE.flipped_meshes)


def make_report(predictions):
    actions = np.asarray(TABLE.action_names)[TABLE.actions]
    return evaluate(predictions.pose3d, TABLE.pose3d * np.float32(1000), actions, "protocol", "weights")


def test_metrics_follow_from_the_predictions_file_alone(tmp_path, predictions):
    report = make_report(predictions)
    write_results(tmp_path / "result", TABLE, predictions, report)
    metrics = json.loads((tmp_path / "result" / "metrics.json").read_text())
    with np.load(tmp_path / "result" / "predictions.npz", allow_pickle=False) as z:
        again = evaluate(z["pose3d"], z["pose3d_gt"], z["actions"], metrics["protocol"], metrics["weights"])
    assert again.to_dict() == metrics == report.to_dict()


def test_predictions_stand_beside_names_and_inputs_in_the_units_that_are_promised(tmp_path, predictions):
    write_results(tmp_path, TABLE, predictions, make_report(predictions))
    with np.load(tmp_path / "predictions.npz", allow_pickle=False) as z:
        assert z["names"].tolist() == TABLE.names.tolist()
        assert z["actions"].tolist() == ["Walking", "Sitting", "Eating", "Walking"]
        np.testing.assert_array_equal(z["pose2d"], TABLE.pose2d)
        np.testing.assert_array_equal(z["pose3d"], predictions.pose3d)
        np.testing.assert_array_equal(z["pose3d_gt"], TABLE.pose3d * np.float32(1000))
        np.testing.assert_array_equal(z["mesh_coarse"], TABLE.flipped_meshes[0])
        np.testing.assert_array_equal(z["mesh_fine"], TABLE.flipped_meshes[1])


def test_a_failed_write_leaves_the_old_results_whole(tmp_path, predictions, monkeypatch):
    write_results(tmp_path, TABLE, predictions, make_report(predictions))
    before = (tmp_path / "predictions.npz").read_bytes()

    def full(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        write_results(tmp_path, TABLE, predictions, make_report(predictions))
    assert (tmp_path / "predictions.npz").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.json", "predictions.npz"]


def test_pictures_and_objects_show_the_prediction_of_their_sample(tmp_path, predictions):
    write_images(tmp_path, TABLE, predictions, SCALES, FIVE_JOINTS, count=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"picture_000000_{name}" for name in ("mesh_coarse.obj", "mesh_coarse.png", "pose.obj", "pose.png")
    ]
    lines = [line.split() for line in (tmp_path / "picture_000000_mesh_coarse.obj").read_text().splitlines()]
    vertices = np.array([line[1:] for line in lines if line[0] == "v"], float)
    up = vertices * [1, -1, -1]  # obj files stand upright
    np.testing.assert_allclose(up, TABLE.flipped_meshes[0][0], atol=1e-5)
    assert [[int(n) - 1 for n in line[1:]] for line in lines if line[0] == "f"] == FACES.tolist()
    assert (tmp_path / "picture_000000_pose.png").read_bytes().startswith(b"\x89PNG")


def test_samples_are_spread_over_the_table(tmp_path, predictions, monkeypatch):
    monkeypatch.setattr("lib.evaluation.results.draw_pose", lambda *_: None)
    monkeypatch.setattr("lib.evaluation.results.draw_mesh", lambda *_: None)
    write_images(tmp_path, TABLE, predictions, SCALES, FIVE_JOINTS, count=2)
    assert {p.name[:14] for p in tmp_path.iterdir()} == {"picture_000000", "picture_000003"}
    write_images(tmp_path, TABLE, predictions, SCALES, FIVE_JOINTS, count=9)
    assert len({p.name[:14] for p in tmp_path.iterdir()}) == 4


@pytest.mark.parametrize("count", [0, 1])
def test_a_network_with_fewer_meshes_leaves_the_arrays_and_files_of_those_it_has(tmp_path, predictions, count):
    fewer = Predictions(predictions.pose3d, predictions.meshes[:count])
    write_results(tmp_path, TABLE, fewer, make_report(fewer))
    with np.load(tmp_path / "predictions.npz", allow_pickle=False) as z:
        assert [name for name in z.files if name.startswith("mesh")] == ["mesh_coarse"][:count]
    write_images(tmp_path / "vis", TABLE, fewer, SCALES, FIVE_JOINTS, count=1)
    kinds = {p.stem.split("_", 2)[2] for p in (tmp_path / "vis").iterdir()}
    assert kinds == {"pose"} | ({"mesh_coarse"} if count else set())
