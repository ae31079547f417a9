import pytest
import torch

from lib.config import load_config
from lib.errors import UserError
from lib.graph.hierarchy import build_hierarchy
from lib.training.factory import build_augmentation, build_people
from tests.bodies import builtin_body
from tests.people_table import people_table

SHARES = ("view", "body", "detector", "virtual_camera")


def config(repository, **overrides):
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    return load_config(repository / "asset/yaml/HGN_synthetic_train.yml", {"MODEL.smpl_dir": "built-in", **keys})


def test_the_shares_of_the_configuration_reach_the_augmentation(repository):
    shares = {f"AUG__{name}_probability": 0.1 * i for i, name in enumerate(SHARES, start=1)}
    augmentation = build_augmentation(config(repository, **shares))
    assert [getattr(augmentation, f"{name}_probability") for name in SHARES] == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("share", ["view", "body", "detector"])
@pytest.mark.parametrize(
    "detections",
    [{"DATASET__use_gt_input": False, "DATASET__detection_file": "x.json"}, {"DATASET__detections": "cpn"}],
    ids=["file", "of the data set"],
)
def test_detections_and_cameras_they_were_not_made_for_exclude_each_other(repository, share, detections):
    with pytest.raises(UserError, match=f"AUG.{share}_probability"):
        build_augmentation(config(repository, **{f"AUG__{share}_probability": 0.5}, **detections))
    build_augmentation(config(repository, AUG__virtual_camera_probability=0.5, **detections))


def test_people_are_made_where_they_or_detections_are_asked_for_and_only_there(repository):
    body, device = builtin_body(), torch.device("cpu")
    cfg = config(repository)
    scales = build_hierarchy(cfg, body.faces)
    table = people_table()
    assert build_people(cfg, body, scales, [table], device) is None
    for share in ("body", "detector"):
        maker = build_people(config(repository, **{f"AUG__{share}_probability": 0.5}), body, scales, [table], device)
        made = maker.make(torch.arange(3), torch.zeros(3, dtype=torch.bool), torch.Generator().manual_seed(0))
        assert [m.shape[1] for m in made.meshes] == [len(s.real_nodes) for s in scales[1:]]


def test_tables_without_smpl_parameters_make_no_people(repository):
    table = people_table()
    without = table.__class__(
        **{
            **vars(table),
            "has_mesh": table.has_mesh & False,
            "smpl_pose": table.smpl_pose[:0],
            "smpl_betas": table.smpl_betas[:0],
        }
    )
    with pytest.raises(UserError, match="made from SMPL parameters"):
        build_people(config(repository, AUG__body_probability=0.5), builtin_body(), [], [without], torch.device("cpu"))
