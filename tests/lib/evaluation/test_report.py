import json

import numpy as np

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
    assert turned.mpjpe > 100
    assert turned.pa_mpjpe < 1e-9


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
    for value in (report.mpjpe, report.pa_mpjpe, report.mpjpe_16, report.action_mean, report.pa_action_mean):
        assert f"{value:.2f} mm" in text
    assert "mean of 2 action means" in text
    for name, row in report.per_action.items():
        assert [name, "3", f"{row['mpjpe']:.2f}", f"{row['pa_mpjpe']:.2f}"] in [line.split() for line in lines]


def test_the_dictionary_is_plain_json_with_the_published_names():
    truth = RNG.normal(0, 300, (2, 17, 3)).astype(np.float32)
    report = evaluate(truth, truth, np.array(["Walk", "Eat"]))
    content = json.loads(json.dumps(report.to_dict()))
    assert set(content) == {
        "mpjpe", "pa_mpjpe", "mpjpe_16", "action_mean", "pa_action_mean", "per_action", "num_samples", "protocol",
        "weights",
    }  # fmt: skip
    assert content == report.to_dict()
