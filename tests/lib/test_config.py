import ast
import dataclasses
import json
import pickle
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml

from lib.config import (
    Config,
    DatasetConfig,
    NoiseConfig,
    config_from_dict,
    config_to_dict,
    load_config,
    parse_set_arguments,
)
from lib.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
YAML_FILES = sorted((ROOT / "asset" / "yaml").glob("*.yml")) + sorted((ROOT / "asset" / "yaml").glob("*.yaml"))

MINIMAL = """
DATASET:
  train_list: [Human36M]
  test_list: [Human36M]
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "my.yml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


# --- the project's own files ---


def test_there_are_yaml_files():
    assert YAML_FILES


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_every_yaml_file_of_the_project_loads(path):
    assert isinstance(load_config(path), Config)


def test_the_published_file_holds_the_published_schedule():
    config = load_config(ROOT / "asset" / "yaml" / "HGN_human36J_train_human36.yml")
    assert config.TRAIN.lr == 1e-3
    assert config.TRAIN.lr_step == (20, 40, 60, 80, 100, 120, 140)
    assert config.TRAIN.lr_factor == 0.9
    assert (config.TRAIN.begin_epoch, config.TRAIN.end_epoch) == (0, 150)
    assert config.TRAIN.batch_size == 64
    assert config.MODEL.joint_loss_weight == 100
    assert config.MODEL.fusion == "released"
    assert config.MODEL.coarsen_levels == 9


# --- reading ---


def test_values_get_the_types_of_their_keys(write):
    config = load_config(write(MINIMAL + "TRAIN: {lr: 1, lr_step: [1, 2], optimizer: sgd}\nAUG: {flip: on}\n"))
    assert config.DATASET.train_list == ("Human36M",)
    assert (config.TRAIN.lr, type(config.TRAIN.lr)) == (1.0, float)
    assert config.TRAIN.lr_step == (1, 2)
    assert config.TRAIN.optimizer == "sgd"
    assert config.AUG.flip is True


@pytest.mark.parametrize(("text", "value"), [("1e-3", 0.001), ("1.0e-3", 0.001), ("2", 2.0), (".5", 0.5)])
def test_numbers_may_be_written_in_every_usual_way(write, text, value):
    assert load_config(write(MINIMAL + f"TRAIN: {{lr: {text}}}\n")).TRAIN.lr == value


def test_what_is_left_out_keeps_its_default_also_in_an_empty_section(write):
    config = load_config(write(MINIMAL + "TRAIN:\n"))
    assert config == Config(DATASET=DatasetConfig(("Human36M",), ("Human36M",)))
    assert config.DATASET.detection_noise == NoiseConfig()


def test_a_section_within_a_section_is_read(write):
    config = load_config(write(MINIMAL + "  detection_noise: {std: [2.5]}\n"))
    assert config.DATASET.detection_noise == NoiseConfig(std=(2.5,))


def test_a_config_is_frozen_and_can_be_pickled(write):
    config = load_config(write(MINIMAL))
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.TRAIN.lr = 1.0
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_to_plain_values_and_back_also_through_yaml(path):
    config = load_config(path, {"AUG.rotate_factor": 12.5, "DATASET.detection_noise.std": [1] * 17})
    plain = config_to_dict(config)
    assert json.loads(json.dumps(plain)) == plain  # only dicts, lists and scalars
    assert config_from_dict(plain, "checkpoint") == config
    assert config_from_dict(yaml.safe_load(yaml.safe_dump(plain)), "saved file") == config


# --- overrides ---


def test_overrides_win_over_the_file_and_make_missing_sections(write):
    path = write(MINIMAL + "TRAIN: {lr: 0.5, batch_size: 8}\n")
    config = load_config(path, {"TRAIN.lr": 0.25, "MODEL.hidden_dim": 16, "DATASET.detection_noise.std": [2]})
    assert config.TRAIN.lr == 0.25
    assert config.TRAIN.batch_size == 8
    assert config.MODEL.hidden_dim == 16
    assert config.DATASET.detection_noise.std == (2.0,)


@pytest.mark.parametrize(
    ("argument", "section", "key", "value"),
    [
        ("TRAIN.lr=1e-4", "TRAIN", "lr", 1e-4),
        ("TRAIN.lr_step=[5, 6]", "TRAIN", "lr_step", (5, 6)),
        ("TRAIN.lr_step=[]", "TRAIN", "lr_step", ()),
        ("AUG.flip=true", "AUG", "flip", True),
        ("DATASET.data_dir=123", "DATASET", "data_dir", "123"),  # a text stays a text
        ("DATASET.data_dir=/data/a=b: c", "DATASET", "data_dir", "/data/a=b: c"),
        ("DATASET.detection_file=", "DATASET", "detection_file", ""),
        ("DATASET.train_list=[Mocap, Synthetic]", "DATASET", "train_list", ("Mocap", "Synthetic")),
        ("MODEL.fusion=parallel", "MODEL", "fusion", "parallel"),
    ],
)
def test_set_arguments_of_the_command_line_are_read_like_yaml(write, argument, section, key, value):
    config = load_config(write(MINIMAL), parse_set_arguments([argument]))
    assert getattr(getattr(config, section), key) == value


def test_the_last_of_two_set_arguments_wins():
    assert parse_set_arguments(["TRAIN.lr=1", "TRAIN.lr=2"]) == {"TRAIN.lr": "2"}


@pytest.mark.parametrize("argument", ["TRAIN.lr", "=3", ""])
def test_a_set_argument_without_key_or_value_says_how_to_write_it(argument):
    with pytest.raises(UserError, match=r"--set SECTION\.KEY=VALUE") as raised:
        parse_set_arguments([argument])
    assert "\n" not in str(raised.value)


# --- mistakes: one line that names the file, the key and the right one ---

MISTAKES = [
    # text appended to MINIMAL, words that the message must hold
    ("TRAIN: {learning_rate: 1}", ["unknown key TRAIN.learning_rate", "did you mean TRAIN."]),
    ("TRAIN: {xyz: 1}", ["unknown key TRAIN.xyz", "known keys", "batch_size", "lr_factor"]),
    ("TRAIN: {batchsize: 1}", ["unknown key TRAIN.batchsize", "TRAIN.batch_size?"]),
    ("TRAIN: {end_epochs: 1}", ["unknown key TRAIN.end_epochs", "TRAIN.end_epoch?"]),
    ("TRIAN: {lr: 1}", ["unknown key TRIAN", "TRAIN?"]),
    ("train: {lr: 1}", ["unknown key train", "TRAIN"]),
    ("1: 2", ["unknown key 1"]),
    ("  detection_noise: {sdt: [1]}", ["DATASET.detection_noise.sdt", "DATASET.detection_noise.std?"]),
    ("  detection_noise: {std: [1, 2]}", ["DATASET.detection_noise.std", "one per joint"]),
    ("  detection_noise: {std: []}", ["DATASET.detection_noise.std", "one per joint"]),
    ("  detection_noise: {std: [-1]}", ["DATASET.detection_noise.std"]),
    ("  detection_noise: {std: [.nan]}", ["DATASET.detection_noise.std"]),
    ("  detection_noise: {outlier_probability: [2]}", ["DATASET.detection_noise.outlier_probability"]),
    ("TRAIN: {lr: fast}", ["TRAIN.lr", "a number", "'fast'"]),
    ("TRAIN: {lr: true}", ["TRAIN.lr", "a number", "True"]),
    ("TRAIN: {lr: }", ["TRAIN.lr", "a number", "nothing"]),
    ("TRAIN: {lr: [1]}", ["TRAIN.lr", "a number", "a list of 1"]),
    ("TRAIN: {batch_size: 8.0}", ["TRAIN.batch_size", "a whole number", "8.0"]),
    ("TRAIN: {batch_size: '8'}", ["TRAIN.batch_size", "a whole number", "'8'"]),
    ("TRAIN: {batch_size: true}", ["TRAIN.batch_size", "a whole number", "True"]),
    ("TRAIN: {lr_step: 5}", ["TRAIN.lr_step", "a list", "5"]),
    ("TRAIN: {lr_step: [5, x]}", ["TRAIN.lr_step[1]", "a whole number", "'x'"]),
    ("AUG: {flip: 1}", ["AUG.flip", "true or false", "1"]),
    ("AUG: {flip: 'true'}", ["AUG.flip", "true or false", "'true'"]),
    ("MODEL: {smpl_dir: 3}", ["MODEL.smpl_dir", "a text", "3"]),
    ("MODEL: {fusion: paralel}", ["MODEL.fusion", "released, parallel", "did you mean parallel?"]),
    ("MODEL: {fusion: 7}", ["MODEL.fusion", "released, parallel", "7"]),
    ("MODEL: {fusion: [parallel]}", ["MODEL.fusion", "released, parallel", "a list of 1"]),
    ("MODEL: {fusion: {parallel: 1}}", ["MODEL.fusion", "a section of keys"]),
    ("MODEL: {name: hgn}", ["MODEL.name", "HGN"]),
    ("MODEL: {name: SimpleBaselin}", ["MODEL.name", "did you mean SimpleBaseline?"]),
    ("MODEL: {scales: 4}", ["MODEL.scales", "4", "1 (skeleton), 2"]),
    ("MODEL: {depth: 33}", ["MODEL.depth", "33", "0 (the network's own) to 32"]),
    ("MODEL: {modulation: 1}", ["MODEL.modulation", "true or false"]),
    ("MODEL: {attention: softmacs}", ["MODEL.attention", "did you mean softmax?"]),
    ("MODEL: {attention: softmax, hidden_dim: 12}", ["MODEL.hidden_dim", "12", "a multiple of 8"]),
    ("MODEL: {name: Transformer, hidden_dim: 12}", ["MODEL.hidden_dim", "12", "a multiple of 8"]),
    ("MODEL: {name: SemGCN, scales: 1}", ["MODEL.scales", "3 for SemGCN"]),
    (
        "MODEL: {name: SimpleBaseline, fusion: parallel}",
        ["MODEL.fusion", "released for SimpleBaseline: it is an option of HGN"],
    ),
    (
        "MODEL: {name: ModulatedGCN, modulation: true}",
        ["MODEL.modulation", "is true, it must be false for ModulatedGCN"],
    ),
    ("MODEL: {name: Transformer, attention: softmax}", ["MODEL.attention", "nonlocal for Transformer"]),
    ("MODEL: {name: SemGCN, edge_loss_weight: 1}", ["MODEL.edge_loss_weight", "without meshes"]),
    ("MODEL: {scales: 1, normal_loss_weight: 1}", ["MODEL.normal_loss_weight", "without meshes"]),
    ("MODEL: {mesh_loss_weight: -1}", ["MODEL.mesh_loss_weight", "0 or more"]),
    ("MODEL: HGN", ["MODEL must be a section", "'HGN'"]),
    ("MODEL: [HGN]", ["MODEL must be a section", "a list of 1"]),
    ("MODEL: {hidden_dim: 7}", ["MODEL.hidden_dim", "7", "even"]),
    ("MODEL: {coarsen_levels: 1}", ["MODEL.coarsen_levels", "2 to 20"]),
    ("MODEL: {input_shape: [384]}", ["MODEL.input_shape", "[height, width]"]),
    ("MODEL: {joint_loss_weight: -1}", ["MODEL.joint_loss_weight", "0 or more"]),
    ("MODEL: {edge_loss_weight: .nan}", ["MODEL.edge_loss_weight", "0 or more"]),
    ("TRAIN: {batch_size: 1}", ["TRAIN.batch_size", "2 or more"]),
    ("TRAIN: {lr: 1}\nTRAIN: {lr: 2}", ["line 6", "TRAIN is there twice"]),
    ("TRAIN: {lr: 1, lr: 2}", ["line 5", "lr is there twice"]),
    ("TRAIN: {lr_step: [4, 2]}", ["TRAIN.lr_step is [4, 2]", "increasing order"]),
    ("TRAIN: {momentum: 0, nesterov: true}", ["TRAIN.nesterov", "TRAIN.momentum"]),
    ("TRAIN: {average_weights: 1}", ["TRAIN.average_weights", "below 1"]),
    ("TRAIN: {end_epoch: 2, warmup_epochs: 4}", ["TRAIN.warmup_epochs", "0 to the 3 epochs"]),
    (
        "DATASET: {train_list: [a], test_list: [b], use_gt_input: false, detection_file: f}\nAUG: {view_probability: 0.1}",
        ["AUG.view_probability is 0.1", "0 with DATASET.detection_file"],
    ),
    ("TRAIN: {begin_epoch: 9, end_epoch: 3}", ["TRAIN.end_epoch", "TRAIN.begin_epoch"]),
    ("TRAIN: {lr: .nan}", ["TRAIN.lr", "positive"]),
    ("TRAIN: {lr: .inf}", ["TRAIN.lr", "positive"]),
    ("TRAIN: {lr: 0}", ["TRAIN.lr", "positive"]),
    ("TRAIN: {lr_factor: 1.5}", ["TRAIN.lr_factor", "at most 1"]),
    ("TRAIN: {print_freq: 0}", ["TRAIN.print_freq", "1 or more"]),
    ("AUG: {rotate_factor: 181}", ["AUG.rotate_factor", "0 to 180"]),
    ("TRAIN: {keep: -1}", ["TRAIN.keep", "0 or more"]),
    ("TRAIN: {skip_nonfinite: -1}", ["TRAIN.skip_nonfinite", "0 or more"]),
    ("TRAIN: {checkpoint_minutes: 0}", ["TRAIN.checkpoint_minutes", "positive"]),
    ("DATASET: {train_list: [a], test_list: [b], workers: -1}", ["DATASET.workers", "0 or more"]),
    ("TEST: {batch_size: 0}", ["TEST.batch_size", "1 or more"]),
]


def _one_line(error: UserError) -> str:
    assert "\n" not in str(error)
    return str(error)


@pytest.mark.parametrize(("text", "words"), MISTAKES, ids=[text for text, _ in MISTAKES])
def test_a_mistake_is_one_line_with_the_file_the_key_and_what_is_right(write, text, words):
    path = write(("" if text.startswith("DATASET") else MINIMAL) + text + "\n")
    with pytest.raises(UserError) as raised:
        load_config(path)
    message = _one_line(raised.value)
    assert message.startswith(f"{path}: ")
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    ("text", "key"), [("MODEL:\n", "DATASET.train_list"), ("DATASET: {train_list: [a]}", "DATASET.test_list")]
)
def test_a_missing_key_is_named(write, text, key):
    path = write(text)
    with pytest.raises(UserError, match=f"missing key {key} ") as raised:
        load_config(path)
    assert _one_line(raised.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "found nothing"),
        (b"just words", "found 'just words'"),
        (b"- a\n- b\n", "found a list of 2"),
        (b"DATASET:\n\ttrain_list: [a]\n", "line 2 is not valid YAML"),
        (b"DATASET: [a\n", "is not valid YAML"),
        (b"\xff\xfe\x00D", "is not a YAML text file"),
        (b"a: \x00", "is not a YAML text file"),
        (b"a: 2024-99-99\n", "is not a YAML text file"),  # looks like a date, but is none
        (b"a: !!python/object/apply:os.getcwd []\n", "is not valid YAML"),
        (b"[" * 2_000, "is not a YAML text file"),
    ],
    ids=["empty", "text", "list", "tab", "open bracket", "utf-16", "zero byte", "bad date", "python tag", "deep"],
)
def test_a_file_that_is_no_configuration_is_one_line(write, content, words):
    path = write(content)
    with pytest.raises(UserError) as raised:
        load_config(path)
    message = _one_line(raised.value)
    assert message.startswith(f"{path}: ")
    assert words in message


def test_a_missing_file_a_folder_and_a_huge_file_are_one_line(tmp_path, write):
    for path, words in [
        (tmp_path / "none.yml", "no such configuration file"),
        (tmp_path, "cannot be read"),
        (write(b"#" * 1_000_001), "too many"),
    ]:
        with pytest.raises(UserError, match=words) as raised:
            load_config(path)
        assert _one_line(raised.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"TRAIN.learing_rate": "1"}, "TRAIN.learing_rate"),
        ({"TRAIN.bach_size": "1"}, "TRAIN.batch_size?"),
        ({"lr": "1"}, "unknown key lr"),
        ({"TRAIN.lr.x": "1"}, "lr"),
        ({"TRAIN.lr": "["}, "TRAIN.lr"),
        ({"TRAIN.lr": "many"}, "TRAIN.lr must be a number"),
        ({"TRAIN": "5"}, "TRAIN must be a section"),
        ({"A.B.C.D": "5"}, "unknown key A"),
        ({"": "5"}, "unknown key"),
    ],
)
def test_a_wrong_override_is_one_line(write, overrides, words):
    with pytest.raises(UserError) as raised:
        load_config(write(MINIMAL + "TRAIN: {lr: 1}\n"), overrides)
    assert words in _one_line(raised.value)


# --- every key does something ---


def _sections() -> list[tuple[str, type]]:
    """Key of each section and its dataclass, sections within sections included."""
    found, waiting = [], list(get_type_hints(Config).items())
    while waiting:
        name, cls = waiting.pop(0)
        found.append((name, cls))
        waiting += [(n, c) for n, c in get_type_hints(cls).items() if dataclasses.is_dataclass(c)]
    return found


def _unread_keys() -> list[str]:
    """Keys that no module accesses as an attribute; only modules that name the section or its dataclass count."""
    modules = []
    for folder in ("lib", "data", "smplpytorch", "main"):
        for path in (ROOT / folder).rglob("*.py"):
            if path != ROOT / "lib" / "config.py":
                nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
                attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
                modules.append((attributes, attributes | {node.id for node in nodes if isinstance(node, ast.Name)}))
    unread = []
    for section, cls in _sections():
        names = {section, cls.__name__}
        read = set().union(*(attributes for attributes, mentioned in modules if names & mentioned))
        unread += [f"{section}.{f.name}" for f in dataclasses.fields(cls) if f.name not in read]
    return unread


def test_every_key_is_read_somewhere():
    assert _unread_keys() == []
