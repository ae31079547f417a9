"""Seeded damage to files, and a process of its own that reads thousands of damaged files and tells what went wrong.

    python -m tests.fuzzing COUNT FOLDER [KIND ...]     prints one JSON object, {kind: outcome}

FOLDER must be empty. tests/test_fuzz.py runs it; docs/reliability.md holds the figures.
"""

import hashlib
import io
import json
import os
import pickle
import random
import re
import resource
import signal
import struct
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from data.Human36M.dataset import ACTION_NAMES
from data.Human36M.source import AnnotationSource, SplitRule
from data.Human36MNpz.dataset import VideoPose3DSource
from data.Mocap.asf_amc import read_amc, read_asf
from data.Mocap.bvh import read_bvh
from data.Mocap.skeleton import forward_kinematics
from data.table import build_table_arrays
from lib import checkpoint
from lib.config import Config, DatasetConfig, ModelConfig, TestConfig, TrainConfig, config_to_dict, load_config
from lib.errors import UserError
from lib.graph.scales import build_scales
from lib.joints import HUMAN36M_17
from lib.lifting.keypoints.prepare import prepare_people
from lib.lifting.keypoints.readers import read_keypoints
from lib.models.factory import load_network
from lib.models.hgn import HGN
from lib.run_dir import RunDir
from lib.training.batches import Augmentation, BatchSource
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.native.serialization import load_model
from tests import keypoint_files
from tests.annotation_files import PARTS, write_annotations
from tests.bodies import tiny_body
from tests.data.human36m_npz.npz_files import joints_3d, npz_bytes
from tests.data.mocap.mocap_files import person_amc, person_asf, person_bvh
from tests.stick_person import SIZE, coco_results
from tests.tables import random_table
from tests.trainers import assemble

MAX_SECONDS = 5.0
MAX_BYTES = 1 << 30

NUMBERS = (
    b"-1", b"0", b"1", b"17", b"65536", b"2147483648", b"9" * 25, b"9" * 400, b"1e999", b"-1e308", b"1e-320", b"nan", b"NaN",
    b"inf", b"Infinity", b"0x7fffffff", b"1_0", b"null", b"true", b"''", b'""', b"[]", b"{}", b"[[1]]", b"1:60", b"2024-99-99",
)  # fmt: skip
"""What stands in place of a number in a text."""

KEYWORDS = (
    b"",
    b"*a",
    b"&a",
    b"<<",
    b"!!python/name:os.system",
    b"|",
    b"...",
    b"\xc3\x28",
    b"\x00",
    b"../../x",
    b"[" * 300,
)
"""What stands in place of a word in a text, beside the words of the text itself."""


# --- damage


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """One change, or up to four: flipped bits, cuts, insertions, slices removed, repeated or moved."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice((flip_bits, cut, remove_slice, insert, repeat_slice, overwrite))(data, rng)
    return data


def place(data: bytes, rng: random.Random) -> tuple[int, int]:
    """Start and end of a slice, mostly a short one."""
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + int(len(data) ** rng.random()))


def flip_bits(data, rng):
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8)) if data else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data, rng):
    return data[: rng.randrange(len(data) + 1)]


def remove_slice(data, rng):
    start, end = place(data, rng)
    return data[:start] + data[end:]


def insert(data, rng):
    start, _ = place(data, rng)
    return data[:start] + rng.randbytes(rng.choice((1, 2, 8, 64))) + data[start:]


def repeat_slice(data, rng):
    start, end = place(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 5)) + data[end:]


def overwrite(data, rng):
    (start, end), (source, _) = place(data, rng), place(data, rng)
    filler = rng.choice((b"\0", b"\xff", data[source : source + end - start] or b" "))
    return data[:start] + (filler * ((end - start) // len(filler) + 1))[: end - start] + data[end:]


def damage_text(data: bytes, rng: random.Random) -> bytes:
    """Damage as to bytes, or numbers and words replaced, or lines removed, repeated and exchanged."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice((damage_bytes, replace_number, replace_number, replace_word, shuffle_lines))(data, rng)
    return data


def replace_match(data, rng, pattern, replacement):
    found = list(re.finditer(pattern, data))
    if not found:
        return data
    start, end = rng.choice(found).span()
    return data[:start] + replacement + data[end:]


def replace_number(data, rng):
    return replace_match(data, rng, rb"-?\d+(\.\d+)?", rng.choice(NUMBERS))


def replace_word(data, rng):
    words = re.findall(rb"[A-Za-z_]\w+", data) or [b"word"]
    return replace_match(data, rng, rb"[A-Za-z_]\w+|[^\w\s]", rng.choice((rng.choice(words), rng.choice(KEYWORDS))))


def shuffle_lines(data, rng):
    lines = data.split(b"\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    what = rng.randrange(3)
    if what == 0:
        del lines[a]
    elif what == 1:
        lines.insert(a, lines[b])
    else:
        lines[a], lines[b] = lines[b], lines[a]
    return b"\n".join(lines)


def damage_checkpoint(data: bytes, rng: random.Random) -> bytes:
    """Damage as to bytes; or with a right digest made afterwards; or inside one of the archive's files, with a right digest."""
    kind = rng.randrange(3)
    if kind == 0:
        return damage_bytes(data, rng)
    if kind == 1:
        return signed(damage_bytes(data, rng))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = rng.choice([n for n in members for _ in range(20 if n.endswith("data.pkl") else 1)])
    members[name] = damage_bytes(members[name], rng)
    out = io.BytesIO()
    with zipfile.ZipFile(
        out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    ) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return signed(out.getvalue())


def signed(data: bytes) -> bytes:
    """The archive with the digest that `lib.checkpoint` expects as its comment, if it still ends like an archive."""
    end = data.rfind(b"PK\x05\x06")
    if end < 0 or len(data) < end + 22:
        return data
    body = data[: end + 20]
    comment = b"sha256:" + hashlib.sha256(body).hexdigest().encode()
    return body + struct.pack("<H", len(comment)) + comment


# --- kinds of files: make(folder) -> ({file: bytes}, damage, read(folder))


def finite(*arrays) -> None:
    for array in arrays:
        if np.asarray(array).dtype.kind == "f" and not np.isfinite(array).all():
            raise AssertionError("accepted, but not all numbers are finite")


def smpl_kind(folder: Path):
    body = tiny_body()
    arrays = {
        "v_template": body.v_template[:60], "shapedirs": body.shapedirs[:60], "posedirs": body.posedirs[:60].astype("f4"),
        "J_regressor": body.J_regressor[:, :60], "weights": body.lbs_weights[:60], "bs_type": "lrotmin",
        "f": (body.faces % 60)[:90].astype(np.uint32),
        "kintree_table": np.array([[2**32 - 1, *body.parents[1:]], range(24)], np.uint32),
    }  # fmt: skip

    def damage(data, rng):  # half of it in the first bytes of an array, where opcodes, shapes and types are
        if rng.random() < 0.5:
            return damage_bytes(data, rng)
        at = max(
            0, rng.choice([m.start() for m in re.finditer(rb"ndarray|dtype|kintree|_reconstruct|f8|f4|u4", data)]) - 20
        )
        return data[:at] + damage_bytes(data[at : at + 120], rng) + data[at + 120 :]

    def read(folder):
        model = load_model(folder / "model.pkl")
        finite(model.v_template, model.posedirs, model.lbs_weights)
        model.digest()

    return {"model.pkl": pickle.dumps(arrays, 2)}, damage, read


def checkpoint_kind(folder: Path):
    scales = build_scales(HUMAN36M_17, tiny_body().faces, 7)
    torch.manual_seed(0)
    dataset = DatasetConfig(("Human36M",), ("Human36M",))
    cfg = Config(dataset, ModelConfig(hidden_dim=4), TrainConfig(batch_size=4), TEST=TestConfig(batch_size=4))
    batches = BatchSource(
        [random_table(8, nodes=tuple(len(s.real_nodes) for s in scales[1:]))], torch.device("cpu"), 4, True, 0,
        Augmentation(HUMAN36M_17.flip_permutation),
    )  # fmt: skip

    trainer = assemble(cfg, HGN(scales, 4), scales, batches, {}, RunDir(folder), HUMAN36M_17)
    trainer.reporter.active = False  # the log is the one thing that restoring means to write
    for step in range(2):
        batch = batches.batch(batches.order(0), 0, step)
        trainer.progress.count_step(trainer.learner.step(step, batch))
    trainer.progress.log.append({"epoch": 0, "loss": 1.0, "test": {"mpjpe": 50.0}})
    path = folder / "last.pth.tar"
    checkpoint.save(path, trainer.checkpoints.run | trainer.state())
    data = path.read_bytes()

    def read(folder):
        model, _, content = load_network(path, cfg, lambda: scales)
        trainer.restore(path, {**content, "model_state_dict": model.state_dict()})
        output = model.eval()(torch.zeros(2, model.input_conv.gconv.node_count, 2))
        assert output.pose3d.shape == (2, model.real_nodes_0.numel(), 3)

    return {"last.pth.tar": data}, damage_checkpoint, read


def annotations_kind(folder: Path):
    write_annotations(folder, (9,), actions=(2,), cameras=(1, 2), frames=(0, 50))
    files = {f"Human36M_subject9_{part}.json": b"" for part in PARTS}
    for name in files:
        files[name] = (folder / name).read_bytes()
        if name.endswith("data.json"):
            files[name] = json.dumps(json.loads(files[name]), indent=0).encode()  # lines, to be exchanged
    body = tiny_body()
    coarse = CoarseBody(body, [s.pooling for s in build_scales(HUMAN36M_17, body.faces, 7)[1:]])
    splits = {"test": SplitRule((9,), 50)}

    def read(folder):
        table = build_table_arrays(
            AnnotationSource(folder, splits, ACTION_NAMES), "test", {"neutral": coarse}, progress=False
        )
        finite(table.pose2d, table.pose3d, *table.meshes, *table.flipped_meshes, table.camera, table.root)

    return files, damage_text, read


def npz_kind(folder: Path):
    """VideoPose3D's 3D file; most of the damage is done to the pickle in it, whose archive is then sound."""
    body = tiny_body()
    coarse = {"neutral": CoarseBody(body, [s.pooling for s in build_scales(HUMAN36M_17, body.faces, 7)[1:]])}
    source = VideoPose3DSource(folder, "gt", "videopose3d")
    joints = np.empty((), object)
    joints[()] = {"S9": {"Walking": joints_3d()["S9"]["Walking"][:2], "Posing 1": joints_3d()["S9"]["Walking"][2:4]}}
    pickled = pickle.dumps(joints, 3)

    def damage(data, rng):
        if rng.random() < 0.2:
            return damage_bytes(data, rng)
        return npz_bytes(positions_3d=damage_bytes(pickled, rng))

    def read(folder):
        table = build_table_arrays(source, "test", coarse, progress=False)
        finite(table.pose2d, table.pose3d, table.root)

    return {"data_3d_h36m.npz": npz_bytes(positions_3d=pickled)}, damage, read


def yaml_kind(folder: Path):
    shipped = Path(__file__).resolve().parents[1] / "asset" / "yaml" / "HGN_human36J_train_human36.yml"

    def read(folder):
        config_to_dict(load_config(folder / "my.yml"))

    return {"my.yml": shipped.read_bytes()}, damage_text, read


def read_clip(clip) -> None:
    with np.errstate(all="ignore"):
        finite(clip.rotations, clip.translation, clip.skeleton.offsets)
        forward_kinematics(clip)


def bvh_kind(folder: Path):
    return {"a.bvh": person_bvh().encode()}, damage_text, lambda folder: read_clip(read_bvh(folder / "a.bvh"))


def amc_kind(folder: Path):
    files = {"01.asf": person_asf().encode(), "01_01.amc": person_amc([{"lfemur": "10 20 30"}] * 3).encode()}

    def read(folder):
        read_clip(read_amc(folder / "01_01.amc", read_asf(folder / "01.asf"), 120.0))

    return files, damage_text, read


def images_of(image: Callable) -> Callable[[], bytes]:
    """A list of what `image` makes of the people (2, 17, 3) of every frame."""
    return lambda: json.dumps([image(people) for people in keypoint_files.COCO.swapaxes(0, 1)]).encode()


def keypoints_kind(make: Callable[[], bytes], damage: Callable) -> Callable:
    """A file of 2D keypoints, read as main/predict.py reads it, up to the network's input."""

    def kind(folder: Path):
        def read(folder):
            with np.errstate(all="ignore"):
                people = read_keypoints(folder / "keypoints", image_size=SIZE)
                finite(*(k.scores for k in people))
                prepare_people(people)

        return {"keypoints": make()}, damage, read

    return kind


def damage_archive(data: bytes, rng: random.Random) -> bytes:
    """Damage as to bytes, or inside one of the archive's files."""
    if rng.random() < 0.3:
        return damage_bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = rng.choice(sorted(members))
    members[name] = damage_bytes(members[name], rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return out.getvalue()


KINDS: dict[str, Callable] = {
    "model": smpl_kind,
    "checkpoint": checkpoint_kind,
    "annotations": annotations_kind,
    "npz": npz_kind,
    "yaml": yaml_kind,
    "bvh": bvh_kind,
    "amc": amc_kind,
    "mediapipe": keypoints_kind(keypoint_files.mediapipe_json, damage_text),
    "vitpose": keypoints_kind(keypoint_files.transformers_json, damage_text),
    "deeplabcut": keypoints_kind(keypoint_files.deeplabcut_csv, damage_text),
    "sleap": keypoints_kind(keypoint_files.sleap_csv, damage_text),
    "openpifpaf": keypoints_kind(images_of(keypoint_files.openpifpaf_image), damage_text),
    "ultralytics": keypoints_kind(images_of(keypoint_files.ultralytics_image), damage_text),
    "tensorflow.js": keypoints_kind(images_of(keypoint_files.posenet_image), damage_text),
    "yolo labels": keypoints_kind(lambda: keypoint_files.yolo_labels(keypoint_files.COCO[:, 0]), damage_text),
    "sports2d": keypoints_kind(keypoint_files.sports2d_trc, damage_text),
    "coco": keypoints_kind(lambda: json.dumps(coco_results(keypoint_files.COCO)).encode(), damage_text),
    "detectron": keypoints_kind(keypoint_files.detectron_npz, damage_archive),
    "hdf5": keypoints_kind(keypoint_files.sleap_h5, damage_bytes),
    "hdf5 table": keypoints_kind(keypoint_files.deeplabcut_h5, damage_bytes),
}


# --- reading thousands of them


class TooLong(BaseException):
    """More than MAX_SECONDS of computing."""


def stop_now(*_):
    raise TooLong


def writes(event: str, arguments: tuple) -> bool:
    """Whether an audit event is a side effect: a file written or changed, a process, a connection, a library."""
    if event == "open":
        _, mode, flags = arguments
        return bool(set(mode or "") & set("wax+")) or bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    start = event.split(".")[0]
    harmless = ("os.listdir", "os.scandir", "os.walk", "os.fwalk")
    return start in ("os", "subprocess", "socket", "shutil", "tempfile", "ctypes", "winreg") and event not in harmless


def fuzz(kind: str, count: int, folder: Path, seen: list[str]) -> dict:
    """Read `count` damaged versions of one kind of file."""
    files, damage, read = KINDS[kind](folder)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    read(folder)  # undamaged, everything is right
    outcome = {"accepted": 0, "refused": 0, "faults": [], "seconds": 0.0}
    names = sorted(files)
    for number in range(count):
        rng = random.Random(f"{kind} {number}")
        name = rng.choice(names)
        (folder / name).write_bytes(damage(files[name], rng))
        before, fault = sorted(os.listdir(folder)), None
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
        seen.clear()
        try:
            read(folder)
            outcome["accepted"] += 1
        except UserError as error:
            outcome["refused"] += 1
            if "\n" in str(error) or len(str(error)) > 1000:
                fault = f"a message of {len(str(error))} characters"
        except BaseException as error:
            fault = f"{type(error).__name__}: {str(error)[:200]}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        outcome["seconds"] = max(outcome["seconds"], time.process_time() - start)
        if seen or before != sorted(os.listdir(folder)):
            fault = f"side effects: {seen[:3]}"
        if fault:
            outcome["faults"].append(f"{kind} {number}, {name}: {fault}")
        (folder / name).write_bytes(files[name])
    for path in folder.iterdir():
        path.unlink()
    return outcome


def main(count: int, folder: Path, kinds: list[str]) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGPROF, stop_now)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MAX_BYTES, size + MAX_BYTES))
    seen: list[str] = []
    sys.addaudithook(lambda event, a: seen.append(f"{event} {str(a)[:100]}") if writes(event, a) else None)
    print(json.dumps({kind: fuzz(kind, count, folder, seen) for kind in kinds}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or list(KINDS))
