import pytest
import torch

from lib.models.hgn import HGNOutput
from lib.training.losses import LossWeights, edge_loss, hgn_losses, normal_loss, point_loss

TRIANGLE = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [0, 4, 0]]], dtype=torch.float64)
FACES = torch.tensor([[0, 1, 2]])


def test_the_published_loss_is_a_hundred_times_the_joints_plus_both_meshes():
    # one joint off by (0.1, 0, 0) of two: mean of squares 0.01 / 6; all of a 1-node mesh off by 0.2: 0.04; and by 0.3: 0.09
    pose, meshes = torch.zeros(1, 2, 3), (torch.zeros(1, 1, 3), torch.zeros(1, 4, 3))
    off = pose.clone()
    off[0, 1, 0] = 0.1
    output = HGNOutput(off, (meshes[0] + 0.2, meshes[1] - 0.3))
    losses = hgn_losses(output, pose, meshes, (), LossWeights())
    assert list(losses) == ["joint", "mesh_0", "mesh_1"]
    torch.testing.assert_close(losses["joint"], torch.tensor(100 * 0.01 / 6))
    torch.testing.assert_close(losses["mesh_0"], torch.tensor(0.04))
    torch.testing.assert_close(losses["mesh_1"], torch.tensor(0.09))


def test_meshes_weigh_what_they_are_given_and_keep_their_gradients_without_weight():
    pose, mesh = torch.zeros(1, 2, 3), torch.full((1, 4, 3), 0.5, requires_grad=True)
    output = HGNOutput(pose, (mesh,))
    losses = hgn_losses(output, pose, (torch.zeros(1, 4, 3),), (), LossWeights(mesh=3))
    assert losses["mesh_0"].item() == 3 * 0.25
    silent = hgn_losses(output, pose, (torch.zeros(1, 4, 3),), (), LossWeights(mesh=0))
    assert silent["mesh_0"].item() == 0
    silent["mesh_0"].backward()  # several ranks wait for a gradient of every parameter
    assert (mesh.grad == 0).all()


@pytest.mark.parametrize("count", [0, 1])
def test_targets_of_meshes_that_the_network_lacks_are_skipped(count):
    pose, meshes = torch.zeros(1, 2, 3), (torch.zeros(1, 1, 3), torch.zeros(1, 4, 3))
    losses = hgn_losses(HGNOutput(pose, meshes[:count]), pose, meshes, (), LossWeights())
    assert list(losses) == ["joint", "mesh_0"][: 1 + count]


def test_a_mesh_without_a_target_is_an_error():
    pose, meshes = torch.zeros(1, 2, 3), (torch.zeros(1, 1, 3), torch.zeros(1, 4, 3))
    with pytest.raises(ValueError, match="zip"):
        hgn_losses(HGNOutput(pose, meshes), pose, meshes[:1], (), LossWeights())


def test_normal_and_edge_terms_appear_with_their_weights_only_when_asked_for():
    pose, meshes = TRIANGLE, (TRIANGLE, TRIANGLE)
    output = HGNOutput(pose, (2 * TRIANGLE, TRIANGLE))
    losses = hgn_losses(output, pose, meshes, (FACES, FACES), LossWeights(1, 2, 10))
    assert list(losses) == ["joint", "mesh_0", "mesh_1", "normal", "edge"]
    assert losses["normal"] == 0
    # edges 3, 5, 4 doubled: mean difference 4, in the first mesh alone
    torch.testing.assert_close(losses["edge"], torch.tensor(40.0, dtype=torch.float64))


def test_edge_loss_is_the_mean_difference_of_lengths_and_blind_to_place_and_rotation():
    turned = TRIANGLE[..., [1, 2, 0]] + 7  # a cyclic change of axes is a rotation
    torch.testing.assert_close(edge_loss(turned, TRIANGLE, FACES), torch.tensor(0.0, dtype=torch.float64))
    longer = TRIANGLE.clone()
    longer[0, 1, 0] = 6  # edges 6, sqrt(52), 4 in place of 3, 5, 4
    torch.testing.assert_close(
        edge_loss(longer, TRIANGLE, FACES), torch.tensor((3 + 52**0.5 - 5) / 3, dtype=torch.float64)
    )


def test_normal_loss_is_the_mean_cosine_of_edges_with_the_target_s_normal():
    # the corner (0, 4, 0) lifted to (0, 4, 3): edges (1, 0, 0), (-3, 4, 3) / sqrt(34), (0, -4, -3) / 5; normal (0, 0, 1)
    lifted = TRIANGLE.clone()
    lifted[0, 2, 2] = 3
    want = (0 + 3 / 34**0.5 + 3 / 5) / 3
    torch.testing.assert_close(normal_loss(lifted, TRIANGLE, FACES), torch.tensor(want, dtype=torch.float64))
    torch.testing.assert_close(normal_loss(TRIANGLE * 5, TRIANGLE, FACES), torch.tensor(0.0, dtype=torch.float64))


@pytest.mark.parametrize("loss", [normal_loss, edge_loss])
def test_mesh_losses_have_gradients_that_finite_differences_confirm(loss):
    torch.manual_seed(0)
    target = torch.randn(2, 5, 3, dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [2, 3, 4]])
    predicted = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: loss(p, target, faces), predicted)


def test_a_face_of_no_area_gives_no_nan():
    flat = torch.zeros(1, 3, 3, requires_grad=True)
    loss = normal_loss(flat, torch.zeros(1, 3, 3), FACES) + edge_loss(
        flat + torch.arange(3)[None, :, None], flat.detach(), FACES
    )
    loss.backward()
    assert torch.isfinite(flat.grad).all()


def test_without_squares_every_term_is_the_weighted_point_loss_of_its_points():
    """Distances of 5 and 0 for two joints, of 13 for a node: 100 * 2.5 and 2 * 13."""
    output = HGNOutput(torch.tensor([[[3.0, 4.0, 0.0], [1.0, 1.0, 1.0]]]), (torch.tensor([[[3.0, 4.0, 12.0]]]),))
    target, mesh = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]]), (torch.zeros(1, 1, 3),)
    terms = hgn_losses(output, target, mesh, (), LossWeights(mesh=2.0, squared=False))
    assert {name: float(value) for name, value in terms.items()} == {"joint": 250.0, "mesh_0": 26.0}


def test_the_point_loss_has_a_finite_gradient_where_a_joint_is_hit_exactly():
    predicted = torch.zeros(1, 2, 3, requires_grad=True)
    point_loss(predicted, torch.zeros(1, 2, 3), squared=False).backward()
    assert torch.equal(predicted.grad, torch.zeros(1, 2, 3))


def test_samples_without_meshes_count_nothing_in_the_distances_of_meshes():
    predicted, target = torch.tensor([[[3.0, 4.0, 0.0]], [[9.0, 9.0, 9.0]]]), torch.zeros(2, 1, 3)
    assert float(point_loss(predicted, target, squared=False, weight=torch.tensor([2.0, 0.0]))) == 5.0


# ---- samples without meshes


def random_output(count: int, seed: int) -> HGNOutput:
    torch.manual_seed(seed)
    shapes = ((count, 4, 3), (count, 6, 3))
    return HGNOutput(
        torch.randn(count, 2, 3, dtype=torch.float64), tuple(torch.randn(s, dtype=torch.float64) for s in shapes)
    )


FOUR_FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])
ALL_TERMS = LossWeights(joint=100, normal=0.5, edge=2)


def test_mesh_terms_are_means_over_the_samples_that_have_meshes():
    output, target = random_output(5, 0), random_output(5, 1)
    has = torch.tensor([True, False, True, True, False])
    losses = hgn_losses(
        output, target.pose3d, target.meshes, (FOUR_FACES, FOUR_FACES), ALL_TERMS, has.double() * (len(has) / has.sum())
    )
    some = HGNOutput(output.pose3d[has], tuple(m[has] for m in output.meshes))
    alone = hgn_losses(some, target.pose3d[has], tuple(m[has] for m in target.meshes), (FOUR_FACES,) * 2, ALL_TERMS)
    everything = hgn_losses(output, target.pose3d, target.meshes, (FOUR_FACES,) * 2, ALL_TERMS)
    for name in ("mesh_0", "mesh_1", "normal", "edge"):
        torch.testing.assert_close(losses[name], alone[name])
        assert abs(losses[name] - everything[name]) > 1e-3
    torch.testing.assert_close(losses["joint"], everything["joint"])  # of all samples


def test_without_any_mesh_the_mesh_terms_are_zero_and_their_gradients_finite():
    output, target = random_output(3, 0), random_output(3, 1)
    meshes = tuple(m.requires_grad_() for m in output.meshes)
    nothing = tuple(torch.zeros_like(m) for m in target.meshes)
    losses = hgn_losses(output, target.pose3d, nothing, (FOUR_FACES,) * 2, ALL_TERMS, torch.zeros(3).double())
    assert [losses[name].item() for name in ("mesh_0", "mesh_1", "normal", "edge")] == [0] * 4
    sum(losses.values()).backward()
    for mesh in meshes:
        assert (mesh.grad == 0).all()
