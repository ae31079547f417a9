from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.camera import camera_to_pixel
from lib.errors import UserError
from lib.joints import COCO_17, HUMAN36M_17
from lib.lifting.keypoints.prepare import prepare_people
from lib.lifting.keypoints.readers import Keypoints
from lib.lifting.lifter import Lifter, load_model, prepare_usable, smoothed, with_root_translation
from lib.lifting.virtual_camera import virtual_camera
from lib.lifting.writers import WRITERS, write_poses
from lib.models.hgn import HGNOutput
from tests.networks import NETWORKS
from tests.stick_person import SIZE, C, F, stick_people
from tests.tiny_weights import save_tiny_weights

CAMERA = (*F, *C)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_tiny_weights(tmp_path_factory.mktemp("weights") / "checkpoint" / "best.pth.tar")


@pytest.fixture
def lifter(weights):
    return Lifter(weights)


def points_of(person: int, joint_set=HUMAN36M_17) -> np.ndarray:
    """(T, J, 3) metres, camera axes."""
    return np.stack([stick_people()[person][name] for name in joint_set.names], axis=1)


def pixels_of(person: int, joint_set=HUMAN36M_17) -> np.ndarray:
    return camera_to_pixel(points_of(person, joint_set), F, C)


def keypoints_of(person: int) -> Keypoints:
    xy = pixels_of(person)
    return Keypoints(person, np.arange(len(xy)), xy, np.ones(xy.shape[:2]), "human36", SIZE, "film.json")


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
    np.testing.assert_allclose(poses.meshes[1], (points - points[:, :1])[:, :6], atol=1e-9)


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


def test_averaging_with_the_mirrored_person_makes_the_lifter_mirror_symmetric(weights):
    xy, partner = pixels_of(0), HUMAN36M_17.flip_permutation
    mirrored = (np.array([SIZE[0], 0]) + xy * [-1, 1])[:, partner]
    averaging = Lifter(weights, average_flip=True)
    poses, other = averaging(xy, SIZE), averaging(mirrored, SIZE)
    np.testing.assert_allclose(other.pose3d[:, partner] * [-1, 1, 1], poses.pose3d, atol=1e-5)
    plain = Lifter(weights)
    assert np.abs(plain(mirrored, SIZE).pose3d[:, partner] * [-1, 1, 1] - plain(xy, SIZE).pose3d).max() > 1e-3
    assert np.ptp(poses.meshes[0] - plain(xy, SIZE).meshes[0], axis=1).max() < 1e-9  # one mesh, moved with the pelvis


def test_missing_joints_are_filled_and_marked(lifter):
    keypoints = np.concatenate([pixels_of(0), np.ones((30, 17, 1))], axis=-1)
    keypoints[3, 13] = 0
    keypoints[4, 16, 2] = 0
    keypoints[5, 12, 0] = np.nan
    poses = lifter(keypoints, SIZE)
    assert np.argwhere(poses.imputed).tolist() == [[3, 13], [4, 16], [5, 12]]
    np.testing.assert_allclose(poses.pose2d[3, 13], pixels_of(0)[3, 13], atol=5)
    assert np.isfinite(poses.pose3d).all()


def test_arrays_that_cannot_be_keypoints_are_one_clear_line(lifter):
    good = pixels_of(0)
    with pytest.raises(UserError, match=r"shape \(30, 16, 2\); human36 needs \(frames, 17, 2 or 3\)"):
        lifter(good[:, :16], SIZE)
    with pytest.raises(UserError, match=r"shape \(0, 17, 2\)"):
        lifter(good[:0], SIZE)
    with pytest.raises(UserError, match="unknown joint set mpii; known are human36"):
        lifter(good, SIZE, "mpii")
    with pytest.raises(UserError, match="look normalised"):
        lifter(good / 1280, SIZE)
    with pytest.raises(UserError, match="every joint is missing"):
        lifter(np.full((2, 17, 2), np.nan), SIZE)


def test_one_bad_person_does_not_sink_the_others():
    bad = keypoints_of(1)
    prepared, notes = prepare_usable([keypoints_of(0), replace(bad, xy=bad.xy / 1280)])
    assert [p.person for p in prepared] == [0]
    assert len(notes) == 1
    assert "left out: film.json: person 1" in notes[0]
    assert "look normalised" in notes[0]


def test_frames_with_too_few_joints_are_left_out_and_told():
    k = keypoints_of(0)
    xy = k.xy.copy()
    xy[25:, 1:] = np.nan  # the end of a sequence has no later frame to be imputed from
    prepared, notes = prepare_usable([replace(k, xy=xy, scores=np.isfinite(xy[..., 0]) * 1.0)])
    assert prepared[0].frames.tolist() == list(range(25))
    assert notes == ["person 0: too few joints, so left out: frames 25-29"]


def test_a_person_who_is_mostly_missing_is_left_out_whole():
    k = keypoints_of(0)
    xy = k.xy.copy()
    xy[10:, 1:] = np.nan
    prepared, notes = prepare_usable([replace(k, xy=xy, scores=np.isfinite(xy[..., 0]) * 1.0)])
    assert prepared == []
    assert "left out: film.json: person 0: more than 6 of 17 joints are missing" in notes[0]


def test_frames_that_stand_nowhere_before_the_camera_are_left_out_and_told(lifter):
    lifter.network = Oracle(points_of(0))
    poses = lifter.lift(prepare_people([keypoints_of(0)]), camera=CAMERA)[0]
    scores = poses.scores.copy()
    scores[7] = 0
    placed, notes = with_root_translation(replace(poses, scores=scores), CAMERA)
    assert placed.frames.tolist() == [t for t in range(30) if t != 7]
    np.testing.assert_allclose(placed.root, points_of(0)[placed.frames, 0], atol=1e-6)
    assert notes == ["person 0: no place before the camera, so left out: frame 7"]
    with pytest.raises(UserError, match="person 0: camera fit: in 30 of 30 frames"):
        with_root_translation(replace(poses, scores=np.zeros_like(scores)), CAMERA)


def test_smoothing_calms_pose_root_and_meshes_and_starts_anew_after_a_pause(lifter):
    poses = lifter(np.tile(pixels_of(0)[:1], (30, 1, 1)), SIZE, camera=None)
    jitter = np.where(np.arange(30) % 2, 0.01, -0.01)[:, None, None]
    frames = np.where(np.arange(30) < 20, np.arange(30), np.arange(30) + 500)
    shaking = replace(
        poses, pose3d=poses.pose3d + jitter, meshes=(poses.meshes[0] + jitter, poses.meshes[1]), frames=frames,
        root=np.tile([0.0, 0, 4], (30, 1)) + jitter[:, 0],
    )  # fmt: skip
    calm = smoothed(shaking)
    for name in ("pose3d", "root"):
        before, after = getattr(shaking, name), getattr(calm, name)
        assert np.abs(np.diff(after[:20], axis=0)).max() < 0.6 * np.abs(np.diff(before[:20], axis=0)).max()
        np.testing.assert_array_equal(after[20], before[20])
    assert np.ptp(calm.meshes[0][10:20], axis=0).max() < 0.015
    np.testing.assert_array_equal(calm.frames, frames)


def test_weights_are_found_in_a_run_folder_and_missing_ones_are_named(weights, tmp_path):
    _, faces = load_model(weights.parent.parent)
    assert [len(f) for f in faces] == [4, 8]
    with pytest.raises(UserError, match=r"no \.pth\.tar file at .*nothing; name a checkpoint with --weights"):
        load_model(tmp_path / "nothing")


def test_weights_for_other_joints_are_refused(tmp_path):
    path = save_tiny_weights(tmp_path / "w.pth.tar", joint_names=list(COCO_17.names))
    with pytest.raises(UserError, match=r"trained on other joints \(Nose, L_Eye, R_Eye, \.\.\.\)"):
        load_model(path)


@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS.keys())
def test_every_network_lifts_and_brings_the_meshes_it_has(tmp_path, model):
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


@pytest.mark.parametrize("ending", [e for e in WRITERS if e not in (".gif", ".mp4")])
def test_what_a_network_without_meshes_lifts_can_be_written(tmp_path, ending):
    lifter = Lifter(save_tiny_weights(tmp_path / "w.pth.tar", NETWORKS["SimpleBaseline"]))
    sequence = lifter(pixels_of(0)[:1], SIZE)
    write_poses(tmp_path / f"out{ending}", [sequence])
    assert (tmp_path / f"out{ending}").stat().st_size > 100
