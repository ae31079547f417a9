from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.camera import camera_to_pixel, normalized_to_pixel, pixel_to_normalized
from lib.joints import HUMAN36M_17
from lib.lifting.virtual_camera import virtual_camera
from lib.training.augment import (
    Batch,
    DetectionNoise,
    ShownRange,
    ViewRange,
    add_detection_noise,
    draw_view,
    flip,
    new_view,
    rotate,
    virtual_view,
)
from tests.tables import random_table, tensors_of

COUNT = 12
TABLE = random_table(COUNT)
PERMUTATION = torch.as_tensor(HUMAN36M_17.flip_permutation)
ALL = torch.ones(COUNT, dtype=torch.bool)
MANY_SAMPLES = torch.ones(500, dtype=torch.bool)
MIRROR = np.array([-1.0, 1.0, 1.0])


def batch_of(table) -> Batch:
    meshes = [tuple(torch.as_tensor(m) for m in side) for side in (table.meshes, table.flipped_meshes)]
    plain = {name: torch.as_tensor(getattr(table, name)) for name in ("pose2d", "pose3d", "camera", "image_size", "up")}
    return Batch(meshes=meshes[0], flipped_meshes=meshes[1], **plain)


@pytest.fixture
def batch() -> Batch:
    return batch_of(TABLE)


def turns_of(before: Batch, after: Batch) -> np.ndarray:
    """(N, 3, 3) rotations R with after = R @ before, from the poses."""
    pairs = zip(before.pose3d.double().numpy(), after.pose3d.double().numpy(), strict=True)
    return np.array([np.linalg.lstsq(a, b, rcond=None)[0].T for a, b in pairs])


def project(pose3d: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Root-relative poses at `root` (N, 3), metres, through the table's cameras to normalized image coordinates."""
    pixels = camera_to_pixel(pose3d + root[:, None], TABLE.camera[:, :2], TABLE.camera[:, 2:])
    return pixel_to_normalized(pixels, *TABLE.image_size.T)


def turn(points: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """(N, ..., 3) about the z axis, x towards y."""
    cos, sin = np.cos(angle), np.sin(angle)
    R = np.zeros((len(angle), 3, 3))
    R[:, 0, 0], R[:, 0, 1], R[:, 1, 0], R[:, 1, 1], R[:, 2, 2] = cos, -sin, sin, cos, 1
    return np.einsum("nij,n...j->n...i", R, points)


def test_flipping_twice_is_the_identity(batch):
    twice = flip(flip(batch, ALL, PERMUTATION), ALL, PERMUTATION)
    for a, b in zip(tensors_of(batch), tensors_of(twice), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-6)


def test_a_flipped_pose_is_the_mirrored_one_with_left_and_right_exchanged(batch):
    flipped = flip(batch, ALL, PERMUTATION)
    for name, other in (("L_Wrist", "R_Wrist"), ("R_Ankle", "L_Ankle"), ("Head", "Head")):
        j, k = HUMAN36M_17.names.index(name), HUMAN36M_17.names.index(other)
        np.testing.assert_array_equal(flipped.pose3d[:, j], batch.pose3d[:, k].numpy() * MIRROR)


def test_projecting_the_flipped_3d_pose_gives_the_flipped_2d_pose(batch):
    flipped = flip(batch, ALL, PERMUTATION)
    np.testing.assert_allclose(flipped.pose2d, project(flipped.pose3d.numpy(), TABLE.root * MIRROR), atol=2e-5)


def test_flipping_exchanges_the_meshes_with_those_of_the_mirrored_person(batch):
    flipped = flip(batch, ALL, PERMUTATION)
    for mesh, want in zip(flipped.meshes, TABLE.flipped_meshes, strict=True):
        np.testing.assert_array_equal(mesh, want)
    for mesh, want in zip(flipped.flipped_meshes, TABLE.meshes, strict=True):
        np.testing.assert_array_equal(mesh, want)


def test_only_the_chosen_samples_are_flipped(batch):
    chosen = torch.arange(COUNT) % 3 == 1
    some, every = flip(batch, chosen, PERMUTATION), flip(batch, ALL, PERMUTATION)
    for part, flipped, plain in zip(tensors_of(some), tensors_of(every), tensors_of(batch), strict=True):
        assert torch.equal(part[chosen], flipped[chosen])
        assert torch.equal(part[~chosen], plain[~chosen])


def test_projecting_the_rotated_3d_pose_gives_the_rotated_2d_pose(batch):
    angle = torch.linspace(-3, 3, COUNT)
    turned = rotate(batch, angle)
    root = turn(TABLE.root.astype(np.float64), angle.numpy())
    np.testing.assert_allclose(turned.pose2d, project(turned.pose3d.numpy(), root), atol=2e-5)
    assert (turned.pose2d - batch.pose2d).abs().max() > 0.1


def test_a_quarter_turn_takes_x_to_y_in_pose_and_mesh(batch):
    turned = rotate(batch, torch.full((COUNT,), np.pi / 2))
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    np.testing.assert_allclose(turned.pose3d, TABLE.pose3d @ quarter.T, atol=1e-6)
    for mesh, plain in zip(turned.meshes, TABLE.meshes, strict=True):
        np.testing.assert_allclose(mesh, plain @ quarter.T, atol=1e-6)


def test_rotation_turns_pose_and_mesh_together_and_back_again(batch):
    angle = torch.linspace(-2, 2, COUNT)
    turned = rotate(batch, angle)
    np.testing.assert_allclose(turned.pose3d, turn(TABLE.pose3d, angle.numpy()), atol=1e-6)
    np.testing.assert_allclose(turned.meshes[1], turn(TABLE.meshes[1], angle.numpy()), atol=1e-6)
    for a, b in zip(tensors_of(rotate(turned, -angle)), tensors_of(batch), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=3e-6)


def test_turning_the_mirrored_person_mirrors_the_person_turned_the_other_way(batch):
    angle = torch.linspace(-2, 2, COUNT)
    one = flip(rotate(batch, angle), ALL, PERMUTATION)
    other = rotate(flip(batch, ALL, PERMUTATION), -angle)
    for a, b in zip(tensors_of(one), tensors_of(other), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=3e-6)


# --- other cameras


def placed(batch: Batch) -> np.ndarray:
    """(N, J, 3) camera space: the poses where their pictures show them; asserts that there is such a place."""
    pose, size, camera = (t.double().numpy() for t in (batch.pose3d, batch.image_size, batch.camera))
    pixels = normalized_to_pixel(batch.pose2d.double().numpy(), *size.T)
    rays = (pixels - camera[:, None, 2:]) / camera[:, None, :2]
    where = []
    for X, ray in zip(pose, rays, strict=True):
        # x + t_x = ray_x (z + t_z), and so for y: two equations per joint for t
        A = np.zeros((len(X), 2, 3))
        A[:, 0, 0] = A[:, 1, 1] = 1
        A[:, :, 2] = -ray
        b = ray * X[:, 2:] - X[:, :2]
        t, *_ = np.linalg.lstsq(A.reshape(-1, 3), b.ravel(), rcond=None)
        np.testing.assert_allclose(A.reshape(-1, 3) @ t, b.ravel(), atol=2e-5)
        where.append(X + t)
    return np.array(where)


def seen_anew(batch, seed=0, views=ViewRange(), chosen=ALL):  # noqa: B008  (frozen)
    return new_view(batch, chosen, draw_view(batch, views, torch.Generator().manual_seed(seed)))


def test_a_new_view_shows_a_turned_pose_where_its_camera_sees_it(batch):
    anew = seen_anew(batch)
    assert placed(anew)[..., 2].min() > 0.49  # in front of the camera
    R = turns_of(batch, anew)  # one rotation for joints and mesh nodes, no mirror
    np.testing.assert_allclose(R @ R.transpose(0, 2, 1), np.broadcast_to(np.eye(3), R.shape), atol=1e-5)
    assert (np.linalg.det(R) > 0).all()
    for a, b in zip((batch.pose3d, *batch.meshes), (anew.pose3d, *anew.meshes), strict=True):
        np.testing.assert_allclose(np.einsum("nij,nkj->nki", R, a.numpy()), b, atol=1e-5)


def camera_angles(up: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Pitch and roll (N,), degrees, of cameras that see the vertical as up (N, 3), x right, y down, z forward."""
    x, y, z = up.double().numpy().T
    return np.rad2deg(np.arcsin(z)), np.rad2deg(np.arctan2(x, -y))


def test_a_new_camera_pitches_and_rolls_about_the_true_vertical_as_far_as_asked_for():
    batch = batch_of(random_table(500))  # whose cameras are pitched and rolled by up to 40 degrees themselves
    assert np.abs(camera_angles(batch.up)).max() > 30
    views = ViewRange(pitch=40, roll=25, level=0)
    for angle, most in zip(camera_angles(seen_anew(batch, views=views, chosen=MANY_SAMPLES).up), (40, 25), strict=True):
        assert most * 0.95 < angle.max() < most + 0.01
        assert -most - 0.01 < angle.min() < -most * 0.95
    calm = seen_anew(batch, views=replace(views, level=1.0), chosen=MANY_SAMPLES)
    assert np.abs(camera_angles(calm.up)).max(1).tolist() == pytest.approx([8, 5], rel=0.05)


def test_a_new_view_turns_the_vertical_with_the_person(batch):
    anew = seen_anew(batch)
    R = turns_of(batch, anew)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", R, batch.up.numpy()), anew.up, atol=1e-5)


def test_a_person_is_seen_from_all_sides_even_by_a_camera_that_looked_straight_down():
    batch = batch_of(random_table(500))
    batch = replace(batch, up=torch.tensor([0.0, 0.0, -1.0]).repeat(500, 1))
    R = turns_of(batch, seen_anew(batch, views=ViewRange(pitch=0, roll=0), chosen=MANY_SAMPLES))
    np.testing.assert_allclose(R @ [0, 0, -1], np.tile([0, -1, 0], (500, 1)), atol=1e-4)
    front = (R @ [1, 0, 0])[:, [0, 2]]  # now in the horizontal plane, in every direction
    assert np.ptp(np.arctan2(*front.T)) > 6.1


def test_a_new_view_keeps_the_person_in_the_image_at_distances_and_focal_lengths_that_were_asked_for():
    batch = batch_of(random_table(500))
    view = draw_view(batch, ViewRange(), torch.Generator().manual_seed(0))
    anew = new_view(batch, MANY_SAMPLES, view)
    limit = torch.stack([torch.ones(500), anew.image_size[:, 1] / anew.image_size[:, 0]], 1)
    # perspective makes near parts larger than the size at the middle's depth, so a few joints may stick out
    assert (anew.pose2d.abs() <= limit[:, None]).float().mean() > 0.97
    focal = anew.camera[:, 0] / anew.image_size.amax(1)
    assert 0.55 - 1e-6 <= focal.min() < 0.6
    assert 2.4 < focal.max() <= 2.5 + 1e-6
    distance = view.shift[:, 2]
    assert 1.9 < distance.min() < 2.5
    assert 12 < distance.max() <= 15
    shapes = {round(float(r), 3) for r in anew.image_size[:, 0] / anew.image_size[:, 1]}
    assert shapes == {1.0, 1.778, 0.562, 1.333, 0.75}
    at_the_border = (anew.pose2d.abs() > 0.95 * limit[:, None]).any(-1).any(-1).float().mean()
    assert at_the_border > 0.05


def test_the_mirrored_person_is_turned_the_mirrored_way_in_a_new_view(batch):
    symmetric = replace(batch, flipped_meshes=tuple(m * torch.tensor([-1.0, 1, 1]) for m in batch.meshes))
    anew = seen_anew(symmetric)
    for mesh, flipped in zip(anew.meshes, anew.flipped_meshes, strict=True):
        torch.testing.assert_close(flipped, mesh * torch.tensor([-1.0, 1, 1]), rtol=0, atol=1e-6)


def test_a_new_view_is_given_to_the_chosen_samples_only_and_follows_from_the_generator(batch):
    chosen = torch.arange(COUNT) % 2 == 0
    anew = seen_anew(batch, chosen=chosen)
    for a, b in zip(tensors_of(anew), tensors_of(batch), strict=True):
        assert torch.equal(a[~chosen], b[~chosen])
    assert not torch.equal(anew.pose2d[chosen], batch.pose2d[chosen])
    assert torch.equal(anew.pose2d, seen_anew(batch, chosen=chosen).pose2d)
    assert not torch.equal(anew.pose2d, seen_anew(batch, seed=1, chosen=chosen).pose2d)


# --- as prediction shows people to the network


def shown(batch, chosen=ALL, unknown=0.0, aim=0.0, size=0.0, seed=0):
    return virtual_view(batch, chosen, ShownRange(unknown, aim, size), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("unknown", [False, True])
def test_training_shows_people_exactly_as_prediction_does(batch, unknown):
    batch = seen_anew(batch)
    seen = shown(batch, unknown=float(unknown))
    for i in range(COUNT):
        size = tuple(batch.image_size[i].tolist())
        pixels = normalized_to_pixel(batch.pose2d[[i]].double().numpy(), *size)
        lifter = virtual_camera(pixels, size, None if unknown else batch.camera[i].tolist())
        np.testing.assert_allclose(seen.pose2d[i], lifter.pose2d[0], atol=2e-6)
        for before, after in zip((batch.pose3d, *batch.meshes), (seen.pose3d, *seen.meshes), strict=True):
            np.testing.assert_allclose(after[i].double().numpy() @ lifter.rotation[0], before[i], atol=2e-6)


def test_a_known_camera_s_virtual_view_is_the_projection_of_the_turned_person(batch):
    assert placed(shown(batch, aim=0.05, size=0.1))[..., 2].min() > 0


def test_virtual_views_miss_the_middle_and_the_size_a_little_and_take_the_chosen_alone():
    batch = batch_of(random_table(500))
    seen = shown(batch, MANY_SAMPLES, aim=0.03, size=0.06)
    low, high = seen.pose2d.amin(1), seen.pose2d.amax(1)
    extent = (high - low).amax(1)
    assert torch.log(extent / 0.66).std() == pytest.approx(0.06, rel=0.1)
    assert ((low + high) / 2 / extent[:, None]).std() == pytest.approx(0.03, rel=0.15)
    half = torch.arange(500) % 2 == 0
    some = shown(batch, half, aim=0.03, size=0.06)
    for a, b, c in zip(tensors_of(some), tensors_of(seen), tensors_of(batch), strict=True):
        assert torch.equal(a[half], b[half])
        assert torch.equal(a[~half], c[~half])


def test_augmentation_leaves_its_input_as_it_was(batch):
    before = [t.clone() for t in tensors_of(batch)]
    rotate(flip(batch, ALL, PERMUTATION), torch.ones(COUNT))
    assert all(torch.equal(a, b) for a, b in zip(before, tensors_of(batch), strict=True))


def test_a_batch_without_mirrored_meshes_can_be_rotated(batch):
    assert rotate(replace(batch, flipped_meshes=()), torch.ones(COUNT)).flipped_meshes == ()


# --- noise. A pose of 0.5 x 0.8 about (0.1, -0.2): with a box of height 384 and width 288 px the person's box is as high
# as the pose or its width / 0.75, whichever is more, and a quarter more: 0.8 * 1.25 = 1 high, 0.75 wide; a pixel is 1 / 384.

POSE = torch.tensor([[-0.15, -0.6], [0.35, 0.2], [0.1, -0.2], [0.0, 0.0]])
MANY = POSE.expand(20_000, 4, 2)


def noisy(mean=(0.0,), std=(0.0,), outlier=(0.0,), pose=MANY, seed=0):
    noise = DetectionNoise(mean, std, outlier, (384, 288))
    return add_detection_noise(pose, noise, torch.Generator().manual_seed(seed))


def test_noise_has_the_mean_and_the_standard_deviation_that_were_asked_for_joint_by_joint():
    mean, std = (0.0, 2.0, -1.0, 0.0), (4.0, 1.0, 8.0, 0.0)
    pixels = (noisy(mean, std) - MANY) * 384
    # a mean of 20,000 has a standard deviation of std / 141, a standard deviation one of std / 200
    for j in range(4):
        np.testing.assert_allclose(pixels[:, j].mean(0), mean[j], atol=5 * std[j] / 141 + 1e-4)
        np.testing.assert_allclose(pixels[:, j].std(0), std[j], atol=5 * std[j] / 200 + 1e-4)
    together = torch.corrcoef(torch.stack([pixels[:, 0, 0], pixels[:, 0, 1], pixels[:, 1, 0]]))
    assert (together - torch.eye(3)).abs().max() < 0.04  # axes and joints are independent


def test_one_value_holds_for_all_joints():
    pixels = (noisy((1.0,), (4.0,)) - MANY) * 384
    np.testing.assert_allclose(pixels.mean(0), 1, atol=0.15)
    np.testing.assert_allclose(pixels.std(0), 4, atol=0.1)


def test_outliers_come_as_often_as_asked_for_and_anywhere_in_the_person_s_box():
    moved = noisy(outlier=(0.0, 0.1, 1.0, 0.5))
    outlier = (moved - MANY).abs().amax(-1) > 1e-6
    np.testing.assert_allclose(outlier.float().mean(0), (0, 0.1, 1, 0.5), atol=5 * 0.5 / 141)
    drawn = moved[:, 2]  # uniform in a box of 0.75 x 1 about (0.1, -0.2)
    np.testing.assert_allclose(drawn.amin(0), (0.1 - 0.375, -0.2 - 0.5), atol=2e-3)
    np.testing.assert_allclose(drawn.amax(0), (0.1 + 0.375, -0.2 + 0.5), atol=2e-3)
    np.testing.assert_allclose(drawn.std(0), (0.75 / 12**0.5, 1 / 12**0.5), atol=5e-3)


def test_noise_grows_with_the_person():
    small, large = ((noisy(std=(4.0,), pose=MANY * s) - MANY * s).std() for s in (0.5, 2))
    np.testing.assert_allclose(large / small, 4, rtol=0.02)


def test_a_wide_pose_has_a_box_as_wide_as_it_and_a_quarter_more():
    wide = torch.tensor([[-0.6, 0.0], [0.6, 0.1]]).expand(20_000, 2, 2)  # 1.2 wide: box 1.5 x 2
    drawn = noisy(outlier=(1.0,), pose=wide)
    np.testing.assert_allclose(drawn.amax((0, 1)) - drawn.amin((0, 1)), (1.5, 2), atol=5e-3)


def test_noise_follows_from_the_generator_alone_and_no_noise_changes_nothing():
    assert torch.equal(noisy(std=(4.0,), seed=1), noisy(std=(4.0,), seed=1))
    assert not torch.equal(noisy(std=(4.0,), seed=1), noisy(std=(4.0,), seed=2))
    assert torch.equal(noisy(), MANY)
