from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lib.errors import UserError
from lib.joints import HUMAN36M_17
from lib.lifting.floor.feet import leg_joints
from lib.lifting.floor.ground import on_floor
from lib.lifting.floor.level import in_camera_axes
from lib.lifting.root_translation import with_root_translation
from tests.walking_person import ANKLE, CAMERA_HEIGHT, filmed, true_contacts, up_of, walking

ANKLES = leg_joints("Ankle")


def put(sequence, **options):
    (result,), _ = on_floor([sequence], **options)
    return result


def contacts_of(result):
    return np.stack([result.extras[f"contact_{side}_Ankle"] for side in "RL"], 1) > 0


def ankles_of(result):
    return (result.pose3d + result.root[:, None])[:, ANKLES]


def degrees(a, b):
    return np.rad2deg(np.arccos(np.clip(a @ b, -1, 1)))


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (12, 3), (-6, -4)])
def test_the_vertical_and_the_floor_of_a_walk_are_found(pitch, roll):
    floor = put(filmed(walking(), pitch, roll, noise=0.02)).floor
    assert degrees(floor.up, up_of(pitch, roll)) < 2.5
    assert 0.5 < floor.up_sigma < 4
    assert floor.height == pytest.approx(-CAMERA_HEIGHT, abs=0.25)
    assert abs(floor.height + CAMERA_HEIGHT) < 3 * floor.height_sigma


def test_contacts_are_where_the_feet_stand():
    found, true = contacts_of(put(filmed(walking(), 5, noise=0.01))), true_contacts()
    assert (found & true).sum() > 0.85 * true.sum()
    assert (found & ~true).sum() < 0.1 * found.sum()


@pytest.mark.parametrize("camera", [True, False])
def test_planted_feet_neither_slide_nor_sink_and_the_pelvis_moves_steadily(camera):
    sequence = filmed(walking(), 8, noise=0.02, camera=camera)
    result = put(sequence)
    ankles, planted = ankles_of(result), contacts_of(result)
    for side in range(2):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], planted[:, side], [0]]).astype(int))).reshape(-1, 2)
        assert len(edges) >= 3
        for a, b in edges:
            assert np.ptp(ankles[a:b, side], axis=0).max() < 0.01
    assert ankles[..., 1].max() < 0.0
    assert -ankles[..., 1].min(1).max() < ANKLE + 0.03
    before, _ = with_root_translation(sequence, (1100, 1100, 640, 360) if camera else (1536, 1536, 640, 360))
    jerk = [np.linalg.norm(np.diff(s.root, n=2, axis=0), axis=-1).mean() for s in (before, result)]
    assert jerk[1] < 0.3 * jerk[0]
    # a metre a second, forwards
    speed = np.linalg.norm(result.root[-1] - result.root[0]) / ((len(ankles) - 1) / 25)
    assert speed == pytest.approx(1.0, rel=0.1 if camera else 0.35)


def test_bones_keep_their_lengths_and_poses_hardly_change():
    sequence = filmed(walking(), noise=0.01)
    result = in_camera_axes(put(sequence))
    a, b = np.array(HUMAN36M_17.bones).T

    def lengths(s):
        return np.linalg.norm(s.pose3d[:, a] - s.pose3d[:, b], axis=-1)

    np.testing.assert_allclose(lengths(result), lengths(sequence), atol=1e-9)
    upper = [j for j in range(17) if j not in (*ANKLES, *leg_joints("Knee"))]
    np.testing.assert_allclose(result.pose3d[:, upper], sequence.pose3d[:, upper], atol=1e-9)
    assert np.linalg.norm(result.pose3d - sequence.pose3d, axis=-1).mean() < 0.02


def test_a_given_vertical_is_used_as_it_is():
    floor = put(filmed(walking(), 20), up=up_of(20)).floor
    np.testing.assert_allclose(floor.up, up_of(20))
    assert floor.up_sigma == 0
    assert floor.height == pytest.approx(-CAMERA_HEIGHT, abs=0.03)
    assert "(given)" in str(floor)


@pytest.mark.parametrize("up", [(0, 0, 0), (1, 2), (np.nan, 0, 1)])
def test_a_vertical_that_is_none_is_refused(up):
    with pytest.raises(UserError, match="three numbers in camera axes"):
        put(filmed(walking()), up=up)


def test_two_people_stand_on_one_floor_and_the_lost_one_is_named():
    one, two = filmed(walking(), 5, person=1), filmed(walking(heading=120.0, start=0.5), 5, person=2)
    (first, second), notes = on_floor([one, two])
    assert notes == []
    assert first.floor is second.floor
    for result in (first, second):
        assert np.median(-ankles_of(result)[contacts_of(result), 1]) == pytest.approx(ANKLE, abs=0.02)
    point = filmed(walking(), person=3)
    point = replace(point, scores=np.zeros_like(point.scores))
    (kept,), notes = on_floor([point, one])
    assert kept.person == 1
    assert len(notes) == 1
    assert notes[0].startswith("skipped: person 3: ")
    with pytest.raises(UserError, match="person 3"):
        on_floor([point])


def test_a_foot_on_a_step_stays_on_it():
    joints = walking(seconds=2.0)[:1].repeat(50, 0)
    right = [HUMAN36M_17.names.index(f"R_{name}") for name in ("Knee", "Ankle")]
    joints[:, right, 1] += 0.25
    result = put(filmed(joints), up=up_of())
    assert contacts_of(result).all()
    assert -ankles_of(result)[:, 0, 1] == pytest.approx(ANKLE + 0.25, abs=0.02)
    assert -ankles_of(result)[:, 1, 1] == pytest.approx(ANKLE, abs=0.02)


def odd(name):
    sequence = filmed(walking(), 5, noise=0.01)
    if name == "one frame":
        return sequence.rows([3])
    if name == "five frames":
        return sequence.rows(np.arange(5))
    if name == "who leaves and returns":
        return sequence.rows(np.r_[0:30, 70:100])
    if name == "missing joints":
        missing = np.zeros_like(sequence.imputed)
        missing[:, ANKLES] = True
        return replace(sequence, imputed=missing, scores=np.where(missing, 0.01, 1.0))
    if name == "still":
        return filmed(walking()[:1].repeat(40, 0))
    turn = Rotation.from_euler("z", 90 if name == "lying" else 180, degrees=True).as_matrix()
    if name == "lying":
        return filmed((walking() - [0, 0.9, 0]) @ turn.T + [0, 0.15, 0])
    seen = sequence.pose2d
    return replace(sequence, pose3d=sequence.pose3d @ turn.T, pose2d=np.array([1280, 720]) - seen)


@pytest.mark.parametrize(
    "name", ["one frame", "five frames", "who leaves and returns", "missing joints", "still", "lying", "upside down"]
)
def test_odd_clips_give_a_finite_result_that_stays_in_the_image(name):
    sequence = odd(name)
    result = put(sequence)
    assert len(result.frames) == len(sequence.frames)
    for values in (result.pose3d, result.root, result.floor.up, [result.floor.height, result.floor.height_sigma]):
        assert np.isfinite(values).all()
    seen = in_camera_axes(result)
    points = seen.pose3d + seen.root[:, None]
    pixels = 1100 * points[..., :2] / points[..., 2:] + [640, 360]
    assert np.median(np.linalg.norm(pixels - sequence.pose2d, axis=-1)) < 15
    if name == "upside down":
        assert result.floor.up @ up_of(5) < -0.95  # up is down in the image
    elif name == "lying":
        assert degrees(result.floor.up, up_of()) < 12
        assert result.floor.warnings()
    else:
        assert degrees(result.floor.up, up_of(5)) < 6


def test_contacts_and_the_way_do_not_cross_a_pause():
    result = put(odd("who leaves and returns"))
    assert len(result.root) == 60
    ankles, planted = ankles_of(result), contacts_of(result)
    step = np.linalg.norm(ankles[30] - ankles[29], axis=-1)
    assert step.min() > 0.5  # walked on unseen
    assert planted[:30].any()
    assert planted[30:].any()


def test_nan_in_between_is_one_line_that_names_the_frames():
    sequence = filmed(walking(), person=4)
    sequence.pose3d[7:9, 3] = np.nan
    with pytest.raises(UserError, match="person 4: frames 7-8 hold NaN; skip them first"):
        put(sequence)


def test_results_repeat_to_the_last_bit():
    sequence = filmed(walking(), 5, noise=0.02)
    np.testing.assert_array_equal(put(sequence).root, put(sequence).root)


def test_a_mesh_follows_the_legs():
    sequence = filmed(walking(), noise=0.02)
    mesh = sequence.pose3d[:, [*ANKLES, HUMAN36M_17.names.index("Head")]] + [0.0, 0.0, 0.01]
    result = put(replace(sequence, meshes=(mesh,), faces=(np.array([[0, 1, 2]]),)))
    moved = in_camera_axes(result)
    np.testing.assert_allclose(moved.meshes[0][:, :2], moved.pose3d[:, ANKLES] + [0, 0, 0.01], atol=2e-3)
    np.testing.assert_allclose(moved.meshes[0][:, 2], mesh[:, 2], atol=1e-3)


def test_who_stands_on_lower_ground_after_a_cut_is_left_there_and_named():
    """Once lifted to the floor of the others, legs were folded up to the chest."""
    first = filmed(walking(), noise=0.01)
    placed, _ = with_root_translation(first, (1100, 1100, 640, 360))
    below = placed.pose3d + placed.root[:, None] + [0.0, 1.5, 0.0]
    second = below[..., :2] / below[..., 2:] * 1100 + [640, 360]
    rows = len(first.frames) // 2
    both = replace(
        first,
        pose3d=np.concatenate([first.pose3d, first.pose3d[:rows]]),
        pose2d=np.concatenate([first.pose2d, second[:rows]]),
        scores=np.concatenate([first.scores, first.scores[:rows]]),
        imputed=np.concatenate([first.imputed, first.imputed[:rows]]),
        meshes=tuple(np.concatenate([mesh, mesh[:rows]]) for mesh in first.meshes),
        frames=np.arange(len(first.frames) + rows),
        root=None,
    )
    (result,), lines = on_floor([both])
    lowest = ankles_of(result)[..., 1].max(1)
    assert lowest[: len(first.frames)].max() < 0.05
    assert 1.0 < np.median(lowest[len(first.frames) :]) < 2.0
    (line,) = lines
    assert f"frames {len(first.frames)}-{len(both.frames) - 1} are up to 1." in line
    bends = np.linalg.norm(result.pose3d[:, ANKLES[0]] - result.pose3d[:, leg_joints("Hip")[0]], axis=-1)
    assert bends.min() > 0.6
