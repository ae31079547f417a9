from dataclasses import replace

import numpy as np
import pytest

from tests.waving_person import make_sequence


def test_defaults_are_all_detected_with_full_score_and_frames_from_zero():
    sequence = replace(make_sequence(3), scores=None, imputed=None, frames=None)
    assert (sequence.scores == 1).all()
    assert not sequence.imputed.any()
    assert sequence.frames.tolist() == [0, 1, 2]


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
