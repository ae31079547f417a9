import json

import numpy as np
import pytest

from lib.evaluation.protocols import PROTOCOLS, Protocol
from lib.evaluation.report import evaluate
from tests.plain.metrics import plain_mpjpe, plain_pa_mpjpe

RNG = np.random.default_rng(0)


def test_a_report_worked_out_by_hand():
    # three frames of four joints; the root is right, the other joints are off by 4, 8 and 40 mm in x
    truth = RNG.normal(0, 300, (3, 4, 3))
    pose = truth.copy()
    pose[:, 1:, 0] += np.array([4, 8, 40])[:, None]
    report = evaluate(pose, truth, np.array(["Walk", "Walk", "Eat"]), "the protocol", "the weights")
    np.testing.assert_allclose(report.mpjpe, (4 + 8 + 40) / 3 * 3 / 4)  # the root's zero counts
    np.testing.assert_allclose(report.mpjpe_16, (4 + 8 + 40) / 3)
    np.testing.assert_allclose(report.per_action["Walk"]["mpjpe"], 4.5)
    np.testing.assert_allclose(report.per_action["Eat"]["mpjpe"], 30)
    np.testing.assert_allclose(report.action_mean, (4.5 + 30) / 2)  # actions count alike, however many frames
    assert [row["num_samples"] for row in report.per_action.values()] == [2, 1]
    assert (report.num_samples, report.protocol, report.weights) == (3, "the protocol", "the weights")


def test_errors_are_those_of_the_plain_metrics():
    truth = RNG.normal(0, 300, (12, 17, 3))
    pose = truth + RNG.normal(0, 40, truth.shape) + RNG.normal(0, 500, (12, 1, 3))
    actions = np.array(["a", "b", "c"])[np.arange(12) % 3]
    report = evaluate(pose, truth, actions)
    plain, aligned = plain_mpjpe(pose, truth), plain_pa_mpjpe(pose, truth)
    np.testing.assert_allclose([report.mpjpe, report.pa_mpjpe], [plain.mean(), aligned.mean()])
    for k, name in enumerate("abc"):
        np.testing.assert_allclose(report.per_action[name]["mpjpe"], plain[k::3].mean())
        np.testing.assert_allclose(report.per_action[name]["pa_mpjpe"], aligned[k::3].mean())
    np.testing.assert_allclose(report.pa_action_mean, np.mean([aligned[k::3].mean() for k in range(3)]))


def test_a_person_s_place_does_not_count_but_size_and_turn_only_for_the_aligned_error():
    truth = RNG.normal(0, 300, (4, 17, 3))
    actions = np.full(4, "Walk")
    moved = evaluate(truth + [1000.0, 0, 50], truth, actions)
    assert moved.mpjpe < 1e-9
    turned = evaluate(1.1 * truth[..., [1, 2, 0]], truth, actions)
    assert min(turned.mpjpe, turned.n_mpjpe) > 100
    assert turned.pa_mpjpe < 1e-9
    taller = evaluate(1.1 * truth + [1000.0, 0, 50], truth, actions)
    assert taller.mpjpe > 20
    assert taller.n_mpjpe < 1e-9


def test_actions_stand_in_order_of_appearance():
    truth = np.zeros((4, 3, 3))
    truth[:, 1] = [[1, 2, 3]]
    report = evaluate(truth, truth, np.array(["b", "c", "a", "c"]))
    assert list(report.per_action) == ["b", "c", "a"]


def test_single_precision_input_loses_nothing_in_the_means():
    truth = RNG.normal(0, 300, (50, 17, 3)).astype(np.float32)
    pose = truth + np.float32(0.125)
    pose[:, 0] = truth[:, 0]
    report = evaluate(pose, truth, np.full(50, "x"))
    exact = np.linalg.norm(pose.astype(np.float64) - truth.astype(np.float64), axis=-1)
    assert abs(report.mpjpe - exact.mean()) < 1e-12 * exact.mean()


def test_the_text_shows_every_number_and_ends_with_the_protocol():
    truth = RNG.normal(0, 300, (6, 17, 3))
    report = evaluate(truth + RNG.normal(0, 30, truth.shape), truth, np.array(["Walk", "Eat"] * 3), "says what it is")
    text = report.text()
    lines = text.splitlines()
    assert lines[-1] == "says what it is"
    for value in (
        report.mpjpe,
        report.pa_mpjpe,
        report.mpjpe_16,
        report.n_mpjpe,
        report.action_mean,
        report.pa_action_mean,
    ):
        assert f"{value:.2f} mm" in text
    assert "mean of 2 action means" in text
    for name, row in report.per_action.items():
        assert [name, "3", f"{row['mpjpe']:.2f}", f"{row['pa_mpjpe']:.2f}"] in [line.split() for line in lines]


def test_the_dictionary_is_plain_json_with_the_published_names():
    truth = RNG.normal(0, 300, (2, 17, 3)).astype(np.float32)
    report = evaluate(truth, truth, np.array(["Walk", "Eat"]))
    content = json.loads(json.dumps(report.to_dict()))
    assert set(content) == {
        "mpjpe", "pa_mpjpe", "mpjpe_16", "n_mpjpe", "action_mean", "pa_action_mean", "per_action", "num_samples", "protocol",
        "weights",
    }  # fmt: skip
    assert content == report.to_dict()


# ---- protocols


def test_videopose3d_takes_predictions_as_they_are_and_the_truth_from_its_root():
    truth = RNG.normal(0, 300, (4, 5, 3)) + [0, 0, 4000]
    pose = truth - truth[:, :1] + [3.0, 4, 0]  # every joint off by 5, the root too
    actions = np.array(["Walk", "Walk", "Walk", "Eat"])
    assert evaluate(pose, truth, actions).mpjpe < 1e-9
    report = evaluate(pose, truth, actions, scoring=PROTOCOLS["videopose3d"])
    np.testing.assert_allclose([report.mpjpe, report.action_mean], 5)
    assert report.pa_mpjpe < 1e-9


def test_velocities_are_reported_where_frames_follow_each_other_and_nowhere_else():
    truth = RNG.normal(0, 300, (6, 4, 3))
    pose = truth.copy()
    pose[2, 1:] += [0, 8, 0]  # in Walk: steps 1-2 and 2-3 are wrong by 8 in three of four joints, step 0-1 by nothing
    actions = np.array(["Walk"] * 4 + ["Eat"] * 2)
    sequences, frames = np.array(["a"] * 4 + ["b"] * 2), np.array([0, 1, 2, 3, 7, 8])
    report = evaluate(pose, truth, actions, sequences=sequences, frames=frames)
    np.testing.assert_allclose(report.per_action["Walk"]["mpjve"], (0 + 6 + 6) / 3)
    np.testing.assert_allclose(report.per_action["Eat"]["mpjve"], 0, atol=1e-12)
    np.testing.assert_allclose(report.further["mpjve"], 12 / 4)
    np.testing.assert_allclose(report.further["mpjve_action_mean"], 2)
    assert report.to_dict()["mpjve"] == report.further["mpjve"]
    assert "velocity error (MPJVE) 3.00 mm per frame, mean of action means 2.00" in report.text()
    strided = evaluate(pose, truth, actions, sequences=sequences, frames=5 * frames)
    assert strided.further == {}
    assert "MPJVE" not in strided.text()


def test_what_a_protocol_adds_stands_in_the_text_and_beside_the_other_numbers():
    def further(pose3d, pose3d_gt, actions, sequences):
        return {"pck": 87.5, "per_sequence": {name: {"pck": 80.0} for name in np.unique(sequences)}}

    truth = RNG.normal(0, 300, (2, 4, 3))
    scoring = Protocol("made up", further=further)
    report = evaluate(truth, truth, np.array(["Walk", "Eat"]), scoring=scoring, sequences=np.array(["TS1", "TS2"]))
    assert report.to_dict()["per_sequence"]["TS2"] == {"pck": 80.0}
    lines = report.text().splitlines()
    assert "pck 87.50" in lines
    assert any(line.split() == ["TS1", "80.00"] for line in lines)


def test_the_root_is_the_joint_set_s_whatever_its_index():
    """Joints 3 and 5 mm off relative to joint 2, which itself is shifted: its zero counts in MPJPE, not without the root."""
    truth = np.zeros((1, 3, 3))
    pose = np.array([[[13.0, 0, 0], [10.0, 4, 3], [10.0, 0, 0]]])
    report = evaluate(pose, truth, np.array(["Walking"]), root=2)
    assert report.mpjpe == pytest.approx((3 + 5 + 0) / 3)
    assert report.mpjpe_16 == pytest.approx((3 + 5) / 2)
