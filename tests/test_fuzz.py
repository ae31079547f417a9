"""Damaged files end in one clear line or in a right result: never in a traceback, a hang, a gigabyte or a side effect.

The ordinary run reads 100 damaged files of each kind; HGN_FUZZ=2000 reads as many as docs/reliability.md reports.
"""

import contextlib
import importlib.util
import json
import os
import random
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from data.Human36M.annotations import read_subject
from lib import checkpoint
from lib.config import load_config
from lib.errors import UserError
from tests import fuzzing
from tests.annotation_files import write_annotations

pytestmark = pytest.mark.slow  # reads thousands of files

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("model", "checkpoint", "annotations", "npz", "yaml", "bvh", "amc", "mediapipe", "vitpose", "deeplabcut", "sleap",
         "coco", "detectron", "openpifpaf", "ultralytics", "tensorflow.js", "yolo labels", "sports2d")  # fmt: skip
KINDS += ("hdf5", "hdf5 table") if importlib.util.find_spec("h5py") else ()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict:
    """{kind: {accepted, refused, faults, seconds}} from one process with bounded memory in an empty folder."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is bounded with Linux's means")
    count = int(os.environ.get("HGN_FUZZ", 100))
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing", str(count), str(tmp_path_factory.mktemp("damaged")), *KINDS],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for outcome in found.values():
        assert outcome["accepted"] + outcome["refused"] + len(outcome["faults"]) >= count
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_refused_in_one_line_or_read_right(outcomes, kind):
    outcome = outcomes[kind]
    assert outcome["faults"] == []
    assert outcome["refused"] > 0  # damage is noticed
    assert outcome["seconds"] < fuzzing.MAX_SECONDS


def test_every_kind_is_also_accepted_at_times_so_that_the_damage_reaches_deep_enough(outcomes):
    assert [kind for kind in KINDS if outcomes[kind]["accepted"] == 0] == []


def test_damage_follows_from_the_seed_and_nearly_always_changes_the_file():
    data = bytes(range(256)) * 4
    text = b"name: [1, 2.5]\nother: word\n" * 8
    for damage, original in ((fuzzing.damage_bytes, data), (fuzzing.damage_text, text)):
        versions = [damage(original, random.Random(k)) for k in range(200)]
        assert versions == [damage(original, random.Random(k)) for k in range(200)]
        assert sum(v != original for v in versions) > 180
        assert len(set(versions)) > 150


# --- what it found


@pytest.mark.parametrize("number", ["9" * 400, "1e308", "-1e308"])
@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("camera", lambda tree: tree["1"]["R"][0]),
        ("camera", lambda tree: tree["2"]["c"]),
        ("joint_3d", lambda tree: tree["2"]["1"]["0"][3]),
        ("smpl_param", lambda tree: tree["2"]["1"]["50"]["pose"]),
    ],
)
def test_annotations_with_a_number_too_large_for_single_precision_are_refused(tmp_path, part, change, number):
    write_annotations(tmp_path, (9,), actions=(2,), frames=(0, 50))
    path = tmp_path / f"Human36M_subject9_{part}.json"
    tree = json.loads(path.read_text())
    change(tree)[1] = "HERE"
    path.write_text(json.dumps(tree).replace('"HERE"', number))
    with pytest.raises(UserError) as raised:
        read_subject(tmp_path, 9)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_checkpoint_that_claims_a_newer_archive_version_is_refused(tmp_path):
    path = tmp_path / "last.pth.tar"
    checkpoint.save(path, {"model_state_dict": {}})
    data = path.read_bytes()
    entry = data.find(b"PK\x01\x02") + 6  # "version needed to extract" of the first file in the directory
    path.write_bytes(fuzzing.signed(data[:entry] + b"\x40\x00" + data[entry + 2 :]))
    with contextlib.suppress(UserError):
        checkpoint.read(path)


def test_yaml_aliases_that_unfold_to_gigabytes_are_refused(tmp_path):
    lines = ["a0: &a0 {x: 1}"] + [f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}" for k in range(1, 12)]
    path = tmp_path / "my.yml"
    path.write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"line 2 is not valid YAML \(aliases are not read"):
        load_config(path)


@pytest.mark.parametrize(
    "text",
    ["lr: " + "9" * 400, "batch_size: 0x" + "f" * 5000, "shuffle: 0x" + "f" * 5000, "lr_step: [1" + "0" * 30 + "]"],
)
def test_yaml_numbers_of_any_length_are_refused_in_one_short_line(tmp_path, text):
    path = tmp_path / "my.yml"
    path.write_text(f"DATASET: {{train_list: [Human36M], test_list: [Human36M]}}\nTRAIN: {{{text}}}\n")
    with pytest.raises(UserError, match=r"TRAIN\.") as raised:
        load_config(path)
    assert len(str(raised.value)) < 300


def test_a_compressed_checkpoint_is_refused_before_it_unfolds(tmp_path):
    path = tmp_path / "last.pth.tar"
    torch.save({"model_state_dict": {"a": torch.zeros(1_000_000)}}, path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match="unpacks to more than it holds"):
        checkpoint.read(path)


def test_a_side_effect_would_be_noticed(tmp_path):
    seen, watching = [], []
    sys.addaudithook(lambda event, a: seen.append(event) if watching and fuzzing.writes(event, a) else None)

    def noticed(act) -> bool:
        seen.clear()
        watching.append(True)
        try:
            act()
        finally:
            watching.clear()
        return seen != []

    path = tmp_path / "a"
    assert noticed(path.touch)
    assert noticed(lambda: path.write_text("a"))
    assert noticed(lambda: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)))
    assert noticed(lambda: os.system("true"))
    assert noticed(lambda: subprocess.run(["true"], check=True))
    assert noticed(lambda: socket.socket().close())
    assert not noticed(path.read_bytes)
    assert not noticed(lambda: os.listdir(tmp_path))
    assert noticed(path.unlink)
