from dataclasses import replace

import numpy as np
import pytest

from lib.errors import UserError
from tests.waving_person import make_sequence


def test_defaults_are_all_detected_with_full_score_and_frames_from_zero():
    sequence = replace(make_sequence(3), scores=None, imputed=None, frames=None)
    assert (sequence.scores == 1).all()
    assert not sequence.imputed.any()
    assert sequence.frames.tolist() == [0, 1, 2]


def test_printed_it_is_one_line():
    text = repr(replace(make_sequence(3), frames=np.array([4, 5, 6]), person=2))
    assert text.startswith("PoseSequence(person 2, frames 4-6, 24 per second, 17 joints, meshes of ")
    assert "\n" not in text


@pytest.mark.parametrize(
    "changes",
    [
        {"pose2d": np.zeros((3, 16, 2))},
        {"scores": np.zeros((2, 17))},
        {"root": np.zeros((2, 3))},
        {"frames": np.array([0, 2, 2])},
        {"fps": 0.0},
        {"meshes": ()},
        {"meshes": (np.zeros((3, 5, 3)),) * 2},  # the faces name more than 5 vertices
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(changes):
    with pytest.raises(ValueError, match="PoseSequence"):
        replace(make_sequence(3), **changes)


def test_rows_picks_frames_of_everything_per_frame():
    whole = replace(make_sequence(5, 3, (0, 0, 4)), extras={"effort": np.arange(5.0)}, assumed=("fps",))
    part = whole.rows([1, 4])
    assert part.frames.tolist() == [1, 4]
    assert part.extras["effort"].tolist() == [1, 4]
    for name in ("pose3d", "pose2d", "scores", "imputed", "root"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[[1, 4]])
    np.testing.assert_array_equal(part.meshes[1], whole.meshes[1][[1, 4]])
    assert (part.person, part.fps, part.assumed) == (3, 24, ("fps",))
    assert make_sequence(5).rows(np.arange(5) < 2).root is None


def test_times_count_from_the_first_frame():
    assert replace(make_sequence(3), frames=np.array([12, 24, 30])).seconds.tolist() == [0, 0.5, 0.75]


@pytest.mark.parametrize("name", ["a joint", "a vertex"])
def test_frames_with_what_is_not_finite_are_named(name):
    sequence = make_sequence(5, person=2)
    sequence.require_finite()
    points = sequence.pose3d if name == "a joint" else sequence.meshes[1]
    points[[1, 3], -1] = np.nan
    with pytest.raises(UserError, match=r"^person 2: frames 1, 3 hold NaN; skip them first$"):
        sequence.require_finite()


def test_extras_of_another_length_are_refused():
    with pytest.raises(ValueError, match="effort has 3 rows for 5 frames"):
        replace(make_sequence(5), extras={"effort": np.arange(3)})
