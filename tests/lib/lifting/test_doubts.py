from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from lib.lifting.doubts import doubts
from lib.lifting.quality import Quality
from tests.waving_person import make_sequence


def cut(frames: int, at: int, shift: float = 300.0):
    """The waving person, who is somewhere else from row `at` on; frame numbers begin at 100."""
    sequence = make_sequence(frames, person=7)
    moved = sequence.pose2d + shift * (np.arange(frames) >= at)[:, None, None] * [1, 0]
    return replace(sequence, pose2d=moved, frames=100 + np.arange(frames), root=None)


def test_usual_people_raise_no_doubts():
    assert doubts([make_sequence(24), make_sequence(24, person=1)]) == []


def test_a_cut_is_named_with_what_it_does_to_the_result():
    sequence = cut(24, 12)
    (line,) = doubts([make_sequence(24), sequence])
    assert line == (
        "person 7 jumps at frame 112: a cut, or another person; all frames are taken for one person's; lift each part by "
        "itself (of a video: --clip START END)"
    )
    (line,) = doubts([replace(sequence, root=np.zeros((24, 3)))])
    assert "one person's, and the pelvis jumps too;" in line
    (line,) = doubts([replace(sequence, body=SimpleNamespace(pose=np.zeros(24)))])
    assert "another person; one body is fitted to all frames;" in line


def test_a_moment_elsewhere_is_no_cut():
    sequence = cut(24, 12)
    moment = np.isin(np.arange(24), [8, 9])[:, None, None]
    back = np.where(moment, sequence.pose2d + 200, make_sequence(24).pose2d)
    assert doubts([replace(sequence, pose2d=back)]) == []


def test_frames_that_are_no_motion_neither_jump_nor_shake():
    shaking = replace(cut(24, 12), quality=Quality(0.05, 0.01, 0.0, 900.0, 0.3))
    (line,) = doubts([shaking], motion=False)
    assert "imputed" in line
    assert len(doubts([shaking])) == 3


def test_an_image_that_the_joints_hardly_use_is_doubted():
    wide = replace(make_sequence(4), image_size=(12800, 14400))
    (line,) = doubts([wide])
    assert line.startswith("the joints use only ")
    assert "of the 12800 x 14400 image" in line


def test_numbers_above_their_limits_are_named_with_the_person():
    (line,) = doubts([replace(make_sequence(4, person=3), quality=Quality(0.05, 0.01, 0.0, None, 0.3))])
    assert line.startswith("person 3: 30% of the joints were imputed")
