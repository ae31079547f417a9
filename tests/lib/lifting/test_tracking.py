"""Walkers of known identity through the tracker: crossings, noise, gaps, ghosts, and one frame at a time."""

import numpy as np
import pytest

from lib.joints import COCO_17
from lib.lifting.tracking import MAX_GAP, Tracker
from tests.stick_person import walking_joints

RATE = 25
SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 10))]


def walker(start: float, speed: float, frames: int = 125, height: float = 300.0, phase: float = 0.0) -> np.ndarray:
    """(T, 17, 3) px: a person in COCO's joints seen from the side, at x = start px, walking with speed px per second."""
    t = np.arange(frames) / RATE
    body = np.stack([walking_joints(phase + 6 * t)[name] for name in COCO_17.names], axis=1)  # left, up, forward
    direction = np.sign(speed) or 1
    x = start + speed * t[:, None] + direction * height / 1.7 * body[..., 2]
    return np.stack([x, 500 - height / 1.7 * body[..., 1], np.full_like(x, 0.9)], axis=-1)


def noisy(people: list[np.ndarray], seed: int = 0) -> list[np.ndarray]:
    """4 px of noise on every joint, and 3 px that all joints of a detection share."""
    rng, out = np.random.default_rng(seed), [p.copy() for p in people]
    for p in out:
        p[..., :2] += rng.normal(0, 4, p[..., :2].shape) + rng.normal(0, 3, (len(p), 1, 2))
    return out


def numbers(people: list[np.ndarray], seen: np.ndarray | None = None, shuffle: int = 0) -> list[list[int]]:
    """Track numbers of every person (T, J, 3) in the frames where seen (P, T) is true; detections in random order."""
    seen = np.ones((len(people), len(people[0])), bool) if seen is None else seen
    rng, tracker, out = np.random.default_rng(shuffle), Tracker(RATE), [[] for _ in people]
    for t in range(len(people[0])):
        order = rng.permutation(np.flatnonzero(seen[:, t]))
        found = np.stack([people[p][t] for p in order]) if len(order) else np.zeros((0, len(COCO_17), 3))
        for p, number in zip(order, tracker.update(t, found), strict=True):
            out[p].append(int(number))
    return out


@pytest.mark.parametrize("seed", SEEDS)
def test_two_walkers_who_cross_keep_their_numbers_under_noise(seed):
    people = noisy([walker(200, 150), walker(900, -140, phase=1.0)], seed)
    a, b = numbers(people, shuffle=seed)
    assert len(set(a)) == len(set(b)) == 1
    assert a[0] != b[0]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hidden", [0, 1])
def test_who_is_hidden_for_a_second_while_they_cross_keeps_the_number(seed, hidden):
    people = noisy([walker(200, 150), walker(900, -140, phase=1.0)], seed)
    meeting = int(700 / 290 * RATE)
    seen = np.ones((2, 125), bool)
    seen[hidden, meeting - 12 : meeting + 13] = False
    a, b = numbers(people, seen, seed)
    assert len(set(a)) == len(set(b)) == 1
    assert a[0] != b[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_two_who_cross_unseen_keep_their_numbers_because_they_go_straight_on(seed):
    people = noisy([walker(200, 150), walker(900, -140, phase=1.0)], seed)
    meeting = int(700 / 290 * RATE)
    seen = np.ones((2, 125), bool)
    seen[:, meeting - 12 : meeting + 13] = False
    a, b = numbers(people, seen, seed)
    assert len(set(a)) == len(set(b)) == 1
    assert a[0] != b[0]


def test_what_is_seen_of_two_who_cross_has_the_number_of_the_one_of_its_size():
    """Both stand still, 60 px apart; then only the larger one is seen, five sixths of the way to where the other is expected."""
    large, small = walker(400, 0, 10, height=300), walker(460, 0, 10, height=200)
    small[..., 1] += large[..., 1].mean() - small[..., 1].mean()  # as high in the image
    tracker = Tracker(RATE)
    for t in range(5):
        assert tracker.update(t, np.stack([large[t], small[t]])).tolist() == [0, 1]
    moved = large[5] + [50, 0, 0]
    assert tracker.update(5, moved[None]).tolist() == [0]


def test_who_stops_while_unseen_is_the_same_person():
    person = walker(200, 200)
    person[50:, :, 0] -= (person[50:, :, 0].mean(1) - person[50, :, 0].mean())[:, None]
    seen = np.ones((1, 125), bool)
    seen[0, 50:75] = False
    assert len(set(numbers([person], seen)[0])) == 1


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_everybody_missing_for_a_second_keeps_the_numbers(seed):
    people = noisy([walker(200, 150), walker(600, 130, phase=1.0)], seed)
    seen = np.ones((2, 125), bool)
    seen[:, 50:75] = False
    a, b = numbers(people, seen, seed)
    assert len(set(a)) == len(set(b)) == 1


def test_somebody_who_comes_back_after_the_longest_gap_is_new():
    seen = np.ones((1, 125), bool)
    seen[:, 20 : 20 + int(MAX_GAP * RATE) + 1] = False
    assert set(numbers([walker(200, 0)], seen)[0]) == {0, 1}


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_a_ghost_of_four_joints_does_not_take_the_persons_number(seed):
    (person,) = noisy([walker(200, 150)], seed)
    ghost = walker(200, 150)  # exactly where the person is, so its four joints fit better than the noisy ones
    ghost[:, 4:] = 0
    seen = np.ones((2, 125), bool)
    seen[1] = np.arange(125) % 3 == 0
    a, b = numbers([person, ghost], seen, seed)
    assert len(set(a)) == 1
    assert a[0] not in b


def test_a_person_of_whom_few_joints_are_seen_for_a_while_keeps_the_number():
    person = walker(200, 150)
    person[40:60, 5:] = 0
    assert set(numbers([person])[0]) == {0}


def test_a_fresh_track_wins_over_one_that_was_lost_a_second_ago():
    people = [walker(300, 0, 60), walker(330, 0, 60)]
    people[1][45:, :, 0] -= 20  # one step, to 310: nearer to where the first one was
    seen = np.ones((2, 60), bool)
    seen[0, 20:] = False
    assert len(set(numbers(people, seen)[1])) == 1


def test_a_long_track_wins_over_a_double_detection_that_is_a_little_nearer():
    people = [walker(300, 0, 60), walker(312, 0, 60)]
    seen = np.ones((2, 60), bool)
    seen[1] = np.arange(60) == 39  # the person is found twice in this frame
    people[0][40:, :, 0] += 10
    assert len(set(numbers(people, seen)[0])) == 1


def test_a_near_newcomer_does_not_push_numbers_on_by_one():
    """Somebody stays, a second leaves, a third appears: matching as many as possible would renumber the first."""
    people = [walker(300, 0, 60), walker(400, 0, 60), walker(205, 0, 60)]
    seen = np.ones((3, 60), bool)
    seen[1, 30:], seen[2, :30] = False, False
    a, b, c = numbers(people, seen)
    assert set(a) == {a[0]}
    assert c[0] not in a + b


def test_frame_numbers_count_not_calls():
    person, tracker = walker(200, 150), Tracker(RATE)
    found = [tracker.update(t, person[[t]])[0] for t in range(0, 125, 5)]
    assert set(found) == {0}
    with pytest.raises(ValueError, match="frame 120 does not come after"):
        tracker.update(120, person[[0]])


@pytest.mark.slow
def test_old_tracks_are_forgotten_so_that_memory_stays_bounded():
    tracker = Tracker(RATE)
    for t in range(0, 10_000, 50):  # everybody is seen once
        tracker.update(t, walker(200, 0, 1))
        assert len(tracker._tracks) == 1


def test_detections_without_joints_or_people_do_no_harm():
    tracker = Tracker(RATE)
    assert tracker.update(0, np.zeros((0, 17, 3))).tolist() == []
    assert tracker.update(1, np.zeros((2, 17, 3))).tolist() == [0, 1]
    assert tracker.update(2, walker(0, 0, 1)).tolist() == [2]
    one = np.zeros((1, 17, 3))
    one[0, 0] = 5, 5, 1  # a box without size
    assert len(tracker.update(3, one)) == 1


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e308, -1e308])
def test_numbers_out_of_all_proportion_are_missing_joints(value):
    person, tracker = walker(200, 150), Tracker(RATE)
    person[10:12, 3:5, 0] = value
    assert {int(tracker.update(t, person[[t]])[0]) for t in range(20)} == {0}
