from dataclasses import replace

import numpy as np
import pytest

from lib.camera import y_up
from lib.errors import UserError
from lib.lifting.writers import NEED_BODY, WRITERS, check_output, write_poses
from lib.lifting.writers.geometry import placements, playback_rate, timeline
from tests.bodies import resting_body
from tests.waving_person import make_sequence


@pytest.mark.parametrize("ending", WRITERS)
def test_every_ending_writes_one_complete_file_for_one_frame(tmp_path, ending):
    path = tmp_path / "folder" / f"pose{ending.upper()}"
    sequence = make_sequence(1)
    if ending.startswith(".usd"):
        pytest.importorskip("pxr", reason="needs usd-core (sh requirements.sh usd)")
    if ending in NEED_BODY:
        sequence = replace(sequence, body=resting_body(1))
    assert write_poses(path, [sequence]) == [path]
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert path.stat().st_size > 100


@pytest.mark.parametrize("ending", [".bvh", ".obj"])
def test_formats_with_several_files_name_them_all(tmp_path, ending):
    people = [make_sequence(3, 1), make_sequence(3, 2)]
    written = write_poses(tmp_path / f"a{ending}", people)
    assert sorted(written) == sorted(tmp_path.iterdir())
    assert len(written) == {".bvh": 2, ".obj": 3}[ending]


def test_unknown_ending_is_named_with_the_known_ones():
    with pytest.raises(UserError, match=r"pose\.fbx.*\.npz, \.json"):
        check_output("pose.fbx")


def test_nobody_to_write_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(UserError, match=r"a\.json.*no person"):
        write_poses(tmp_path / "a.json", [])


def test_place_that_cannot_be_written_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        write_poses(tmp_path / "file" / "a.csv", [make_sequence(1)])


def test_y_up_turns_and_does_not_mirror():
    # right stays right, down becomes down (-y), away from the camera becomes away (-z)
    np.testing.assert_array_equal(y_up(np.eye(3)), np.diag([1, -1, -1]))
    assert np.linalg.det(y_up(np.eye(3))) == 1


def test_persons_stand_at_their_roots_or_else_side_by_side():
    near, far, unknown = make_sequence(2, 1, (0, 0, 3)), make_sequence(3, 2, (1, 0, 5)), make_sequence(2, 3)
    assert [p[0, 0].tolist() for p in placements([near, far])] == [[0, 0, 3], [1, 0, 5]]
    assert [p[-1, 0].tolist() for p in placements([near, unknown])] == [[0, 0, 0], [1.2, 0, 0]]
    assert [p.shape for p in placements([far, unknown])] == [(3, 1, 3), (2, 1, 3)]


def test_timeline_is_every_frame_of_anybody():
    assert timeline([make_sequence(2), make_sequence(4)]).tolist() == [0, 1, 2, 3]


def test_every_fifth_frame_of_50_per_second_plays_at_10_per_second():
    assert playback_rate(np.array([0, 5, 10, 20]), 50.0) == 10.0
    assert playback_rate(np.array([7]), 50.0) == 50.0
