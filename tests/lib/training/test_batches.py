from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.distributed import ALONE, Group
from lib.joints import HUMAN36M_17
from lib.models.hgn import HGNOutput
from lib.pose_table import PoseTable
from lib.training.augment import DetectionNoise, flip
from lib.training.batches import Augmentation, BatchSource
from lib.training.losses import LossWeights, hgn_losses
from lib.training.people import PeopleRange
from tests.people_table import maker_of, people_table
from tests.tables import random_table, tensors_of

CPU = torch.device("cpu")
PERMUTATION = HUMAN36M_17.flip_permutation
PLAIN = Augmentation(PERMUTATION)


def source(
    tables=None, batch_size=4, shuffle=True, seed=0, augmentation=PLAIN, people=None, group=ALONE
) -> BatchSource:
    tables = [random_table(10)] if tables is None else tables
    return BatchSource(tables, CPU, batch_size, shuffle, seed, augmentation, group, people)


def epoch_of(batches: BatchSource, epoch: int = 0):
    order = batches.order(epoch)
    return [batches.batch(order, epoch, step) for step in range(batches.steps())]


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(tensors_of(a), tensors_of(b), strict=True))


def test_an_epoch_shows_every_sample_once_in_batches_of_the_size_asked_for():
    table = random_table(10)
    parts = epoch_of(source([table]))
    assert [len(b.pose2d) for b in parts] == [4, 4, 2]
    seen = torch.cat([b.pose3d for b in parts]).numpy()
    assert sorted(seen[:, 1, 0].tolist()) == sorted(table.pose3d[:, 1, 0].tolist())
    assert seen[:, 1, 0].tolist() != table.pose3d[:, 1, 0].tolist()


def test_what_belongs_to_a_sample_stays_together_and_carries_its_name():
    table = random_table(10)
    batches = source([table], augmentation=Augmentation(PERMUTATION, flip=True))
    order = batches.order(0)
    rows = order[4:8].numpy()
    assert batches.sample_names(order, 1) == table.names[rows].tolist()
    batches.augmentation = PLAIN  # the arrays alone
    batch = batches.batch(order, 0, 1)
    for name in ("pose2d", "pose3d", "camera", "image_size"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(table, name)[rows])
    for i in range(2):
        np.testing.assert_array_equal(batch.meshes[i], table.meshes[i][rows])
        np.testing.assert_array_equal(batch.flipped_meshes[i], table.flipped_meshes[i][rows])


def test_unshuffled_samples_come_as_they_stand():
    table = random_table(10)
    seen = torch.cat([b.pose3d for b in epoch_of(source([table], shuffle=False))])
    np.testing.assert_array_equal(seen, table.pose3d)


def test_several_sets_are_mixed_and_named():
    tables = [random_table(6, seed=1, stem="a"), random_table(3, seed=2, stem="b")]
    batches = source(tables, batch_size=5)
    order = batches.order(0)
    assert batches.steps() == 3  # 2 sets x 6 samples in batches of 5
    names = [n for step in range(3) for n in batches.sample_names(order, step)]
    assert len(names) == 12
    assert {n[0] for n in names} == {"a", "b"}
    for step in range(3):
        batch = batches.batch(order, 0, step)
        for name, pose in zip(batches.sample_names(order, step), batch.pose3d.numpy(), strict=True):
            table = tables["ab".index(name[0])]
            np.testing.assert_array_equal(pose, table.pose3d[table.names.tolist().index(name)])


NOISE = DetectionNoise((0.0,), (4.0,), (0.05,), (384, 288))
ALL_AUGMENTATIONS = Augmentation(PERMUTATION, flip=True, rotate_degrees=30.0, view_probability=0.5, noise=NOISE)


def test_a_batch_follows_from_seed_epoch_and_step_alone_so_an_epoch_can_be_taken_up_anywhere():
    whole = epoch_of(source(augmentation=ALL_AUGMENTATIONS), epoch=3)
    fresh = source(augmentation=ALL_AUGMENTATIONS)
    torch.rand(1)  # the global random state plays no part
    assert same(fresh.batch(fresh.order(3), 3, 2), whole[2])


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}])
def test_another_seed_and_another_epoch_give_another_order_and_augmentation(other):
    epoch = other.pop("epoch", 0)
    a, b = source(augmentation=ALL_AUGMENTATIONS), source(augmentation=ALL_AUGMENTATIONS, **other)
    assert a.order(0).tolist() != b.order(epoch).tolist()
    order = torch.arange(10)
    assert not same(a.batch(order, 0, 0), b.batch(order, epoch, 0))
    assert not same(a.batch(order, 0, 0), a.batch(torch.cat([order[4:8], order[:4]]), 0, 1))


def test_flip_mirrors_about_half_of_the_samples():
    table = random_table(400)
    batches = source([table], batch_size=400, shuffle=False, augmentation=Augmentation(PERMUTATION, flip=True))
    plain = source([table], batch_size=400, shuffle=False, augmentation=Augmentation(PERMUTATION, flip=True))
    plain.augmentation = PLAIN
    order = batches.order(0)
    got, before = batches.batch(order, 0, 0), plain.batch(order, 0, 0)
    mirrored = flip(before, torch.ones(400, dtype=torch.bool), batches.permutation)
    turned = (got.pose3d == mirrored.pose3d).all((1, 2))
    assert abs(turned.float().mean() - 0.5) < 5 * 0.5 / 20
    assert same(got, replace(flip(before, turned, batches.permutation), flipped_meshes=()))


def test_rotation_angles_fill_the_range_asked_for():
    table = random_table(400)
    batches = source([table], 400, False, augmentation=Augmentation(PERMUTATION, rotate_degrees=40.0))
    got = batches.batch(batches.order(0), 0, 0).pose3d[:, 1, :2].double().numpy()
    before = table.pose3d[:, 1, :2].astype(np.float64)
    angle = np.rad2deg(np.angle((got @ [1, 1j]) / (before @ [1, 1j])))
    assert np.abs(angle).max() <= 40 + 1e-3
    assert angle.min() < -38
    assert angle.max() > 38
    assert abs(angle.mean()) < 5 * 23 / 20  # uniform: standard deviation 80 / sqrt(12) = 23


def test_noise_touches_the_2d_input_only():
    noise = Augmentation(PERMUTATION, noise=NOISE)
    a, b = (source(augmentation=kind).batch(torch.arange(4), 0, 0) for kind in (PLAIN, noise))
    assert not torch.equal(a.pose2d, b.pose2d)
    assert torch.equal(a.pose3d, b.pose3d)
    assert all(torch.equal(x, y) for x, y in zip(a.meshes, b.meshes, strict=True))


def test_mirrored_meshes_are_kept_only_where_they_are_needed():
    assert source().samples.flipped_meshes == ()
    assert len(source(augmentation=Augmentation(PERMUTATION, flip=True)).samples.flipped_meshes) == 2


def test_the_share_asked_for_is_shown_through_another_camera():
    table = random_table(400)
    batches = source([table], 400, False, augmentation=Augmentation(PERMUTATION, view_probability=0.25))
    got = batches.batch(batches.order(0), 0, 0)
    moved = (got.camera.numpy() != table.camera).any(1)
    assert abs(moved.mean() - 0.25) < 5 * 0.43 / 20
    np.testing.assert_array_equal(got.pose2d[~moved], table.pose2d[~moved])
    assert (got.pose2d[moved].numpy() != table.pose2d[moved]).any((1, 2)).all()


# ---- samples without meshes


def without_meshes(table: PoseTable, missing: np.ndarray) -> PoseTable:
    """The table whose samples in `missing` (N,) bool have no SMPL parameters."""
    meshes = {name: tuple(m[~missing] for m in getattr(table, name)) for name in ("meshes", "flipped_meshes")}
    parameters = {name: getattr(table, name)[~missing] for name in ("smpl_pose", "smpl_betas")}
    return replace(table, has_mesh=~missing, **meshes, **parameters)


def test_where_all_have_meshes_nothing_is_weighted():
    assert all(batch.mesh_weight is None for batch in epoch_of(source()))


@pytest.mark.parametrize("augmentation", [PLAIN, ALL_AUGMENTATIONS])
def test_samples_with_meshes_keep_theirs_and_the_others_weigh_nothing(augmentation):
    whole, missing = random_table(12), np.arange(12) % 3 == 1
    full = source([whole], augmentation=augmentation)
    part = source([without_meshes(whole, missing)], augmentation=augmentation)
    order = full.order(0)
    for step in range(full.steps()):
        rows = order[4 * step : 4 * step + 4].numpy()
        a, b = full.batch(order, 0, step), part.batch(order, 0, step)
        has = ~missing[rows]
        np.testing.assert_allclose(b.mesh_weight, has * (4 / has.sum()), rtol=1e-6)
        for x, y in zip((*a.meshes, *a.flipped_meshes), (*b.meshes, *b.flipped_meshes), strict=True):
            assert torch.equal(x[has], y[has])
            assert torch.isfinite(y).all()
        assert torch.equal(a.pose2d, b.pose2d)
        assert torch.equal(a.pose3d, b.pose3d)


def test_tables_with_some_none_and_all_meshes_can_be_mixed():
    names = "abc"
    tables = [random_table(6, seed=i, stem=name) for i, name in enumerate(names)]
    missing = [np.arange(6) % 2 == 0, np.ones(6, bool), np.zeros(6, bool)]
    batches = source([without_meshes(t, m) for t, m in zip(tables, missing, strict=True)], batch_size=5)
    order, seen = batches.order(0), set()
    for step in range(batches.steps()):
        batch = batches.batch(order, 0, step)
        for k, name in enumerate(batches.sample_names(order, step)):
            i = names.index(name[0])
            row = tables[i].names.tolist().index(name)
            assert (batch.mesh_weight[k] > 0) == (not missing[i][row])
            if not missing[i][row]:
                np.testing.assert_array_equal(batch.meshes[1][k], tables[i].meshes[1][row])
                seen.add(name[0])
    assert seen == {"a", "c"}


def test_a_table_without_any_mesh_gives_finite_batches_of_no_mesh_weight():
    for batch in epoch_of(
        source([without_meshes(random_table(10), np.ones(10, bool))], augmentation=ALL_AUGMENTATIONS)
    ):
        assert (batch.mesh_weight == 0).all()
        assert all(torch.isfinite(tensor).all() for tensor in tensors_of(batch))


def test_the_ranks_mean_of_the_mesh_losses_is_that_of_the_whole_batch():
    missing = np.array([True, True, True, False, True, True, False, False, True, False])
    table, permutation = without_meshes(random_table(10), missing), torch.randperm(10)

    def losses_of(group):
        batches = BatchSource([table], CPU, 7, True, 0, PLAIN, group)
        for step in range(batches.steps()):
            batch = batches.batch(permutation, 0, step)
            guess = HGNOutput(0 * batch.pose3d, tuple(0 * m for m in batch.meshes))
            terms = hgn_losses(guess, batch.pose3d, batch.meshes, (), LossWeights(), batch.mesh_weight)
            yield torch.stack(list(terms.values())) * batches.weight(step)

    ranks = [list(losses_of(Group(rank, 3))) for rank in range(3)]
    for step, whole in enumerate(losses_of(Group(0, 1))):
        torch.testing.assert_close(torch.stack([rank[step] for rank in ranks]).mean(0), whole)


# --- new people and detections

PEOPLE = people_table(120)
EVERYTHING = Augmentation(
    PERMUTATION,
    flip=True,
    rotate_degrees=5.0,
    view_probability=0.5,
    body_probability=0.3,
    detector_probability=0.4,
    virtual_camera_probability=0.5,
    noise=NOISE,
)


def with_people(augmentation=EVERYTHING, table=PEOPLE, batch_size=120, **more) -> BatchSource:
    return source([table], batch_size, False, augmentation=augmentation, people=maker_of(PEOPLE), **more)


def test_new_people_take_the_place_of_the_share_asked_for():
    got = epoch_of(with_people(Augmentation(PERMUTATION, body_probability=0.4)))[0]
    kept = (got.pose3d.numpy() == PEOPLE.pose3d).all((1, 2))
    assert 0.25 < 1 - kept.mean() < 0.55
    for mesh, recorded in zip(got.meshes, PEOPLE.meshes, strict=True):
        np.testing.assert_array_equal((mesh.numpy() == recorded).all((1, 2)), kept)
    np.testing.assert_array_equal(got.pose2d[kept], PEOPLE.pose2d[kept])
    np.testing.assert_array_equal(got.camera[kept], PEOPLE.camera[kept])


def test_the_2d_of_new_people_is_the_projection_of_their_3d():
    got = epoch_of(with_people(Augmentation(PERMUTATION, body_probability=1)))[0]
    f, c = got.camera[:, None, :2], got.camera[:, None, 2:]
    half = got.image_size[:, None, :1] / 2
    rays = ((got.pose2d + got.image_size[:, None] / (2 * half)) * half - c) / f
    # the depth that explains the first joints explains them all
    for ray, pose in zip(rays.double().numpy(), got.pose3d.double().numpy(), strict=True):
        A = np.concatenate([np.tile(np.eye(2), (17, 1)), -ray.reshape(-1, 1)], axis=1)
        b = (ray * pose[:, 2:] - pose[:, :2]).ravel()
        place, *_ = np.linalg.lstsq(A, b, rcond=None)
        assert place[2] > 0.5
        np.testing.assert_allclose(A @ place, b, atol=1e-4)


def test_detections_change_the_2d_alone_and_stay_near_the_projection():
    views = Augmentation(PERMUTATION, view_probability=1)
    exact, found = (epoch_of(with_people(a))[0] for a in (views, replace(views, detector_probability=1)))
    assert torch.equal(exact.pose3d, found.pose3d)
    assert torch.equal(exact.camera, found.camera)
    box = (exact.pose2d.amax(1) - exact.pose2d.amin(1)).amax(1)
    error = (found.pose2d - exact.pose2d).norm(dim=-1) / box[:, None]
    assert (error > 0).all()
    assert 0.005 < error.median() < 0.05


def test_everything_together_can_be_taken_up_at_any_step_and_by_any_number_of_ranks():
    whole = epoch_of(with_people(batch_size=40), epoch=2)
    fresh = with_people(batch_size=40)
    assert same(whole[2], fresh.batch(fresh.order(2), 2, 2))
    assert not same(whole[2], fresh.batch(fresh.order(2), 3, 2))
    ranks = [with_people(batch_size=40, group=Group(rank, 2)) for rank in range(2)]
    parts = [rank.batch(rank.order(2), 2, 1) for rank in ranks]
    for joined, one, other in zip(*map(tensors_of, (whole[1], *parts)), strict=True):
        assert torch.equal(joined, torch.cat([one, other]))
    assert all(torch.isfinite(t).all() for batch in whole for t in tensors_of(batch))


def test_samples_without_smpl_parameters_may_become_new_people_but_are_not_detected():
    without = without_meshes(PEOPLE, np.ones(120, bool))
    both = Augmentation(PERMUTATION, view_probability=1, body_probability=0.3, detector_probability=1)
    batches = source([PEOPLE, without], 240, True, augmentation=both, people=maker_of(PEOPLE))
    got = epoch_of(batches)[0]
    weighted = got.mesh_weight > 0
    from_first = torch.as_tensor(batches.order(0) < 120)
    assert weighted[from_first].all()
    assert 0.15 < weighted[~from_first].float().mean() < 0.45  # those that became new people
    assert torch.isfinite(got.pose2d).all()
    exact = epoch_of(
        source([PEOPLE, without], 240, True, augmentation=replace(both, detector_probability=0), people=batches.people)
    )[0]
    assert torch.equal(got.pose2d[~weighted], exact.pose2d[~weighted])


def test_in_the_place_of_a_sample_without_smpl_parameters_comes_any_other_with_its_own_vertical(monkeypatch):
    people, asked = maker_of(PEOPLE, PeopleRange(lie=0, tilt=0)), []
    make = people.make
    monkeypatch.setattr(people, "make", lambda rows, *rest: (asked.extend(rows.tolist()), make(rows, *rest))[1])
    lying = replace(without_meshes(PEOPLE, np.ones(120, bool)), up=np.tile(np.float32([1, 0, 0]), (120, 1)))
    got = epoch_of(source([lying], 120, augmentation=Augmentation(PERMUTATION, body_probability=1), people=people))[0]
    assert len(set(asked)) > 60
    neck = torch.nn.functional.normalize(got.pose3d[:, HUMAN36M_17.names.index("Neck")], dim=1)
    assert (neck * got.up).sum(1).median() > 0.8
