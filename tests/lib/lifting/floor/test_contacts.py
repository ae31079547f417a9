import numpy as np
import pytest

from lib.lifting.floor.contacts import Contact, contact_table, find_contacts, speeds

WHOLE = [slice(0, 50)]


def found(speed, height=None, fps=25.0, parts=WHOLE, **options):
    speed = np.asarray(speed, float)[:, None]
    height = np.zeros_like(speed) if height is None else np.asarray(height, float)[:, None]
    return [(c.start, c.stop) for c in find_contacts(height, speed, np.arange(len(speed)) / fps, parts, **options)]


def speed_with(**runs):
    speed = np.full(50, 2.0)
    for name, value in runs.items():
        a, b = map(int, name[1:].split("_"))
        speed[a:b] = value
    return speed


def test_a_steady_point_has_its_speed_at_every_frame_rate():
    for fps in (10.0, 25.0, 120.0):
        seconds = np.arange(30) / fps
        points = np.stack([1.5 * seconds, 0 * seconds, -2.0 * seconds], -1)[:, None]
        np.testing.assert_allclose(speeds(points, seconds), 2.5, rtol=1e-9)


def test_one_frame_has_no_speed():
    assert speeds(np.ones((1, 2, 3)), np.zeros(1)).tolist() == [[0.0, 0.0]]


def test_a_contact_begins_slow_and_ends_fast():
    # 0.6 m/s alone begins none; after 0.3 m/s it is part of it
    assert found(speed_with(r10_20=0.6)) == []
    assert found(speed_with(r10_20=0.6, r12_14=0.3)) == [(10, 20)]


def test_a_point_that_is_high_is_no_contact_unless_it_is_still_for_long():
    speed, high = speed_with(r10_20=0.1), np.full(50, 0.4)
    assert found(speed, high) == []
    assert found(speed, high, anywhere=True) == [(10, 20)]
    assert found(speed_with(r10_14=0.1), high, anywhere=True) == []


def test_short_contacts_are_none_and_short_gaps_none_in_seconds_not_frames():
    assert found(speed_with(r10_12=0.1)) == []
    assert found(speed_with(r10_20=0.1, r23_30=0.1)) == [(10, 30)]  # nobody steps within 0.16 s
    assert found(speed_with(r10_20=0.1, r25_30=0.1)) == [(10, 20), (25, 30)]
    assert found(speed_with(r10_12=0.1), fps=5.0) == [(10, 12)]
    assert found(speed_with(r10_20=0.1, r22_30=0.1), fps=5.0) == [(10, 20), (22, 30)]


def test_contacts_do_not_cross_the_parts():
    parts = [slice(0, 20), slice(20, 50)]
    assert found(np.zeros(50), parts=parts) == [(0, 20), (20, 50)]
    # what comes after a cut neither prolongs a contact before it nor makes one of a moment
    assert found(speed_with(r10_19=0.1, r21_30=0.1), parts=parts) == [(10, 19), (21, 30)]
    assert found(speed_with(r18_20=0.1, r20_22=0.1), parts=parts) == []


@pytest.mark.parametrize("count", [1, 2])
def test_a_clip_shorter_than_a_contact_may_be_one(count):
    assert found(np.zeros(count), parts=[slice(0, count)]) == [(0, count)]


def test_the_table_holds_all_contacts():
    table = contact_table([Contact(1, 2, 4), Contact(0, 0, 1)], (5, 2))
    assert np.argwhere(table).tolist() == [[0, 0], [2, 1], [3, 1]]
