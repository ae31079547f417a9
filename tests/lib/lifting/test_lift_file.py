import warnings
from dataclasses import replace

import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.lift_file import Stopwatch, lift_people, located
from lib.lifting.lifter import Lifter
from lib.lifting.request import Request
from tests.stick_person import keypoints_of
from tests.tiny_weights import save_tiny_weights
from tests.waving_person import make_sequence

CAMERA = (500.0, 500.0, 320.0, 240.0)
"""Of `make_sequence`, 4 m in front of the person."""


def test_who_has_no_place_in_front_of_the_camera_is_skipped_with_a_line():
    seen, lost = make_sequence(4, person=1), make_sequence(4, person=2)
    lost = replace(lost, scores=np.zeros_like(lost.scores))
    (found,), lines = located([lost, seen], CAMERA)
    assert found.person == 1
    np.testing.assert_allclose(found.root, [[0, 0, 4]] * 4, atol=1e-6)
    assert len(lines) == 1
    assert lines[0].startswith("skipped: person 2: ")
    with pytest.raises(UserError, match=r"^person 2: "):
        located([lost], CAMERA)


def test_a_hidden_joint_is_bridged_in_time_by_the_seconds_of_the_request(tmp_path):
    lifter = Lifter(save_tiny_weights(tmp_path / "best.pth.tar"))
    request = Request(input="walk.json", output=(tmp_path / "out.npz",))
    k = keypoints_of(0)
    wrist = (k.xy[4, 13] + k.xy[25, 13]) / 2
    k.xy[5:25, 13] = np.nan  # 20 frames: 0.2 s of 100 per second, 0.8 s of 25

    def middle(rate):
        (sequence,) = lift_people(request, lifter, [k], rate, [], Stopwatch()).sequences
        return sequence.pose2d[14:16, 13].mean(0)

    assert [np.allclose(middle(rate), wrist) for rate in (100, 25, None)] == [True, False, False]


def test_the_frame_rate_is_the_asked_one_else_the_file_s_else_assumed(tmp_path):
    lifter = Lifter(save_tiny_weights(tmp_path / "best.pth.tar"))
    request = Request(input="walk.npz", output=(tmp_path / "out.npz",))

    def lifted(asked, known):
        people = [replace(keypoints_of(0), fps=known)]
        (sequence,) = lift_people(request, lifter, people, asked, [], Stopwatch()).sequences
        return sequence.fps, "fps" in sequence.assumed

    assert lifted(50.0, 10.0) == (50, False)
    assert lifted(None, 10.0) == (10, False)
    assert lifted(None, None) == (25, True)


def test_a_cut_is_a_warning(tmp_path):
    lifter = Lifter(save_tiny_weights(tmp_path / "best.pth.tar"))
    k = keypoints_of(0)
    k.xy[20:] += (0.3 * np.ptp(k.xy[..., 0]) + 300, 0)
    request = Request(input="walk.json", output=(tmp_path / "out.npz",))
    notes = lift_people(request, lifter, [k], None, [], Stopwatch()).notes
    (line,) = (note for note in notes if "jumps" in note)
    assert line.startswith("warning: person 0 jumps at frame 20: a cut, or another person; ")


def test_an_array_in_python_is_warned_about_in_the_words_of_the_command(tmp_path):
    lifter = Lifter(save_tiny_weights(tmp_path / "best.pth.tar"))
    k = keypoints_of(0)
    xy = k.xy.copy()
    xy[8:12, 1:7] = k.xy[8:12, [4, 5, 6, 1, 2, 3]]  # left and right legs
    xy[3, 16] = (9000, 9000)
    xy[20:] += (500, 0)
    request = Request(input="walk.json", output=(tmp_path / "out.npz",), image_size=(1280, 720))
    notes = lift_people(request, lifter, [replace(k, xy=xy)], 25.0, [], Stopwatch()).notes
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lifter(xy, (1280, 720), fps=25.0)
    lines = [str(warning.message) for warning in caught]
    assert lines == [note.removeprefix("warning: ") for note in notes]
    assert [any(word in line for line in lines) for word in ("far outside", "legs exchanged", "jumps")] == [True] * 3
    assert {warning.filename for warning in caught} == {__file__}
