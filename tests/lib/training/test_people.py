import copy
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from lib.joints import HUMAN36M_17, SMPL_24
from lib.training import people as people_module
from lib.training.people import PeopleMaker, PeopleRange, inside_itself
from smplpytorch.smplpytorch.flexible_body import FlexibleBody
from tests.bodies import builtin_body
from tests.people_table import SKELETONS, joints_of, maker_of, people_table

TABLE = people_table()
ROWS, AS_RECORDED = torch.arange(40), torch.zeros(40, dtype=torch.bool)
H = {name: k for k, name in enumerate(HUMAN36M_17.names)}
NOTHING_NEW = PeopleRange(**{field.name: 0 for field in fields(PeopleRange) if isinstance(field.default, float)})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def crowd(ranges: PeopleRange | None = None, count: int = 2000, seed: int = 0):
    rows = torch.arange(count) % len(TABLE)
    return maker_of(TABLE, ranges).make(rows, rows % 3 == 0, generator(seed))


def bone_lengths(pose3d: torch.Tensor) -> torch.Tensor:
    return torch.stack([(pose3d[:, b] - pose3d[:, a]).norm(dim=-1) for a, b in HUMAN36M_17.bones], dim=1)


def distance(people, a: str, b: str) -> torch.Tensor:
    return (people.pose3d[:, H[a]] - people.pose3d[:, H[b]]).norm(dim=-1)


def test_the_skeletons_of_the_recorded_people_are_found():
    maker = maker_of(TABLE)
    first = int(maker.person[0])  # the numbers of people are in the order of their betas
    found = maker.skeletons[[first, 1 - first]]
    np.testing.assert_allclose(found, SKELETONS, atol=1e-5)


def test_where_nothing_new_is_asked_for_people_keep_the_recorded_pose():
    people = maker_of(TABLE, NOTHING_NEW).make(ROWS, AS_RECORDED, generator())
    # built between the two people, so of other size; every bone keeps its direction
    for a, b in HUMAN36M_17.bones:
        bone = people.pose3d[:, b] - people.pose3d[:, a]
        recorded = torch.as_tensor(TABLE.pose3d[:, b] - TABLE.pose3d[:, a])
        assert torch.nn.functional.cosine_similarity(bone, recorded).min() > 1 - 1e-5
    lengths = bone_lengths(people.pose3d) / bone_lengths(torch.as_tensor(TABLE.pose3d[:1]))
    assert lengths.min() > 1 - 1e-4
    assert lengths.max() < 1.1 + 1e-4


def test_a_mirrored_beginning_gives_the_mirrored_person():
    one = maker_of(TABLE, NOTHING_NEW).make(ROWS, AS_RECORDED, generator())
    other = maker_of(TABLE, NOTHING_NEW).make(ROWS, ~AS_RECORDED, generator())
    mirrored = one.pose3d[:, HUMAN36M_17.flip_permutation] * torch.tensor([-1.0, 1, 1])
    torch.testing.assert_close(other.pose3d, mirrored, rtol=0, atol=1e-5)
    names = maker_of(TABLE).body.landmark_names
    partner = [
        names.index({"L": "R", "R": "L"}.get(n[0], n[0]) + n[1:]) if n[1] == "_" else i for i, n in enumerate(names)
    ]
    mirrored = one.landmarks[:, partner] * torch.tensor([-1.0, 1, 1])
    torch.testing.assert_close(other.landmarks, mirrored, rtol=0, atol=2e-3)  # the body is mirrored to the millimetre


def test_people_follow_from_the_generator_alone():
    torch.manual_seed(1)
    one = crowd(seed=5, count=50)
    torch.manual_seed(2)
    again, other = crowd(seed=5, count=50), crowd(seed=6, count=50)
    assert torch.equal(one.pose3d, again.pose3d)
    assert torch.equal(one.meshes[1], again.meshes[1])
    assert not torch.equal(one.pose3d, other.pose3d)


def test_limbs_are_as_long_on_both_sides():
    people = crowd(PeopleRange(regressed=0))  # skin folds where limbs bend, and moves regressed joints
    for bone in (("Hip", "Knee"), ("Knee", "Ankle"), ("Shoulder", "Elbow"), ("Elbow", "Wrist")):
        left, right = (distance(people, *(f"{side}_{joint}" for joint in bone)) for side in "LR")
        torch.testing.assert_close(left, right, rtol=0, atol=1e-4)


def test_builds_reach_from_children_to_giants_with_adults_in_the_middle():
    legs = (
        distance(p := crowd(PeopleRange(regressed=0)), "L_Hip", "L_Knee") + distance(p, "L_Knee", "L_Ankle")
    ).numpy()
    adult = 0.85 * 1.05  # between the two recorded people
    low, middle, high = np.percentile(legs / adult, [1, 50, 99])
    assert low < 0.7
    assert 0.95 < middle < 1.03
    assert high > 1.2


def test_a_child_has_a_large_head_and_short_legs():
    child = crowd(replace(NOTHING_NEW, child=1, child_stature=(-0.3, -0.3)))
    head, legs = (distance(child, a, b).mean() for a, b in (("Nose", "Head"), ("L_Hip", "L_Knee")))
    adult_head, adult_legs = (1.05 * distance_in_skeleton(i) for i in (3, 11))
    assert legs / adult_legs == pytest.approx(1 - 0.3 - 0.2 * 0.3, abs=0.01)
    assert head / adult_head == pytest.approx(1 - 0.3 + 0.6 * 0.3, abs=0.01)


def distance_in_skeleton(bone: int) -> float:
    return float(np.linalg.norm(SKELETONS[0, bone]))


def test_some_people_lie_and_some_stand_on_their_hands():
    people = crowd()
    trunk = torch.nn.functional.normalize(people.pose3d[:, H["Neck"]], dim=1)
    upright = (trunk * people.up).sum(1)  # cosine of the trunk's angle to the vertical
    assert (upright > 0.8).float().mean() > 0.5
    assert 0.1 < (upright.abs() < 0.5).float().mean() < 0.4
    assert 0.01 < (upright < -0.7).float().mean() < 0.1


def test_no_knee_and_no_elbow_bends_the_wrong_way():
    people = crowd()
    for side in "LR":
        thigh, shin = (
            people.pose3d[:, H[f"{side}_{b}"]] - people.pose3d[:, H[f"{side}_{a}"]]
            for a, b in (("Hip", "Knee"), ("Knee", "Ankle"))
        )
        bent = torch.rad2deg(torch.arccos(torch.nn.functional.cosine_similarity(thigh, shin).clamp(-1, 1)))
        assert bent.max() < 156
        # seen from the shin, the thigh comes from where the toes point to
        toes = people.landmarks[:, maker_of(TABLE).body.landmark_names.index(f"{side}_BigToe")]
        forwards = toes - people.pose3d[:, H[f"{side}_Ankle"]]
        along = torch.nn.functional.normalize(shin, dim=1)
        forwards = forwards - (forwards * along).sum(1, keepdim=True) * along
        assert ((thigh * forwards).sum(1) > 0)[bent > 20].float().mean() > 0.99


def test_sitting_people_bend_hips_and_knees():
    people = crowd(replace(NOTHING_NEW, sit=1), count=300)
    thigh, shin = (
        people.pose3d[:, H["L_Knee"]] - people.pose3d[:, H["L_Hip"]],
        people.pose3d[:, H["L_Ankle"]] - people.pose3d[:, H["L_Knee"]],
    )
    bent = torch.rad2deg(torch.arccos(torch.nn.functional.cosine_similarity(thigh, shin)))
    assert bent.median() > 60


def test_free_limbs_go_where_no_recorded_one_was():
    plain, free = (crowd(ranges, count=400) for ranges in (NOTHING_NEW, replace(NOTHING_NEW, free=1)))
    at = {name: (H[f"L_{a}"], H[f"L_{b}"]) for name, a, b in (("thigh", "Hip", "Knee"), ("arm", "Shoulder", "Elbow"))}
    for name, (start, end) in at.items():
        low = {}
        for words, people in (("recorded", plain), ("free", free)):
            bone = torch.nn.functional.normalize(people.pose3d[:, end] - people.pose3d[:, start], dim=1)
            low[words] = -(bone * people.up).sum(1)  # 1: it points down, 0: it is level
        assert low["free"].std() > 1.5 * low["recorded"].std(), name
    assert 0.1 < (low["free"] < 0).float().mean() < 0.9
    legs = [free.pose3d[:, H[f"{side}_Knee"]] - free.pose3d[:, H[f"{side}_Hip"]] for side in "LR"]
    assert torch.nn.functional.cosine_similarity(*legs).min() < 0  # each leg by itself


def test_regressed_people_have_the_body_s_own_joints():
    # a mesh whose nodes are the regressor's joints has to be where the joints are
    columns = (torch.as_tensor(c) for c in (TABLE.smpl_pose, TABLE.smpl_betas, TABLE.pose3d, TABLE.up))
    body = FlexibleBody(builtin_body(), [csr_matrix(builtin_body().joint_regressor)])
    people = PeopleMaker(body, *columns, replace(PeopleRange(), regressed=1)).make(ROWS, AS_RECORDED, generator())
    torch.testing.assert_close(people.pose3d, people.meshes[0], rtol=0, atol=1e-6)
    assert (people.pose3d[:, HUMAN36M_17.root] == 0).all()
    mixed = crowd(replace(NOTHING_NEW, regressed=0.5), count=400)
    own = (mixed.pose3d - crowd(NOTHING_NEW, count=400).pose3d).abs().amax((1, 2)) > 1e-4
    assert 0.4 < own.float().mean() < 0.6


def test_parts_of_several_frames_meet_in_one_person():
    plain, mixed = (crowd(ranges, count=400) for ranges in (NOTHING_NEW, replace(NOTHING_NEW, part=0.5)))

    def direction(people, a, b):
        return torch.nn.functional.normalize(people.pose3d[:, H[b]] - people.pose3d[:, H[a]], dim=1)

    kept = {}
    for name, bone in (("arm", ("L_Shoulder", "L_Elbow")), ("leg", ("L_Hip", "L_Knee"))):
        kept[name] = (direction(plain, *bone) - direction(mixed, *bone)).norm(dim=1) < 1e-4
        assert 0.15 < kept[name].float().mean() < 0.6
    assert (kept["arm"] != kept["leg"]).any()


# --- possible people


def pose(**moved) -> torch.Tensor:
    """A T-pose (1, 17, 3) with some joints elsewhere."""
    joints = joints_of(np.zeros((1, 72)), SKELETONS[:1])
    for name, place in moved.items():
        joints[0, H[name]] = place
    return torch.as_tensor(joints)


IN_THE_BELLY, ON_THE_HEAD = (0.02, 0.2, 0.03), (0.0, 0.63, 0.05)


@pytest.mark.parametrize(
    ("moved", "inside"),
    [
        ({}, False),
        ({"L_Wrist": IN_THE_BELLY}, True),
        ({"L_Wrist": (0.02, 0.2, 0.2)}, False),  # in front of the belly
        ({"R_Elbow": IN_THE_BELLY}, True),
        ({"L_Knee": IN_THE_BELLY}, True),
        ({"R_Wrist": ON_THE_HEAD}, True),
        ({"R_Wrist": (0.11, -0.2, 0.05)}, True),  # in the left thigh
        ({"L_Ankle": (-0.11, -0.7, 0.02)}, True),  # in the right shin
        ({"L_Ankle": (-0.11, -0.7, 0.12)}, False),  # crossed in front of it
    ],
)
def test_limbs_inside_the_body_are_noticed(moved, inside):
    assert inside_itself(pose(**moved), torch.ones(1)).item() is inside


def test_nobody_reaches_into_themselves_where_the_recorded_pose_does_not():
    people, size = crowd(), torch.ones(2000)
    recorded = inside_itself(torch.as_tensor(TABLE.pose3d), torch.ones(40)).float().mean()
    assert inside_itself(people.pose3d, 0.6 * size).float().mean() <= recorded + 0.01


def test_impossible_people_get_the_recorded_pose_back(monkeypatch):
    wild = replace(NOTHING_NEW, bend=3.0)
    bent = maker_of(TABLE, wild).make(ROWS, AS_RECORDED, generator())
    plain = torch.as_tensor(TABLE.pose3d)
    monkeypatch.setattr(people_module, "inside_itself", lambda pose3d, size: torch.ones(len(pose3d), dtype=torch.bool))
    recorded = maker_of(TABLE, wild).make(ROWS, AS_RECORDED, generator())
    thigh = [H["L_Hip"], H["L_Knee"]]

    def moved(people):
        return (
            torch.nn.functional.normalize(people.pose3d[:, thigh].diff(dim=1)[:, 0], dim=1)
            - torch.nn.functional.normalize(plain[:, thigh].diff(dim=1)[:, 0], dim=1)
        ).norm(dim=1)

    assert moved(bent).median() > 0.1
    assert moved(recorded).max() < 1e-4


# --- the body


def test_the_mesh_and_the_landmarks_are_those_of_the_person_made():
    people = maker_of(TABLE, NOTHING_NEW).make(ROWS, AS_RECORDED, generator())
    assert [m.shape for m in people.meshes] == [(40, 5, 3), (40, 9, 3)]
    names = maker_of(TABLE).body.landmark_names
    head, nose = people.pose3d[:, H["Head"]], people.landmarks[:, names.index("Nose")]
    assert ((nose - head).norm(dim=1) < 0.3).all()
    ears = [people.landmarks[:, names.index(f"{side}_Ear")] for side in "LR"]
    shoulders = people.pose3d[:, H["L_Shoulder"]] - people.pose3d[:, H["R_Shoulder"]]
    assert ((ears[0] - ears[1]) * shoulders).sum(1).min() > 0  # the left ear is on the left


def test_landmarks_of_a_sample_sit_on_its_own_joints():
    maker = maker_of(TABLE)
    found = maker.landmarks(ROWS, AS_RECORDED, torch.as_tensor(TABLE.pose3d))
    heel = found[:, maker.body.landmark_names.index("L_Heel")]
    ankle = torch.as_tensor(TABLE.pose3d[:, H["L_Ankle"]])
    offset = (heel - ankle).norm(dim=1)
    person = torch.as_tensor(TABLE.smpl_betas[:, 0])
    for value in person.unique():  # rigid, so the same in every pose of a person
        assert offset[person == value].std() < 1e-5


class _Moved:
    """Attributes of an object, moved to torch's meta device, whose tensors have no values."""

    @staticmethod
    def to_meta(value):
        if isinstance(value, torch.Tensor):
            return value.to("meta")
        if isinstance(value, tuple | list):
            return type(value)(map(_Moved.to_meta, value))
        if type(value).__module__.startswith(("lib.", "smplpytorch.")) and hasattr(value, "__dict__"):
            for name, part in vars(value).items():
                object.__setattr__(value, name, _Moved.to_meta(part))
        return value


def test_the_host_waits_for_nothing_when_people_are_made(monkeypatch):
    maker = _Moved.to_meta(copy.deepcopy(maker_of(TABLE)))
    monkeypatch.setattr(torch.Tensor, "new_tensor", None, raising=False)  # a copy from the host that a GPU waits for
    monkeypatch.setattr(torch, "tensor", None)
    rows, mirrored = ROWS.to("meta"), AS_RECORDED.to("meta")
    people = maker.make(rows, mirrored, generator())
    assert people.pose3d.shape == (40, len(HUMAN36M_17), 3)
    assert maker.landmarks(rows, mirrored, people.pose3d).device.type == "meta"
    assert len(SMPL_24) == maker.pose.shape[1]
