import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

import data.cache
import data.Human36M.source
import data.table
from data.cache import open_entry, remove_old_entries
from data.Human36M.dataset import ACTION_NAMES, SPLITS
from data.Human36M.source import AnnotationSource, SplitRule
from data.table import load_table, mirror_pose
from lib.errors import UserError
from lib.joints import HUMAN36M_17, SMPL_24, SMPL_PARENTS
from lib.pose_table import PoseTable
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from tests.annotation_files import PARTS, contents_of, shuffled_keys, write_annotations, write_contents
from tests.bodies import tiny_body
from tests.plain.smpl import plain_mesh_target, plain_pose2d, plain_pose3d

MIRROR = np.array([-1.0, 1.0, 1.0])
RULE = SplitRule(subjects=(9, 11), frame_stride=50)
HALVES = (6, 11)  # nodes on the left, and as many on the right, of the coarse and of the fine mesh


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return tiny_body()


@pytest.fixture(scope="module")
def mirror(body) -> np.ndarray:
    """(V,) the vertex at the mirrored place."""
    distance, index = cKDTree(body.v_template).query(body.v_template * MIRROR)
    assert distance.max() < 1e-9
    return index


@pytest.fixture(scope="module")
def poolings(body, mirror) -> list[sp.csr_matrix]:
    """Nodes that are weighted means of four vertices; node k + half is the mirror image of node k."""
    rng, made = np.random.default_rng(0), []
    for half in HALVES:
        vertices = rng.integers(len(mirror), size=(half, 4))
        weights = rng.dirichlet(np.ones(4), half)
        columns = np.concatenate([vertices, mirror[vertices]]).ravel()
        rows = np.repeat(np.arange(2 * half), 4)
        made.append(sp.csr_matrix((np.tile(weights.ravel(), 2), (rows, columns)), shape=(2 * half, len(mirror))))
    return made


@pytest.fixture(scope="module")
def coarse(body, poolings) -> CoarseBody:
    return CoarseBody(body, poolings)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Annotations of subjects 9 and 11: two actions, two cameras, frames 0, 5 and 50."""
    write_annotations(tmp_path / "annotations", RULE.subjects, frames=(0, 5, 50))
    return tmp_path / "annotations"


def edit(folder: Path, subject: int, part: str, change) -> None:
    """Rewrite one file with what `change` makes of its content; the time of change is a new one for certain."""
    path = folder / f"Human36M_subject{subject}_{part}.json"
    content = json.loads(path.read_text())
    content = change(content) or content
    before = path.stat().st_mtime_ns
    path.write_text(json.dumps(content))
    os.utime(path, ns=(before + 10**9, before + 10**9))


def load(
    folder: Path, coarse: CoarseBody, rule: SplitRule = RULE, names=ACTION_NAMES, key="body", split="test", **more
):
    """The table of annotations in `folder`, with the cache beside it."""
    cache = more.pop("cache", folder.parent / "cache")
    source = AnnotationSource(folder, {split: rule}, names)
    return load_table(source, split, {"neutral": coarse}, key, cache, progress=False, **more)


def columns(table: PoseTable) -> dict[str, np.ndarray]:
    """All arrays by name."""
    arrays = {}
    for field in dataclasses.fields(table):
        value = getattr(table, field.name)
        if "meshes" in field.name:
            arrays |= {f"{field.name}_{i}": mesh for i, mesh in enumerate(value)}
        elif isinstance(value, np.ndarray):
            arrays[field.name] = value
    return arrays


def assert_same_bytes(a: PoseTable, b: PoseTable) -> None:
    assert a.action_names == b.action_names
    first, second = columns(a), columns(b)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert (value.dtype, value.shape) == (second[name].dtype, second[name].shape)
        assert value.tobytes() == second[name].tobytes(), name


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """The subjects whose annotations were read, in order."""
    seen, read_subject = [], data.Human36M.source.read_subject

    def counting(folder, subject, *rest):
        seen.append(subject)
        return read_subject(folder, subject, *rest)

    monkeypatch.setattr(data.Human36M.source, "read_subject", counting)
    return seen


# ---- values


def plain_rows(folder: Path, subject: int, body: BodyModel, poolings: list, stride: int) -> dict[str, dict]:
    """{base name: values of one sample}, made one by one from the files' numbers."""
    parts, rows = contents_of(folder, subject), {}
    for image in parts["data"]["images"]:
        if image["frame_idx"] % stride:
            continue
        keys = [str(image[k]) for k in ("action_idx", "subaction_idx", "frame_idx")]
        joints, smpl = (parts[p][keys[0]][keys[1]][keys[2]] for p in ("joint_3d", "smpl_param"))
        R, t, f, c = (np.array(parts["camera"][str(image["cam_idx"])][n]) for n in "Rtfc")
        pose, betas, transl, joints = map(np.array, (smpl["pose"], smpl["shape"], smpl["trans"], joints))
        rows[image["file_name"].split("/")[-1]] = {
            "actions": image["action_idx"] - 2,
            "pose2d": plain_pose2d(joints, R, t, f, c, image["width"], image["height"]),
            "pose3d": plain_pose3d(joints, R, t),
            "root": (R @ joints[0] + t) / 1000,
            "meshes": plain_mesh_target(body, pose, betas, transl, R, t, joints, poolings),
            "camera": [*f, *c],
            "image_size": [image["width"], image["height"]],
        }
    return rows


def test_every_sample_equals_the_plain_step_by_step_computation(folder, body, poolings, coarse):
    # One shape beyond 3 is replaced by the mean shape, one of exactly 3 is not.
    def outlier(value):
        def change(tree):
            tree["2"]["1"]["50"]["shape"][4] = value

        return change

    edit(folder, 9, "smpl_param", outlier(-3.01))
    edit(folder, 11, "smpl_param", outlier(3.0))
    table = load(folder, coarse)
    want = plain_rows(folder, 9, body, poolings, 50) | plain_rows(folder, 11, body, poolings, 50)
    assert table.names.tolist() == sorted(want)
    assert len(table) == 2 * 2 * 2 * 2
    for k, name in enumerate(table.names):
        for column in ("actions", "pose2d", "pose3d", "root", "image_size"):
            np.testing.assert_allclose(getattr(table, column)[k], want[name][column], rtol=0, atol=1e-6, err_msg=column)
        np.testing.assert_allclose(table.camera[k], want[name]["camera"], rtol=1e-7)
        for got, mesh in zip(table.meshes, want[name]["meshes"], strict=True):
            np.testing.assert_allclose(got[k], mesh, rtol=0, atol=1e-6)


def test_the_shape_limit_of_three_makes_a_difference(folder, coarse):
    def shape(value):
        def change(tree):
            for frame in tree["2"]["1"].values():
                frame["shape"] = [value] + [0.0] * 9

        edit(folder, 9, "smpl_param", change)
        return load(folder, coarse, SplitRule((9,), 50)).meshes[1]

    mean, three, more = shape(0.0), shape(3.0), shape(3.001)
    assert np.abs(three - mean).max() > 0.05
    np.testing.assert_array_equal(more, mean)


def test_a_sample_worked_out_by_hand(folder, coarse):
    # A camera 4 m before the pelvis: R = I, t = (0, 0, 4000); f = 1000, c = (500, 400), picture 1000 x 800.
    # Pelvis (0, 0, 0): pixel (500, 400) is screen (0, 0). Head (400, -800, 0): pixel (600, 200), screen (0.2, -0.4).
    def all_cameras(tree):
        camera = {"R": np.eye(3).tolist(), "t": [0, 0, 4000], "f": [1000, 1000], "c": [500, 400]}
        return dict.fromkeys(tree, camera)

    def all_frames(tree):
        joints = [[0, 0, 0]] * 10 + [[400, -800, 0]] + [[0, 0, 500]] * 6
        return {a: {s: dict.fromkeys(frames, joints) for s, frames in subs.items()} for a, subs in tree.items()}

    def size(tree):
        for image in tree["images"]:
            image.update(width=1000, height=800)

    for part, change in (("camera", all_cameras), ("joint_3d", all_frames), ("data", size)):
        edit(folder, 9, part, change)
    table = load(folder, coarse, SplitRule((9,), 50))
    np.testing.assert_allclose(table.pose2d[0][[0, 10, 16]], [[0, 0], [0.2, -0.4], [0, 0]], atol=1e-7)
    np.testing.assert_allclose(table.pose3d[0][[0, 10, 16]], [[0, 0, 0], [0.4, -0.8, 0], [0, 0, 0.5]], atol=1e-7)
    assert table.root[0].tolist() == [0, 0, 4]
    assert table.camera[0].tolist() == [1000, 1000, 500, 400]
    assert table.image_size[0].tolist() == [1000, 800]


def test_columns_have_the_documented_types_and_shapes(folder, coarse):
    table = load(folder, coarse)
    N = len(table)
    want = {
        "names": (N,), "actions": (N,), "pose2d": (N, 17, 2), "pose3d": (N, 17, 3), "root": (N, 3), "camera": (N, 4),
        "image_size": (N, 2), "sequences": (N,), "frames": (N,), "has_mesh": (N,), "meshes_0": (N, 12, 3), "meshes_1": (N, 22, 3),
        "flipped_meshes_0": (N, 12, 3), "flipped_meshes_1": (N, 22, 3),
        "up": (N, 3), "smpl_pose": (N, 72), "smpl_betas": (N, 10),
    }  # fmt: skip
    arrays = columns(table)
    assert {name: a.shape for name, a in arrays.items()} == want
    assert all(a.dtype == np.float32 for a in arrays.values() if a.dtype.kind == "f")
    assert arrays["names"].dtype.kind == "U"
    assert arrays["actions"].dtype.kind == "i"


def test_take_takes_the_same_rows_of_every_column(folder, coarse):
    table = load(folder, coarse)
    rows = np.array([5, 0, 5])
    some, slice_ = table.take(rows), table.take(slice(2, 4))
    assert len(some) == 3
    assert some.action_names == table.action_names
    for name, value in columns(table).items():
        np.testing.assert_array_equal(columns(some)[name], value[rows])
        np.testing.assert_array_equal(columns(slice_)[name], value[2:4])


def test_the_meshes_are_those_of_the_table_s_smpl_parameters(folder, coarse):
    table = load(folder, coarse)
    still = np.zeros((len(table), 3))
    for made, kept in zip(coarse(table.smpl_pose, table.smpl_betas, still), table.meshes, strict=True):
        np.testing.assert_allclose(made - made[:, :1], kept - kept[:, :1], atol=2e-5)


def test_the_vertical_is_the_world_s_z_axis_seen_by_each_camera(folder, coarse):
    table = load(folder, coarse)
    np.testing.assert_allclose(np.linalg.norm(table.up, axis=1), 1, atol=1e-6)
    cameras = {s: contents_of(folder, s)["camera"] for s in RULE.subjects}
    for name, up in zip(table.names, table.up, strict=True):  # s_09_act_02_subact_01_ca_01_000001.jpg
        R = cameras[int(name[2:4])][str(int(name.split("_ca_")[1][:2]))]["R"]
        np.testing.assert_allclose(up, np.array(R)[:, 2], atol=1e-6)


# ---- order and choice


def test_equal_names_keep_the_order_of_subjects_and_annotations(folder, coarse):
    def same_names(content):
        for image in content["images"]:
            image["file_name"] = f"{image['frame_idx']}/{'b' if image['cam_idx'] == 1 else 'a'}.jpg"

    expected = {"a.jpg": [], "b.jpg": []}
    for subject in (11, 9):
        edit(folder, subject, "data", same_names)
        content = contents_of(folder, subject)["data"]
        images = {image["id"]: image for image in content["images"]}
        for image in (images[a["image_id"]] for a in content["annotations"]):
            expected[image["file_name"].split("/")[1]].append((subject, image["action_idx"], image["frame_idx"]))
    table = load(folder, coarse, SplitRule((11, 9), 5))
    assert table.names.tolist() == ["a.jpg"] * 12 + ["b.jpg"] * 12
    assert table.actions.tolist() == [action - 2 for name in expected for _, action, _ in expected[name]]
    parts = {subject: contents_of(folder, subject) for subject in (9, 11)}
    rows = [(name, *row) for name, frames in expected.items() for row in frames]
    for k, (name, subject, action, frame) in enumerate(rows):
        camera = parts[subject]["camera"]["1" if name == "b.jpg" else "2"]
        want = np.array(camera["R"]) @ parts[subject]["joint_3d"][str(action)]["1"][str(frame)][0] + camera["t"]
        np.testing.assert_allclose(table.root[k], want / 1000, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("stride", "frames"), [(1, {1, 6, 51}), (5, {1, 6, 51}), (10, {1, 51}), (25, {1, 51}), (60, {1})]
)
def test_every_stride_th_frame_is_kept(folder, coarse, stride, frames):
    table = load(folder, coarse, SplitRule((9, 11), stride))
    assert {int(name[-10:-4]) for name in table.names} == frames
    assert len(table) == len(frames) * 2 * 2 * 2


def test_dropped_recordings_belong_to_one_subject(folder, coarse):
    table = load(folder, coarse, SplitRule((9, 11), 50, dropped=((9, 3, 1), (11, 3, 2))))
    assert {name[:11] for name in table.names} == {"s_09_act_02", "s_11_act_02", "s_11_act_03"}


def test_human36ms_splits_are_the_published_ones():
    assert SPLITS["train"] == SplitRule((1, 5, 6, 7, 8), 5)
    assert SPLITS["test"] == SplitRule((9, 11), 50, ((9, 5, 2), (9, 10, 2), (9, 13, 1)))
    assert len(ACTION_NAMES) == 15


def test_actions_are_renumbered_without_gaps_where_the_source_has_no_fixed_names(tmp_path, coarse):
    folder = tmp_path / "annotations"
    write_annotations(folder, [9], actions=(16, 3), frames=(0,))
    write_annotations(folder, [11], actions=(8,), frames=(0,))
    table = load(folder, coarse, names=None)
    assert table.action_names == ("Discussion", "Purchases", "WalkTogether")
    by_name = {"03": 0, "08": 1, "16": 2}
    assert table.actions.tolist() == [by_name[name[9:11]] for name in table.names]


@pytest.mark.parametrize("action", [1, 17])
def test_actions_beyond_the_fixed_names_are_told(folder, coarse, action):
    def change(tree):
        if "images" in tree:
            for image in tree["images"]:
                image["action_idx"] = action if image["action_idx"] == 3 else image["action_idx"]
        else:
            tree[str(action)] = tree.pop("3")

    for part in ("data", "joint_3d", "smpl_param"):
        edit(folder, 9, part, change)
    with pytest.raises(UserError, match="action_idx must be 2 to 16"):
        load(folder, coarse)


def test_dropped_images_are_told_in_one_line_each(folder, coarse, capsys):
    def without(tree):
        del tree["2"]["1"]["50"]

    def bad_box(content):
        for annotation in content["annotations"]:
            annotation["bbox"][2] = 0

    edit(folder, 9, "smpl_param", without)
    edit(
        folder,
        11,
        "data",
        lambda content: content["annotations"].append(dict(content["annotations"][0], bbox=[0, 0, 0, 0])),
    )
    table = load(folder, coarse, SplitRule((9, 11), 1))
    assert len(table) == 24 - 2
    assert capsys.readouterr().out.splitlines() == [
        "subject 9: dropped 2 images without SMPL parameters",
        "subject 11: dropped 1 images with an invalid box",
    ]


def kept(folder: Path, coarse: CoarseBody, cache: str = "kept") -> PoseTable:
    """The table with the frames that have no SMPL parameters."""
    source = AnnotationSource(folder, {"test": RULE}, ACTION_NAMES, keep_without_smpl=True)
    return load_table(source, "test", {"neutral": coarse}, "body", folder.parent / cache, progress=False)


def test_frames_without_smpl_parameters_can_be_kept_for_their_skeletons(folder, coarse, capsys):
    whole = load(folder, coarse)

    def without(tree):
        del tree["2"]["1"]["50"]

    edit(folder, 9, "smpl_param", without)
    dropped, table = load(folder, coarse), kept(folder, coarse)
    missing = np.array([name.startswith("s_09_act_02") and name.endswith("51.jpg") for name in whole.names])
    assert missing.sum() == 2
    np.testing.assert_array_equal(table.has_mesh, ~missing)
    np.testing.assert_array_equal(table.pose2d, whole.pose2d)
    np.testing.assert_array_equal(table.pose3d, whole.pose3d)
    for name in ("meshes", "flipped_meshes"):
        for mesh, before, without_them in zip(*(getattr(t, name) for t in (table, whole, dropped)), strict=True):
            np.testing.assert_array_equal(mesh, before[~missing])
            np.testing.assert_array_equal(mesh, without_them)
    assert "subject 9: kept 2 images without SMPL parameters" in capsys.readouterr().out
    rows = np.flatnonzero(missing)[:1].tolist() + [0, 15]
    some = table.take(np.array(rows))
    np.testing.assert_array_equal(some.meshes[0], whole.meshes[0][[r for r in rows if not missing[r]]])
    assert some.mesh_rows.tolist() == [-1, 0, 1]


def test_a_subject_may_lack_the_file_of_its_smpl_parameters_where_skeletons_are_kept(folder, coarse):
    (folder / "Human36M_subject9_smpl_param.json").unlink()
    with pytest.raises(UserError, match="subject9_smpl_param"):
        load(folder, coarse)
    table = kept(folder, coarse)
    np.testing.assert_array_equal(table.has_mesh, [name.startswith("s_11") for name in table.names])
    for subject in RULE.subjects:
        (folder / f"Human36M_subject{subject}_smpl_param.json").unlink(missing_ok=True)
    assert not kept(folder, coarse).has_mesh.any()


def test_a_subject_without_samples_adds_nothing_to_the_others(folder, coarse):
    alone = load(folder, coarse, SplitRule((11,), 50), cache=folder.parent / "alone")
    edit(folder, 9, "smpl_param", lambda tree: {"2": {}})
    assert_same_bytes(load(folder, coarse), alone)


def test_a_split_without_samples_is_told(folder, coarse):
    for subject in (9, 11):
        edit(folder, subject, "smpl_param", lambda tree: {"2": {}})
    with pytest.raises(UserError, match="no samples are left in the test split"):
        load(folder, coarse)


def test_a_split_without_subjects_is_told(folder, coarse):
    with pytest.raises(UserError, match=r"this split has no subjects; .* --train-subjects"):
        load(folder, coarse, SplitRule((), 50))


def test_a_missing_file_of_the_last_subject_is_told_before_any_is_read(folder, coarse, reads):
    (folder / "Human36M_subject11_joint_3d.json").unlink()
    with pytest.raises(UserError, match=r"Human36M_subject11_joint_3d\.json is missing"):
        load(folder, coarse)
    assert not reads


def test_joints_behind_a_camera_are_told_with_the_picture(folder, coarse):
    edit(folder, 9, "camera", lambda tree: tree["2"].update(t=[0.0, 0.0, -4000.0]))
    with pytest.raises(UserError, match=r"s_09_act_.*_ca_02_.*\.jpg: a joint is behind its camera"):
        load(folder, coarse)


# ---- what must not matter


def test_worker_processes_do_not_change_a_byte(folder, coarse):
    assert_same_bytes(
        load(folder, coarse, cache=folder.parent / "a"), load(folder, coarse, workers=2, cache=folder.parent / "b")
    )


def test_errors_in_worker_processes_are_the_same_line(folder, coarse):
    (folder / "Human36M_subject11_camera.json").write_text("{")
    with pytest.raises(UserError, match=r"Human36M_subject11_camera\.json: is not valid JSON"):
        load(folder, coarse, workers=2)


def test_the_order_of_json_keys_does_not_change_a_byte(folder, coarse):
    before = load(folder, coarse)
    for subject in RULE.subjects:
        for part in PARTS:
            edit(folder, subject, part, lambda content: shuffled_keys(content, np.random.default_rng(1)))
    assert_same_bytes(load(folder, coarse, cache=folder.parent / "other"), before)


# ---- the cache


def test_the_second_time_nothing_is_read_and_all_is_the_same(folder, coarse, reads):
    first = load(folder, coarse)
    assert reads == [9, 11]
    assert_same_bytes(load(folder, coarse), first)
    assert reads == [9, 11]


def test_cached_columns_are_memory_mapped_and_writing_to_them_leaves_the_files_alone(folder, coarse):
    table = load(folder, coarse)
    assert all(isinstance(a, np.memmap) for a in columns(table).values())
    before = table.pose2d.copy()
    table.pose2d[:] = 0
    np.testing.assert_array_equal(load(folder, coarse).pose2d, before)


def touched(folder: Path) -> None:
    path = folder / "Human36M_subject11_camera.json"
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1000))


def grown(folder: Path) -> None:
    path = folder / "Human36M_subject9_smpl_param.json"
    status = path.stat()
    path.write_text(path.read_text() + " ")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def renamed(folder: Path) -> None:
    (folder / "Human36M_subject9_smpl_param.json").rename(folder / "Human36M_subject9_SMPL_NeuralAnnot.json")


@pytest.mark.parametrize(
    ("change", "arguments"),
    [
        (touched, {}),
        (grown, {}),
        (renamed, {}),
        (None, {"key": "another body"}),
        (None, {"rule": SplitRule((9, 11), 25)}),
        (None, {"rule": SplitRule((11, 9), 50)}),
        (None, {"rule": SplitRule((9,), 50)}),
        (None, {"rule": SplitRule((9, 11), 50, ((9, 2, 1),))}),
        (None, {"names": None}),
    ],
)
def test_the_table_is_made_anew_when_anything_it_is_made_of_changes(folder, coarse, reads, change, arguments):
    load(folder, coarse)
    if change:
        change(folder)
    reads.clear()
    table = load(folder, coarse, **arguments)
    assert reads == list(arguments.get("rule", RULE).subjects)
    reads.clear()
    assert_same_bytes(load(folder, coarse, **arguments), table)
    assert not reads


def test_going_back_to_what_a_table_was_made_of_before_reads_nothing(folder, coarse, reads):
    rules = [SplitRule((9, 11), 50), SplitRule((9, 11), 25), SplitRule((9,), 50)]
    tables = [load(folder, coarse, rule) for rule in rules]
    reads.clear()
    for rule, table in zip(rules, tables, strict=True):
        assert_same_bytes(load(folder, coarse, rule), table)
    assert not reads


# ---- old entries


def last_used(entry: Path, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(entry / "meta.json", (then, then))


def test_only_entries_that_nobody_has_opened_for_a_month_are_removed(folder, coarse):
    entries = []
    for days, subject in ((29, 9), (31, 11)):
        load(folder, coarse, SplitRule((subject,), 50))
        (entry,) = set((folder.parent / "cache").iterdir()) - set(entries)
        last_used(entry, days)
        entries.append(entry)
    load(folder, coarse)
    assert [entry.exists() for entry in entries] == [True, False]
    assert len(list((folder.parent / "cache").iterdir())) == 2


def test_opening_an_entry_makes_it_young(folder, coarse):
    load(folder, coarse, SplitRule((9,), 50))
    entry = only(folder.parent / "cache")
    last_used(entry, 31)
    load(folder, coarse, SplitRule((9,), 50))
    load(folder, coarse)
    assert entry.exists()


HOLDER = """
import json, sys
from pathlib import Path
from data.cache import open_entry
entry = Path(sys.argv[1])
pose2d = open_entry(entry, json.loads((entry / "meta.json").read_text())["key"]).pose2d[5:]  # one view of one column
print("open", flush=True)
sys.stdin.read()
"""


def test_an_old_entry_that_is_mapped_stays_until_it_is_let_go(folder, coarse):
    column = load(folder, coarse, SplitRule((9,), 50)).pose2d[5:]  # one view of one column
    entry = only(folder.parent / "cache")
    last_used(entry, 365)
    remove_old_entries(entry.parent)
    assert entry.exists()
    del column
    remove_old_entries(entry.parent)
    assert not entry.exists()


@pytest.mark.slow
def test_an_old_entry_that_another_process_has_mapped_stays_until_it_lets_go(folder, coarse, repository):
    load(folder, coarse, SplitRule((9,), 50))
    entry = only(folder.parent / "cache")
    command = [sys.executable, "-c", HOLDER, entry]
    with subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "open\n"
        last_used(entry, 365)
        remove_old_entries(entry.parent)
        assert entry.exists()
        holder.stdin.close()
    remove_old_entries(entry.parent)
    assert not entry.exists()


def test_a_damaged_entry_is_moved_aside_and_not_deleted_while_it_may_be_mapped(folder, coarse):
    load(folder, coarse)
    entry = only(folder.parent / "cache")
    inode = (entry / "pose2d.npy").stat().st_ino
    (entry / "names.npy").write_bytes(b"")
    load(folder, coarse)
    assert inode in {path.stat().st_ino for path in (folder.parent / "cache").glob(".*/pose2d.npy")}


def test_a_change_of_the_annotations_shows_in_the_table(folder, coarse):
    before = load(folder, coarse).pose3d.copy()

    def taller(tree):
        for frame in tree["2"]["1"].values():
            frame[10][2] += 100

    edit(folder, 9, "joint_3d", taller)
    moved = np.linalg.norm(load(folder, coarse).pose3d - before, axis=-1)
    assert np.flatnonzero(moved.max(0) > 1e-6).tolist() == [10]
    assert moved.max() == pytest.approx(0.1, abs=1e-5)


def test_splits_have_caches_side_by_side(folder, coarse, reads):
    for _ in range(2):
        load(folder, coarse, SplitRule((9,), 50), split="train")
        load(folder, coarse, SplitRule((11,), 50), split="test")
    assert reads == [9, 11]


def only(cache: Path) -> Path:
    (found,) = [path for path in cache.iterdir() if not path.name.startswith(".")]
    return found


def missing(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def header_only(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


DAMAGES = (missing, cut, half, header_only, noise, emptied)
WRONG_META = (None, "", "{", "[]", "null", "{}", '{"key": 1}', "\x00")


def test_an_entry_with_a_damaged_file_is_never_read(folder, coarse):
    load(folder, coarse, SplitRule((9,), 50))
    entry = only(folder.parent / "cache")
    key = json.loads((entry / "meta.json").read_text())["key"]
    read = []

    def check(path, damage, what):
        before = path.read_bytes()
        damage(path)
        if open_entry(entry, key) is not None:
            read.append(f"{path.name}: {what}")
        path.write_bytes(before)

    arrays = sorted(entry.glob("*.npy"))
    assert len(arrays) == len(columns(open_entry(entry, key)))
    for path in arrays:
        for damage in DAMAGES:
            check(path, damage, damage.__name__)
    for content in WRONG_META:
        check(entry / "meta.json", lambda path, c=content: path.unlink() if c is None else path.write_text(c), content)
    assert read == []
    assert len(open_entry(entry, key)) == 8


@pytest.mark.parametrize(
    ("name", "damage"),
    list(zip(("names", "pose2d", "camera", "meshes_1", "frames", "flipped_meshes_0"), DAMAGES, strict=True)),
)
def test_a_cache_with_a_damaged_array_is_made_anew(folder, coarse, reads, name, damage):
    table = load(folder, coarse, SplitRule((9,), 50))
    before = PoseTable(**{
        f.name: tuple(map(np.array, v)) if "meshes" in f.name else np.array(v) if isinstance(v, np.ndarray) else v
        for f, v in ((f, getattr(table, f.name)) for f in dataclasses.fields(table))
    })  # fmt: skip
    del table
    damage(only(folder.parent / "cache") / f"{name}.npy")
    assert_same_bytes(load(folder, coarse, SplitRule((9,), 50)), before)
    assert reads == [9, 9]


def test_a_cache_without_its_last_written_file_is_made_anew(folder, coarse, reads):
    load(folder, coarse)
    (only(folder.parent / "cache") / "meta.json").unlink()
    assert len(load(folder, coarse)) == 16
    assert reads == [9, 11, 9, 11]


def test_a_cache_whose_full_key_is_another_one_is_made_anew(folder, coarse, reads):
    load(folder, coarse)  # the folder's name holds the beginning of the key only
    meta = only(folder.parent / "cache") / "meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"key": "0" * 64}))
    load(folder, coarse)
    assert reads == [9, 11, 9, 11]


@pytest.mark.parametrize("rows_before", [0, 1, 5, 12])
def test_a_run_stopped_while_writing_leaves_nothing_that_is_read(folder, coarse, reads, monkeypatch, rows_before):
    append, written = data.cache.Columns.append, []

    def stopped(columns, name, rows):
        if len(written) == rows_before:
            raise KeyboardInterrupt
        written.append(name)
        append(columns, name, rows)

    monkeypatch.setattr(data.cache.Columns, "append", stopped)
    with pytest.raises(KeyboardInterrupt):
        load(folder, coarse)
    assert not list((folder.parent / "cache").iterdir())
    monkeypatch.setattr(data.cache.Columns, "append", append)
    assert len(load(folder, coarse)) == 16
    assert reads[-2:] == [9, 11]


def test_a_full_disk_gives_a_line_and_the_table(folder, coarse, monkeypatch, capsys):
    whole = load(folder, coarse, cache=folder.parent / "other")

    def full(columns, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(data.cache._GrowingArray, "append", full)
    assert_same_bytes(load(folder, coarse), whole)
    (line,) = capsys.readouterr().out.splitlines()
    assert "the cache could not be written (No space left on device)" in line
    assert str(folder.parent / "cache") in line
    assert not list((folder.parent / "cache").iterdir())


def test_a_folder_that_cannot_be_made_gives_a_line_and_the_table(folder, coarse, capsys):
    (folder.parent / "file").write_text("in the way")
    table = load(folder, coarse, cache=folder.parent / "file" / "cache")
    (line,) = capsys.readouterr().out.splitlines()
    assert "the cache could not be written" in line
    assert str(folder.parent / "file" / "cache") in line
    assert_same_bytes(table, load(folder, coarse))


def test_a_cache_that_another_process_takes_away_does_not_lose_the_table(folder, coarse, monkeypatch):
    monkeypatch.setattr(data.table, "open_entry", lambda folder, key: None)
    assert isinstance(load(folder, coarse), PoseTable)


def test_what_a_killed_run_left_long_ago_is_removed_in_the_end(folder, coarse):
    left = folder.parent / "cache" / ".test-0123456789abcdef-x1y2z3.tmp"
    left.mkdir(parents=True)
    (left / "names.npy").touch()
    long_ago = time.time() - 30 * 86400
    os.utime(left, (long_ago, long_ago))
    load(folder, coarse)
    assert not left.exists()


# ---- mirrored people


def symmetric(body: BodyModel, mirror: np.ndarray) -> BodyModel:
    """The body made exactly symmetric, with pose blend shapes of centimetres."""
    swap, V = SMPL_24.flip_permutation, len(mirror)
    posedirs = 50 * body.posedirs.reshape(V, 3, 23, 3, 3)
    signs = np.einsum("c,a,b->cab", MIRROR, MIRROR, MIRROR)[:, None]
    mirrored = posedirs[mirror][:, :, swap[1:] - 1] * signs
    return dataclasses.replace(
        body,
        v_template=(body.v_template + body.v_template[mirror] * MIRROR) / 2,
        shapedirs=(body.shapedirs + body.shapedirs[mirror] * MIRROR[:, None]) / 2,
        posedirs=((posedirs + mirrored) / 2).reshape(V, 3, -1),
        J_regressor=(body.J_regressor + body.J_regressor[swap][:, mirror]) / 2,
        lbs_weights=(body.lbs_weights + body.lbs_weights[mirror][:, swap]) / 2,
    )


def other_side(mesh: np.ndarray) -> np.ndarray:
    """Nodes (N, 2 half, 3) of the mirrored places, x negated."""
    left, right = np.split(mesh, 2, axis=1)
    return np.concatenate([right, left], axis=1) * MIRROR


def test_the_mirrored_mesh_of_a_symmetric_body_is_the_mesh_mirrored_with_sides_swapped(folder, body, mirror, poolings):
    table = load(folder, CoarseBody(symmetric(body, mirror), poolings))
    for mesh, flipped in zip(table.meshes, table.flipped_meshes, strict=True):
        assert np.abs(mesh - flipped).max() > 0.3
        np.testing.assert_allclose(flipped, other_side(mesh), rtol=0, atol=1e-6)


def joints_only() -> CoarseBody:
    """A lopsided body whose vertices and nodes are its joints: node k is SMPL's posed joint k."""
    rng = np.random.default_rng(2)
    model = BodyModel(
        v_template=rng.normal(0, 0.3, (24, 3)),
        shapedirs=rng.normal(0, 0.1, (24, 3, 10)),
        posedirs=np.zeros((24, 3, 9 * 23)),
        J_regressor=np.eye(24),
        lbs_weights=np.eye(24),
        faces=np.array([[0, 1, 2]]),
        parents=np.array(SMPL_PARENTS),
    )
    return CoarseBody(model, [sp.identity(24, format="csr")])


def test_the_root_joint_of_the_mirrored_body_is_the_mirror_image_of_the_root_joint_for_any_body(folder):
    table = load(folder, joints_only())
    np.testing.assert_allclose(table.flipped_meshes[0][:, 0], table.meshes[0][:, 0] * MIRROR, rtol=0, atol=1e-6)
    assert np.abs(table.flipped_meshes[0][:, 1:] - table.meshes[0][:, 1:] * MIRROR).max() > 0.1  # the body is lopsided


def test_mirroring_the_pose_conjugates_every_rotation_and_swaps_sides():
    pose = np.random.default_rng(3).normal(0, 1, (4, 72))
    before, after = (
        Rotation.from_rotvec(p.reshape(-1, 3)).as_matrix().reshape(4, 24, 3, 3) for p in (pose, mirror_pose(pose))
    )
    M = np.diag(MIRROR)
    for right, left in SMPL_24.flip_pairs:
        np.testing.assert_allclose(after[:, right], M @ before[:, left] @ M, atol=1e-12)
        np.testing.assert_allclose(after[:, left], M @ before[:, right] @ M, atol=1e-12)
    np.testing.assert_allclose(after[:, [0, 3, 15]], M @ before[:, [0, 3, 15]] @ M, atol=1e-12)
    np.testing.assert_array_equal(mirror_pose(mirror_pose(pose)), pose)


def test_mirroring_the_annotations_swaps_meshes_and_flipped_meshes_for_any_body(folder, body, coarse):
    # The world's x is negated, and so is the cameras'. Mirroring the mirrored person again is the identity.
    M, swap = np.diag(MIRROR), HUMAN36M_17.flip_permutation
    turned = folder.parent / "mirrored"
    for subject in RULE.subjects:
        parts = contents_of(folder, subject)
        for camera in parts["camera"].values():
            camera.update(R=(M @ camera["R"] @ M).tolist(), t=(M @ camera["t"]).tolist())
        for action in parts["joint_3d"].values():
            for frames in action.values():
                frames.update({k: (np.array(joints)[swap] * MIRROR).tolist() for k, joints in frames.items()})
        for action in parts["smpl_param"].values():
            for frames in action.values():
                for smpl in frames.values():
                    J0 = coarse.root_joint(np.array([smpl["shape"]]))[0]
                    smpl["pose"] = mirror_pose(np.array([smpl["pose"]]))[0].tolist()
                    smpl["trans"] = (MIRROR * (J0 + smpl["trans"]) - J0).tolist()
        write_contents(turned, subject, parts)
    table, mirrored = load(folder, coarse), load(turned, coarse, cache=turned / "cache")
    np.testing.assert_allclose(mirrored.pose3d, table.pose3d[:, swap] * MIRROR, rtol=0, atol=1e-6)
    for a, b in ((table.meshes, mirrored.flipped_meshes), (table.flipped_meshes, mirrored.meshes)):
        for mesh, same in zip(a, b, strict=True):
            np.testing.assert_allclose(mesh, same, rtol=0, atol=1e-6)
