from dataclasses import replace

import numpy as np

from lib.joints import HUMAN36M_17
from lib.lifting.usable import prepare_usable
from tests.stick_person import keypoints_of


def test_one_bad_person_does_not_sink_the_others():
    bad = keypoints_of(1)
    prepared, notes = prepare_usable([keypoints_of(0), replace(bad, xy=bad.xy / 1280)])
    assert [p.person for p in prepared] == [0]
    assert len(notes) == 1
    assert "skipped: video.json: person 1" in notes[0]
    assert "look normalised" in notes[0]


def test_frames_with_too_few_joints_are_skipped_with_a_line():
    k = keypoints_of(0)
    xy = k.xy.copy()
    xy[25:, 1:] = np.nan  # the end of a sequence has no later frame to be imputed from
    prepared, notes = prepare_usable([replace(k, xy=xy, scores=np.isfinite(xy[..., 0]) * 1.0)])
    assert prepared[0].frames.tolist() == list(range(25))
    assert notes == ["person 0: skipped frames 25-29: too few joints"]


def test_a_person_who_is_mostly_missing_is_skipped_whole():
    k = keypoints_of(0)
    xy = k.xy.copy()
    xy[10:, 1:] = np.nan
    prepared, notes = prepare_usable([replace(k, xy=xy, scores=np.isfinite(xy[..., 0]) * 1.0)])
    assert prepared == []
    assert "skipped: video.json: person 0 (frames 0-29): fewer than 8 of 17 joints are seen" in notes[0]


def test_legs_that_are_never_seen_are_imputed_and_marked_and_min_joints_refuses_them():
    k = keypoints_of(0)
    xy = k.xy.copy()
    xy[:, :8] = np.nan  # pelvis, legs, torso
    half = replace(k, xy=xy, scores=np.isfinite(xy[..., 0]) * 1.0)
    (person,), notes = prepare_usable([half])
    assert notes == []
    assert np.isfinite(person.pixels).all()
    assert [HUMAN36M_17.names[j] for j in np.flatnonzero(~person.imputed.any(0))] == list(HUMAN36M_17.names[8:])
    assert (person.scores[person.imputed] == 0).all()
    prepared, notes = prepare_usable([half], min_joints=10)
    assert prepared == []
    assert "fewer than 10 of 17 joints are seen" in notes[0]


def test_frames_with_all_joints_on_one_point_are_skipped_with_a_line():
    k = keypoints_of(0)
    xy = k.xy.copy()
    xy[4:6] = (500, 300)
    prepared, notes = prepare_usable([replace(k, xy=xy)])
    assert prepared[0].frames.tolist() == [t for t in range(30) if t not in (4, 5)]
    assert len(prepared[0].pixels) == len(prepared[0].scores) == len(prepared[0].imputed) == 28
    assert notes == ["person 0: skipped frames 4-5: all joints on one point"]


def test_a_person_on_one_point_is_skipped_whole():
    k = keypoints_of(0)
    prepared, notes = prepare_usable([replace(k, xy=np.full_like(k.xy, 300.0))])
    assert prepared == []
    assert notes == [
        "skipped: video.json: person 0: all joints are within 4 pixels in frames 0-29; check the keypoints"
    ]


def test_single_joints_far_outside_the_image_are_imputed_with_a_line():
    k = keypoints_of(0)
    xy = k.xy.copy()
    xy[7, 3] = 1e300
    xy[8, 3] = (640, -721)
    prepared, notes = prepare_usable([replace(k, xy=xy)])
    assert np.argwhere(prepared[0].imputed).tolist() == [[7, 3], [8, 3]]
    np.testing.assert_allclose(prepared[0].pixels, k.xy, atol=8)
    assert notes == ["person 0: 2 joints are far outside the image and treated as missing, in frames 7-8"]


def test_joints_a_little_outside_the_image_stay():
    k = keypoints_of(0)
    xy = k.xy.copy()
    xy[7, 3] = (640, 1000)
    prepared, notes = prepare_usable([replace(k, xy=xy)])
    assert not prepared[0].imputed.any()
    assert notes == []


def test_joints_far_outside_that_are_many_say_that_the_image_size_is_wrong():
    k = keypoints_of(0)
    xy = k.xy.copy()
    xy[:, :6] += 10_000
    prepared, notes = prepare_usable([replace(k, xy=xy)])
    assert prepared == []
    assert len(notes) == 1
    assert "35% of the joints are outside the 1280 x 720 image" in notes[0]
