import numpy as np
import pytest

from data.AMASS.dataset import AmassSource
from data.AMASS.importer import import_amass
from data.body_joints import BodyJoints
from data.studio import ROOM
from lib.camera import camera_to_pixel
from lib.errors import UserError
from tests.bodies import tiny_body
from tests.field_files import write_amass


@pytest.fixture
def source(tmp_path):
    """Two recordings of one man, one of them a long walk, one SMPL-X recording of a woman to test on."""
    folder = tmp_path / "amass"
    walk = np.column_stack([np.linspace(0, 9, 60), np.zeros(60), np.full(60, 1.2)])
    write_amass(folder / "CMU" / "01" / "a_poses.npz", 30, 60.0, "male", seed=1)
    write_amass(folder / "CMU" / "01" / "walk_poses.npz", 60, 60.0, "male", seed=2, trans=walk)
    write_amass(folder / "KIT" / "3" / "b_stageii.npz", 30, 60.0, "female", "smplx", seed=3)
    import_amass(folder, tmp_path / "AMASS", test=["KIT"], progress=False)
    return AmassSource(tmp_path / "AMASS", BodyJoints(tiny_body(), tmp_path))


def chunk_of(source, split):
    (chunk,) = source.chunks(split, progress=False)
    return chunk


def test_joints_are_the_posed_bodys_turned_into_each_samples_camera(source):
    chunk = chunk_of(source, "train")
    smpl = chunk.smpl
    world = source.joints(smpl.gender, smpl.pose, smpl.betas, smpl.transl)[smpl.frame]
    turned = (world - world[:, :1]) @ np.swapaxes(smpl.R, 1, 2)
    np.testing.assert_allclose(chunk.joints - chunk.joints[:, :1], turned, atol=1e-6)
    assert chunk.joints[:, 0, 2].min() > 3000
    assert smpl.gender == "male"
    np.testing.assert_allclose(smpl.pelvis[smpl.frame], world[:, 0], atol=1e-6)


def test_pose_and_shape_are_those_of_the_file_and_only_the_place_changes(source, tmp_path):
    smpl = chunk_of(source, "train").smpl
    with np.load(tmp_path / "amass" / "CMU" / "01" / "a_poses.npz") as z:
        np.testing.assert_allclose(smpl.pose[:5, :66], z["poses"][::6, :66], atol=1e-6)
        np.testing.assert_array_equal(smpl.betas[:5], np.tile(z["betas"][:10], (5, 1)))
        shift = smpl.transl[:5] - z["trans"][::6]
        np.testing.assert_allclose(shift, np.tile(shift[:1], (5, 1)), atol=1e-9)
        assert np.abs(shift[:, 2]).max() < 1e-9  # heights stay


def test_every_sample_lies_inside_its_image(source):
    chunk = chunk_of(source, "train")
    assert len(chunk.names) > 30
    pixels = camera_to_pixel(chunk.joints, chunk.camera[:, :2], chunk.camera[:, 2:])
    assert pixels.min() >= 0
    assert (pixels.max(1) <= chunk.image_size).all()


def test_a_long_walk_is_cut_into_parts_in_the_middle_of_the_cameras(source):
    chunk = chunk_of(source, "train")
    parts = sorted({name.split(", ")[1] for name in chunk.sequence_names if "walk" in name})
    assert parts == ["part 1", "part 2", "part 3"]
    ground = chunk.smpl.pelvis[:, :2]
    assert np.abs(ground).max() <= ROOM / 2 + 1e-6


def test_samples_of_a_sequence_are_one_camera_and_one_part(source):
    chunk = chunk_of(source, "train")
    assert len(chunk.sequence_names) == 4 * 4  # one part of the first recording, three of the walk
    assert len(set(chunk.names)) == len(chunk.names)
    for number, name in enumerate(chunk.sequence_names):
        rows = chunk.sequences == number
        assert rows.any(), name
        assert len(np.unique(chunk.camera[rows], axis=0)) == 1
        assert (np.diff(chunk.frames[rows]) > 0).all()
        assert all(f"_ca_0{name[-1]}_" in sample for sample in chunk.names[rows])


def test_people_of_smplx_get_the_mean_shape(source):
    assert not chunk_of(source, "test").smpl.betas.any()
    assert chunk_of(source, "train").smpl.betas.any()


def test_every_person_has_cameras_of_its_own_that_the_seed_decides(source, tmp_path):
    train, test = chunk_of(source, "train"), chunk_of(source, "test")
    assert not np.isin(test.camera[:, 0], train.camera[:, 0]).any()
    import_amass(tmp_path / "amass", tmp_path / "AMASS", test=["KIT"], seed=1, progress=False)
    assert not np.isin(chunk_of(source, "train").camera[:, 0], train.camera[:, 0]).any()


def test_the_identity_follows_the_import(source, tmp_path):
    before = source.identity("train")
    assert source.identity("train") == before
    import_amass(tmp_path / "amass", tmp_path / "AMASS", test=["KIT"], fps=30, progress=False)
    assert source.identity("train") != before


def test_without_an_import_one_line_says_how_to_make_one(tmp_path):
    source = AmassSource(tmp_path / "AMASS", BodyJoints(tiny_body(), tmp_path))
    with pytest.raises(UserError, match=r"prepare_data\.py amass"):
        source.identity("train")


def test_a_split_without_people_says_how_to_choose_some(source, tmp_path):
    import_amass(tmp_path / "amass", tmp_path / "AMASS", test=["KIT", "CMU"], progress=False)
    with pytest.raises(UserError, match="the train split has no people"):
        list(source.chunks("train", progress=False))
