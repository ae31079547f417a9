from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.lifting.keypoints.prepare import prepare_people
from lib.lifting.lifter import Lifter
from lib.lifting.live.live_lifter import LiveLifter
from lib.lifting.root_translation import with_root_translation
from lib.lifting.smoothing import one_euro
from lib.lifting.writers.geometry import SPACING
from lib.models.hgn import HGNOutput
from tests.stick_person import CAMERA, keypoints_of, points_of
from tests.tiny_weights import save_tiny_weights

RATE = 10.0
"""The 30 frames of the stick people then take 3 s, twice of what a virtual camera remembers."""


@pytest.fixture(scope="module")
def lifter(tmp_path_factory):
    return Lifter(save_tiny_weights(tmp_path_factory.mktemp("weights") / "best.pth.tar"))


def row(k, t, **changes):
    """One frame of a person."""
    return replace(k, frames=k.frames[[t]], xy=k.xy[[t]], scores=k.scores[[t]], **changes)


def start(k, stop):
    """The frames before `stop`."""
    return replace(k, frames=k.frames[:stop], xy=k.xy[:stop], scores=k.scores[:stop])


def lifted_so_far(lifter, people, t, camera=None):
    """Per person the last frame of what the lifter makes of frames 0 to t."""
    prepared = prepare_people([start(k, t + 1) for k in people])
    return [sequence.rows([-1]) for sequence in lifter.lift(prepared, RATE, camera)]


def test_each_frame_is_what_the_frames_so_far_say_and_people_stand_side_by_side(lifter):
    people, live = [keypoints_of(0), keypoints_of(1)], LiveLifter(lifter, RATE, None, 8)
    for t in range(len(people[0].frames)):
        shown, lines = live([row(k, t) for k in people])
        assert lines == []
        for place, (person, wanted) in enumerate(zip(shown, lifted_so_far(lifter, people, t), strict=True)):
            assert person.person == place
            offset = [place * SPACING, 0, 0]
            np.testing.assert_allclose(person.pose3d, wanted.pose3d[0] + offset, atol=1e-5)
            np.testing.assert_allclose(person.mesh, wanted.meshes[-1][0] + offset, atol=1e-5)
            np.testing.assert_allclose(person.pose2d, wanted.pose2d[0])


class Standing:
    """In the place of the network: everybody stands as the first stick person in one frame, turned as they are shown."""

    def __call__(self, pose2d):
        pose = torch.as_tensor(points_of(0)[3] - points_of(0)[3, :1]).expand(len(pose2d), -1, -1)
        return HGNOutput(pose, (pose[:, :4], pose[:, :6]))


def test_with_a_camera_people_are_where_they_are(lifter, monkeypatch):
    monkeypatch.setattr(lifter, "network", Standing())
    people, live = [keypoints_of(0), keypoints_of(1)], LiveLifter(lifter, RATE, CAMERA, 8)
    for t in range(6):
        shown, _ = live([row(k, t) for k in people])
    for person, wanted in zip(shown, lifted_so_far(lifter, people, 5, CAMERA), strict=True):
        root = with_root_translation(wanted, CAMERA)[0].root[0]
        np.testing.assert_allclose(person.pose3d, wanted.pose3d[0] + root, atol=1e-5)
        assert np.linalg.norm(root - points_of(person.person)[5, 0]) < 1


def test_smoothing_is_that_of_a_file_and_begins_anew_after_a_pause(lifter):
    k, plain, smooth = (
        keypoints_of(0),
        LiveLifter(lifter, RATE, None, 8),
        LiveLifter(lifter, RATE, None, 8, smooth=True),
    )
    moments = [*range(10), *range(20, 30)]  # the pause is longer than 0.5 s
    raw, filtered = (np.array([live([row(k, t)])[0][0].pose3d for t in moments]) for live in (plain, smooth))
    wanted = np.concatenate([one_euro(raw[:10], RATE), one_euro(raw[10:], RATE)])
    np.testing.assert_allclose(filtered, wanted, atol=1e-9)
    assert np.abs(filtered - raw).max() > 1e-3


def test_a_person_with_too_few_joints_is_named_and_the_others_are_lifted(lifter):
    first, second = keypoints_of(0), keypoints_of(1)
    first.xy[0, 5:], first.scores[0, 5:] = np.nan, 0
    live = LiveLifter(lifter, RATE, None, 8)
    shown, lines = live([row(first, 0), row(second, 0)])
    assert [person.person for person in shown] == [1]
    assert lines == ["person 0: too few joints are seen"]
    shown, lines = live([row(first, 1), row(second, 1)])
    assert [person.person for person in shown] == [0, 1]
    assert live([]) == ([], [])


def test_a_missing_joint_is_imputed_and_marked(lifter):
    k = keypoints_of(0)
    k.xy[0, 13], k.scores[0, 13] = np.nan, 0
    (person,), _ = LiveLifter(lifter, RATE, None, 8)([row(k, 0)])
    assert np.flatnonzero(person.imputed).tolist() == [13]
    assert np.isfinite(person.pose3d).all()


def test_a_joint_far_outside_the_image_is_missing(lifter):
    k = keypoints_of(0)
    k.xy[0, 13] = [90_000.0, 300.0]
    (person,), _ = LiveLifter(lifter, RATE, None, 8)([row(k, 0)])
    assert np.flatnonzero(person.imputed).tolist() == [13]


def test_what_is_remembered_of_a_person_does_not_grow(lifter, monkeypatch):
    windows = []
    whole = lifter.lift
    monkeypatch.setattr(
        lifter, "lift", lambda people, *rest, **more: (windows.append(people[0]), whole(people, *rest, **more))[1]
    )
    k, live = keypoints_of(0), LiveLifter(lifter, RATE, None, 8)
    for t in range(len(k.frames)):
        live([row(k, t)])
    assert windows[-1].frames.tolist() == list(range(15, 30))  # 1.44 s


def test_left_and_right_are_exchanged_back_as_the_frames_come(lifter):
    k, live = keypoints_of(0), LiveLifter(lifter, 25.0, None, 8)
    found = replace(k, xy=k.xy.copy())
    found.xy[10:15, 1:7] = k.xy[10:15, [4, 5, 6, 1, 2, 3]]  # the legs
    shown = [live([row(found, t)])[0][0].pose2d for t in range(len(k.frames))]
    np.testing.assert_allclose(shown, k.xy)


def test_a_person_on_one_point_is_named(lifter):
    k = keypoints_of(0)
    k.xy[:] = [300.0, 200.0]
    assert LiveLifter(lifter, RATE, None, 8)([row(k, 0)]) == ([], ["person 0: too small in the image"])


def places(live, present, t):
    """Person number to the number of the place they are shown at; the stick people take turns to play them."""
    people = [row(keypoints_of(n % 2), t, person=n) for n in present]
    return {person.person: round(person.pose3d[0, 0] / SPACING) for person in live(people)[0]}


def test_a_place_is_kept_through_a_gap_and_free_when_its_person_has_left(lifter):
    live = LiveLifter(lifter, RATE, None, 8)
    assert places(live, [0, 1], 0) == {0: 0, 1: 1}
    assert places(live, [1], 5) == {1: 1}
    assert places(live, [0, 1, 2], 10) == {0: 0, 1: 1, 2: 2}
    assert places(live, [1, 2], 20) == {1: 1, 2: 2}
    assert places(live, [1, 2], 26) == {1: 1, 2: 2}  # 1.6 s later person 0 is forgotten
    assert places(live, [1, 2, 3], 27) == {1: 1, 2: 2, 3: 0}


def test_of_many_those_are_shown_who_were_seen_most(lifter):
    live = LiveLifter(lifter, RATE, None, 8, max_persons=1)
    assert list(places(live, [1], 0)) == [1]
    assert list(places(live, [0, 1], 1)) == [1]
