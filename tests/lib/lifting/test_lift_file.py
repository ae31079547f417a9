from dataclasses import replace

import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.lift_file import located
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
