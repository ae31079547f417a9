import copy
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.camera import camera_to_pixel
from lib.config import Config, DatasetConfig, ModelConfig
from lib.errors import PoseWarning, UserError
from lib.graph.scales import build_scales
from lib.joints import COCO_17, HUMAN36M_17
from lib.lifting.keypoints.prepare import prepare_people
from lib.lifting.lifter import Lifter, load_model
from lib.lifting.virtual_camera import virtual_camera
from lib.lifting.writers import NEED_BODY, WRITERS, write_poses
from lib.models.factory import build_model
from lib.models.hgn import HGNOutput
from tests.bodies import builtin_body
from tests.networks import NETWORKS, networks
from tests.stick_person import CAMERA, SIZE, C, F, keypoints_of, pixels_of, points_of
from tests.tiny_weights import save_tiny_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_tiny_weights(tmp_path_factory.mktemp("weights") / "checkpoint" / "best.pth.tar")


@pytest.fixture(scope="module")
def loaded(weights):
    return Lifter(weights)


@pytest.fixture
def lifter(loaded):
    """Its network may be replaced."""
    return copy.copy(loaded)


class Oracle:
    """In the place of the network: knows the truth, root-relative in the axes of the view it is shown."""

    def __init__(self, points: np.ndarray, camera=CAMERA):
        pose = points - points[:, :1]
        rotation = virtual_camera(camera_to_pixel(points, F, C), SIZE, camera).rotation
        self.answers = torch.as_tensor(pose @ rotation.transpose(0, 2, 1))

    def __call__(self, screen):
        answer, self.answers = self.answers[: len(screen)], self.answers[len(screen) :]
        return HGNOutput(answer, (answer[:, :4], answer[:, :6]))


def test_results_stand_in_the_cameras_axes_whatever_view_the_network_was_shown(lifter):
    points = points_of(0)
    lifter.network = Oracle(points)
    poses = lifter(pixels_of(0), SIZE, camera=CAMERA)
    np.testing.assert_allclose(poses.pose3d, points - points[:, :1], atol=1e-9)
    np.testing.assert_allclose(poses.root, points[:, 0], atol=1e-6)
    np.testing.assert_allclose(poses.meshes[1], (points - points[:, :1])[:, :6], atol=1e-6)


def test_a_usual_person_is_lifted_without_a_warning(lifter):
    lifter.network = Oracle(points_of(0), None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lifter(pixels_of(0), SIZE, fps=25)


def test_joints_of_another_convention_are_warned_about(lifter):
    with pytest.warns(
        PoseWarning, match="read as human36 .* do not look like people, as coco .* give joint_set='coco'"
    ):
        lifter(pixels_of(0, COCO_17), SIZE)


def test_the_answer_has_every_array_with_its_shape_and_the_checkpoints_faces(lifter):
    poses = lifter(pixels_of(1, COCO_17), SIZE, "coco", fps=50)
    assert poses.pose3d.shape == (30, 17, 3)
    assert [mesh.shape for mesh in poses.meshes] == [(30, 4, 3), (30, 6, 3)]
    assert [len(faces) for faces in poses.faces] == [4, 8]
    assert poses.root is None
    assert (poses.pose3d[:, 0] == 0).all()
    assert (poses.fps, poses.image_size, poses.joint_set) == (50, SIZE, HUMAN36M_17)
    hips = [COCO_17.names.index(name) for name in ("L_Hip", "R_Hip")]
    np.testing.assert_allclose(poses.pose2d[:, 0], pixels_of(1, COCO_17)[:, hips].mean(1))


def test_persons_lifted_together_get_what_they_get_alone(lifter):
    people = [keypoints_of(0), keypoints_of(1)]
    together = lifter.lift(prepare_people(people))
    assert [s.person for s in together] == [0, 1]
    for k, sequence in zip(people, together, strict=True):
        alone = lifter(k.xy, SIZE)
        np.testing.assert_allclose(sequence.pose3d, alone.pose3d, atol=1e-6)
        np.testing.assert_allclose(sequence.meshes[1], alone.meshes[1], atol=1e-6)


def test_sequences_longer_than_a_batch_come_back_in_order(lifter):
    xy = np.tile(pixels_of(0)[:1], (150, 1, 1))
    xy[100] += 40
    poses = lifter(xy, SIZE).pose3d
    changes = np.abs(poses - poses[0]).max((1, 2))
    assert len(poses) == 150
    assert changes.argmax() == 100


def test_long_sequences_are_lifted_in_parts(lifter, monkeypatch):
    people = prepare_people([keypoints_of(0), keypoints_of(1)])
    whole = lifter.lift(people)
    monkeypatch.setattr("lib.lifting.lifter.LIFTED_AT_ONCE", 7)  # of 30 and 30: parts end within persons and across
    for parts, together in zip(lifter.lift(people), whole, strict=True):
        np.testing.assert_allclose(parts.pose3d, together.pose3d, atol=1e-6)
        for mesh, mesh_together in zip(parts.meshes, together.meshes, strict=True):
            np.testing.assert_allclose(mesh, mesh_together, atol=1e-6)
        assert parts.quality.misfit == pytest.approx(together.quality.misfit, abs=1e-6)


@pytest.mark.slow
def test_a_long_video_takes_little_more_memory_than_its_results(lifter):
    """5 kB per frame, half of which is the result: 17 joints twice in 2D, once in 3D, and meshes of 128 nodes."""
    frames = 20_000
    rng = np.random.default_rng(0)
    xy = pixels_of(0)[np.arange(frames) % 30] + rng.normal(0, 1, (frames, 17, 2))
    (person,) = prepare_people(
        [replace(keypoints_of(0), frames=np.arange(frames), xy=xy, scores=np.ones(xy.shape[:2]))]
    )
    answer = rng.normal(0, 0.3, (1, 128, 3)).astype(np.float32)

    def network(screen):
        points = torch.as_tensor(answer).expand(len(screen), -1, -1)
        return HGNOutput(points[:, :17], (points[:, :45], points[:, :83]))

    lifter.network = network
    tracemalloc.start()
    (sequence,) = lifter.lift([person])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(mesh.nbytes for mesh in sequence.meshes) == 128 * 12 * frames
    assert most < 6000 * frames


def test_averaging_with_the_mirrored_person_makes_the_lifter_mirror_symmetric(weights):
    xy, partner = pixels_of(0), HUMAN36M_17.flip_permutation
    mirrored = (np.array([SIZE[0], 0]) + xy * [-1, 1])[:, partner]
    averaging = Lifter(weights, average_flip=True)
    poses, other = averaging(xy, SIZE), averaging(mirrored, SIZE)
    np.testing.assert_allclose(other.pose3d[:, partner] * [-1, 1, 1], poses.pose3d, atol=1e-5)
    plain = Lifter(weights)
    assert np.abs(plain(mirrored, SIZE).pose3d[:, partner] * [-1, 1, 1] - plain(xy, SIZE).pose3d).max() > 1e-3
    assert np.ptp(poses.meshes[0] - plain(xy, SIZE).meshes[0], axis=1).max() < 1e-6  # one mesh, moved with the pelvis


def test_missing_joints_are_imputed_and_marked(lifter):
    keypoints = np.concatenate([pixels_of(0), np.ones((30, 17, 1))], axis=-1)
    keypoints[3, 13] = 0
    keypoints[4, 16, 2] = 0
    keypoints[5, 12, 0] = np.nan
    poses = lifter(keypoints, SIZE)
    assert np.argwhere(poses.imputed).tolist() == [[3, 13], [4, 16], [5, 12]]
    np.testing.assert_allclose(poses.pose2d[3, 13], pixels_of(0)[3, 13], atol=5)
    assert np.isfinite(poses.pose3d).all()


def test_a_hidden_joint_is_bridged_in_time_by_seconds(lifter):
    keypoints = pixels_of(0)
    wrist = (keypoints[4, 13] + keypoints[25, 13]) / 2
    keypoints[5:25, 13] = np.nan  # 20 frames: 0.2 s of 100 per second, 0.8 s of 25
    bridged = {
        fps: np.allclose(lifter(keypoints, SIZE, fps=fps).pose2d[14:16, 13].mean(0), wrist) for fps in (100, 25, None)
    }
    assert bridged == {100: True, 25: False, None: False}


def test_arrays_that_cannot_be_keypoints_are_one_clear_line(lifter):
    good = pixels_of(0)
    with pytest.raises(UserError, match=r"shape \(30, 16, 2\); human36 needs \(frames, 17, 2 or 3\) or \(persons, "):
        lifter(good[:, :16], SIZE)
    with pytest.raises(UserError, match=r"shape \(0, 17, 2\)"):
        lifter(good[:0], SIZE)
    with pytest.raises(UserError, match="unknown keypoint convention lsp; known are human36"):
        lifter(good, SIZE, "lsp")
    with pytest.raises(UserError, match="look normalised"):
        lifter(good / 1280, SIZE)
    with pytest.raises(UserError, match="every joint is missing"):
        lifter(np.full((2, 17, 2), np.nan), SIZE)
    with pytest.raises(UserError, match="no score is above 0"):
        lifter(np.concatenate([good, np.zeros((30, 17, 1))], axis=-1), SIZE)
    with pytest.raises(UserError, match="an array of numbers is needed"):
        lifter([["a"]], SIZE)
    with pytest.raises(UserError, match="all joints are within 4 pixels in frames 0-29"):
        lifter(np.full((30, 17, 2), 300.0), SIZE)


@pytest.mark.parametrize("size", [(10**30, 720), (1280, -1), (0, 0), (1280,), None, ("a", "b"), (float("nan"), 720)])
def test_an_absurd_image_size_is_one_clear_line(lifter, size):
    with pytest.raises(UserError, match="two numbers are needed, width and height in pixels"):
        lifter(pixels_of(0), size)


@pytest.mark.parametrize("camera", [(1, 2, 3), (0, 1, 2, 3), (np.nan, 1, 2, 3), np.ones((2, 2)) * -1])
def test_a_camera_that_is_none_is_one_clear_line(lifter, camera):
    with pytest.raises(UserError, match="a camera is four numbers"):
        lifter(pixels_of(0), SIZE, camera=camera)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e300])
def test_an_impossible_rate_is_one_clear_line(lifter, fps):
    with pytest.raises(UserError, match=r"frames per second: must be 0\.01 to 10000"):
        lifter(pixels_of(0), SIZE, fps=fps)


def test_frame_numbers_that_do_not_increase_are_one_clear_line(lifter):
    for frames in (np.zeros(30, int), np.arange(29), np.arange(30) + 0.5):
        with pytest.raises(UserError, match="30 increasing whole numbers are needed"):
            lifter(pixels_of(0), SIZE, frames=frames)


def test_a_camera_may_be_an_array(lifter):
    for camera in (CAMERA, list(CAMERA), np.array(CAMERA)):
        lifter.network = Oracle(points_of(0))
        np.testing.assert_allclose(lifter(pixels_of(0), SIZE, camera=camera).root, points_of(0)[:, 0], atol=1e-6)


def test_several_persons_in_one_array_are_lifted_as_in_the_shipped_sample(lifter, repository):
    with np.load(repository / "asset" / "samples" / "coco.npz") as sample:
        keypoints = np.concatenate([sample["keypoints"], sample["scores"][..., None]], axis=-1)
    keypoints[1, :4] = 0  # the second person comes later
    first, second = lifter(keypoints, SIZE, "coco")
    assert (first.person, second.person) == (0, 1)
    assert second.frames.tolist() == list(range(4, 30))
    np.testing.assert_allclose(first.pose3d, lifter(keypoints[0], SIZE, "coco").pose3d, atol=1e-6)
    assert [s.person for s in lifter(keypoints[:1], SIZE, "coco")] == [0]


def test_clips_far_apart_in_time_do_not_change_each_other(lifter):
    clips = [pixels_of(0)[:15] - [250, 0], pixels_of(1)[:15] + [250, 60]]
    frames = np.concatenate([np.arange(15), np.arange(15) + 1000])
    together = lifter(np.concatenate(clips), SIZE, frames=frames)
    for rows, clip in ((slice(15), clips[0]), (slice(15, None), clips[1])):
        np.testing.assert_allclose(together.pose3d[rows], lifter(clip, SIZE).pose3d, atol=1e-6)
    assert together.frames.tolist() == frames.tolist()


def test_the_rate_decides_over_how_many_frames_the_virtual_camera_is_smoothed(lifter):
    xy = pixels_of(0) + np.linspace(0, 300, 30)[:, None, None] ** 2 / 300 * [1, 0]
    slow, fast = (lifter(xy, SIZE, fps=fps).pose3d for fps in (5, 100))
    assert np.abs(slow - fast).max() > 1e-3
    np.testing.assert_array_equal(lifter(xy, SIZE, fps=100, frames=np.arange(30) * 20).pose3d, slow)


def test_what_was_assumed_is_stated(lifter):
    poses = lifter(pixels_of(0), SIZE)
    assert poses.assumed == ("fps", "camera")
    assert (poses.fps, poses.camera) == (25, (1536, 1536, 640, 360))
    assert poses.conditions() == ("image 1280 x 720 px, 25 frames per second (assumed), focal length 1536 px (assumed)")
    lifter.network = Oracle(points_of(0))
    known = lifter(pixels_of(0), SIZE, fps=50, camera=CAMERA)
    assert known.assumed == ()
    assert known.conditions() == "image 1280 x 720 px, 50 frames per second, focal length 1100 px"


def test_every_sequence_carries_its_quality(lifter):
    lifter.network = Oracle(points_of(0))
    keypoints = np.concatenate([pixels_of(0), np.ones((30, 17, 1))], axis=-1)
    quality = lifter(keypoints, SIZE, camera=CAMERA).quality
    assert quality.limb_spread < 1e-6  # the stick person's limbs are rigid
    assert quality.misfit < 0.03  # scaled orthographic projection of a person 5 m away
    assert quality.imputed == 0
    assert 0 < quality.jitter < 10


def test_a_joint_astronomically_far_away_counts_as_missing(lifter):
    keypoints = pixels_of(0)
    keypoints[7, 13] = 1e300
    poses = lifter(keypoints, SIZE)
    assert np.argwhere(poses.imputed).tolist() == [[7, 13]]
    np.testing.assert_allclose(poses.pose2d[7, 13], pixels_of(0)[7, 13], atol=5)
    assert np.isfinite(poses.pose3d).all()


@pytest.mark.slow
def test_a_lifter_with_released_weights_writes_nothing_and_finds_the_body_from_everywhere(tmp_path, monkeypatch):
    scales = build_scales(HUMAN36M_17, builtin_body().faces)
    cfg = Config(DATASET=DatasetConfig((), ()), MODEL=ModelConfig(hidden_dim=128))
    (tmp_path / "weights").mkdir()
    weights = tmp_path / "weights" / "final.pth.tar"
    torch.save({"epoch": 1, "model_state_dict": build_model(cfg, scales).state_dict()}, weights)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    looked = []
    monkeypatch.setattr("lib.lifting.lifter.load_body", lambda place: looked.append(place) or builtin_body())
    assert Lifter(weights)(pixels_of(0), SIZE).pose3d.shape == (30, 17, 3)
    assert list((tmp_path / "work").iterdir()) == []
    Lifter(weights, smpl_dir=tmp_path)
    assert looked[0].is_absolute()
    assert looked[0].name == "models"
    assert looked[1] == tmp_path


def test_weights_are_found_in_a_run_folder_and_missing_ones_are_named(weights, tmp_path):
    _, faces = load_model(weights.parent.parent)
    assert [len(f) for f in faces] == [4, 8]
    with pytest.raises(UserError, match=r"no \.pth\.tar file at .*nothing; name a checkpoint with --weights"):
        load_model(tmp_path / "nothing")


def test_weights_for_other_joints_are_refused(tmp_path):
    path = save_tiny_weights(tmp_path / "w.pth.tar", joint_names=list(COCO_17.names))
    with pytest.raises(UserError, match=r"trained on other joints \(Nose, L_Eye, R_Eye, \.\.\.\)"):
        load_model(path)


@pytest.mark.parametrize("model", networks("HGN", "SimpleBaseline"))
def test_every_network_lifts_and_brings_the_meshes_it_has(tmp_path, model, shared_predictors):
    path = save_tiny_weights(tmp_path / "w.pth.tar", model)
    network, faces = load_model(path)
    sequence = Lifter(path, average_flip=True).lift(prepare_people([keypoints_of(0)]))[0]
    count = model.scales - 1 if model.name == "HGN" else 0
    assert [mesh.shape[1] for mesh in sequence.meshes] == [4, 6][:count]
    assert [len(f) for f in faces] == [len(f) for f in sequence.faces] == [4, 8][:count]
    assert np.isfinite(sequence.pose3d).all()
    view = virtual_camera(pixels_of(0), SIZE, None)
    with torch.inference_mode():
        pose3d = network.eval()(torch.as_tensor(view.pose2d)).pose3d.double().numpy()
    straight = Lifter(path).lift(prepare_people([keypoints_of(0)]))[0].pose3d
    np.testing.assert_allclose(straight, (pose3d - pose3d[:, :1]) @ view.rotation, atol=1e-5)


@pytest.fixture(scope="module")
def skeletons(tmp_path_factory):
    """What a network without meshes lifts."""
    weights = save_tiny_weights(tmp_path_factory.mktemp("skeletons") / "w.pth.tar", NETWORKS["SimpleBaseline"])
    return Lifter(weights)(pixels_of(0)[:1], SIZE)


@pytest.mark.parametrize("ending", [e for e in WRITERS if e not in (".gif", ".mp4", *NEED_BODY)])
def test_what_a_network_without_meshes_lifts_can_be_written(tmp_path, skeletons, ending):
    write_poses(tmp_path / f"out{ending}", [skeletons])
    assert (tmp_path / f"out{ending}").stat().st_size > 100
