"""Configuration: YAML in, frozen dataclasses out; anything unknown, missing or ill-typed is one clear line.

`Config` stops at the factories (`build_model`, `build_table`, ...); below them functions take plain arguments.
"""

import dataclasses
import difflib
import re
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from lib.errors import UserError
from lib.joints import HUMAN36M_17, JOINT_SETS

MAX_YAML_BYTES = 1_000_000


@dataclass(frozen=True)
class NoiseConfig:
    """Noise instead of a 2D detector when training without a detection file (docs/data.md).

    Pixels of a person box of MODEL.input_shape; one value for all joints or one per joint. A joint becomes an outlier
    with `outlier_probability`; then it is drawn uniformly from the person's box.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (4.0,)
    outlier_probability: tuple[float, ...] = (0.01,)


@dataclass(frozen=True)
class DatasetConfig:
    """Which samples. train_list, test_list: names of the registry in data/__init__.py.

    detections, protocol: for data sets that are published with several (docs/data.md); without_smpl: what becomes of
    annotated frames without SMPL parameters; nan_frames: what becomes of frames with NaN in published files; test_split:
    what test_list is tested on.
    """

    train_list: tuple[str, ...]
    test_list: tuple[str, ...]
    input_joint_set: str = "human36"
    target_joint_set: str = "human36"
    workers: int = 2
    use_gt_input: bool = True
    data_dir: str = "./data"
    detection_file: str = ""
    detection_noise: NoiseConfig = NoiseConfig()
    detections: str = "gt"
    protocol: Literal["release", "videopose3d"] = "release"
    without_smpl: Literal["drop", "keep"] = "drop"
    nan_frames: Literal["refuse", "drop"] = "refuse"
    test_split: Literal["test", "validation"] = "test"


@dataclass(frozen=True)
class ModelConfig:
    """Which network, on which hierarchy, with which losses.

    depth: stages, blocks or layers; 0 is the network's own (lib.models.factory.NETWORKS). scales, fusion, modulation and
    attention belong to HGN; scales: 1 skeleton, 2 with the coarse mesh, 3 with both meshes."""

    name: Literal["HGN", "SimpleBaseline", "SemGCN", "ModulatedGCN", "Transformer"] = "HGN"
    hidden_dim: int = 128
    depth: int = 0
    scales: int = 3
    fusion: Literal["released", "parallel"] = "released"
    modulation: bool = False
    attention: Literal["nonlocal", "softmax"] = "nonlocal"
    coarsen_levels: int = 9
    smpl_dir: str = "./smplpytorch/smplpytorch/native/models"
    input_shape: tuple[int, ...] = (384, 288)
    joint_loss_weight: float = 100.0
    mesh_loss_weight: float = 1.0
    normal_loss_weight: float = 0.0
    edge_loss_weight: float = 0.0


@dataclass(frozen=True)
class TrainConfig:
    """The schedule and the optimiser.

    weight_path: weights to start from, a file or folder as TEST.weight_path; empty: fresh ones.
    batch_size: samples of a step over all devices and ranks; sync_bn: under torchrun, batch normalisation over the batch of
    all ranks, not over each rank's shard; compile, precision: see lib.training.precision. begin_epoch to end_epoch are
    trained, both included. momentum, weight_decay, nesterov: of sgd. lr, scheduler, lr_step, lr_factor, warmup_epochs: see
    lib.training.schedule; loss: see lib.training.losses; average_weights: decay of the average of weights, 0 for none
    (lib.training.averaging). keep: how many epochs' checkpoints stay beside last and best; checkpoint_minutes: time
    between two saves inside an epoch; skip_nonfinite: how many steps with a loss that is not finite may be skipped.
    """

    weight_path: str = ""
    print_freq: int = 50
    batch_size: int = 64
    sync_bn: bool = True
    compile: Literal["auto", "on", "off"] = "auto"
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    shuffle: bool = True
    begin_epoch: int = 0
    end_epoch: int = 150
    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    nesterov: bool = True
    lr: float = 1e-3
    scheduler: Literal["step", "plateau", "cosine"] = "step"
    lr_step: tuple[int, ...] = (20, 40, 60, 80, 100, 120, 140)
    lr_factor: float = 0.9
    warmup_epochs: float = 0.0
    loss: Literal["published", "mpjpe"] = "published"
    average_weights: float = 0.0
    keep: int = 0
    skip_nonfinite: int = 0
    checkpoint_minutes: float = 10.0


@dataclass(frozen=True)
class AugConfig:
    """Augmentation of training samples. flip: mirror half of them; rotate_factor: largest rotation about the optical
    axis, in degrees; view_probability: fraction shown through another camera (lib.training.augment.ViewRange);
    body_probability: fraction replaced by new people (lib.training.people); detector_probability: fraction with 2D input as a
    detector makes it (lib.training.detector), both through another camera; virtual_camera_probability: fraction shown as
    prediction shows people to the network (lib.training.augment.virtual_view)."""

    flip: bool = False
    rotate_factor: float = 0.0
    view_probability: float = 0.0
    body_probability: float = 0.0
    detector_probability: float = 0.0
    virtual_camera_probability: float = 0.0


@dataclass(frozen=True)
class TestConfig:
    """Testing and its images."""

    __test__ = False  # not a pytest class

    batch_size: int = 64
    shuffle: bool = False
    weight_path: str = "./pretrained"
    vis: bool = False


@dataclass(frozen=True)
class RunConfig:
    """Where runs are written. time_zone names the run folders: UTC+9 as published, local, or a zone's name."""

    experiment_dir: str = "./experiment"
    time_zone: str = "UTC+9"


@dataclass(frozen=True)
class Config:
    """One configuration; sections as in the release's YAML files."""

    DATASET: DatasetConfig
    MODEL: ModelConfig = field(default_factory=ModelConfig)
    TRAIN: TrainConfig = field(default_factory=TrainConfig)
    AUG: AugConfig = field(default_factory=AugConfig)
    TEST: TestConfig = field(default_factory=TestConfig)
    RUN: RunConfig = field(default_factory=RunConfig)


def load_config(path: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """Read a YAML file; `overrides` maps dotted keys ("TRAIN.lr") to values, or to text in YAML's spelling."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise UserError(f"{path}: {path.stat().st_size} bytes are too many for a configuration file")
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such configuration file; the project's own are in asset/yaml") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}: line {line} is not valid YAML ({error.problem})") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not a YAML text file ({type(error).__name__})") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected sections such as DATASET: and MODEL:, found {_kind(tree)}")
    for dotted, value in (overrides or {}).items():
        _override(tree, dotted, value, path)
    return config_from_dict(tree, path)


class _Loader(yaml.SafeLoader):
    """Plain values only, every key once. No aliases: a page of aliases of aliases in merge keys unfolds to gigabytes."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(problem="aliases are not read; write the value out", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"{key.value} is there twice; the second would replace the first"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)


def config_from_dict(tree: dict[str, Any], source: str | Path) -> Config:
    """A Config from nested plain values, as stored in YAML files and checkpoints; `source` is named in errors."""
    config = _build(Config, tree, "", source)
    _check_values(config, source)
    return config


def config_to_dict(config: Any) -> dict[str, Any]:
    """The inverse of `config_from_dict`: nested dicts, lists and scalars."""

    def plain(value):
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        return [plain(v) for v in value] if isinstance(value, tuple) else value

    return plain(dataclasses.asdict(config))


def flatten_config(config: Config) -> dict[str, Any]:
    """{"SECTION.KEY": plain value} of all sections, in their order."""
    tree = config_to_dict(config)
    return {f"{section}.{key}": value for section, keys in tree.items() for key, value in keys.items()}


def parse_set_arguments(arguments: list[str]) -> dict[str, str]:
    """["TRAIN.lr=0.01", ...] of the command line to overrides for `load_config`."""
    overrides = {}
    for argument in arguments:
        key, separator, value = argument.partition("=")
        if not separator or not key:
            raise UserError(f"--set {argument}: write it as --set SECTION.KEY=VALUE, for example --set TRAIN.lr=0.001")
        overrides[key.strip()] = value
    return overrides


def _override(tree: dict, dotted: str, value: Any, path: Path) -> None:
    hints: Any = Config
    *sections, name = dotted.split(".")
    for section in sections:
        hints = get_type_hints(hints).get(section) if dataclasses.is_dataclass(hints) else None
        if tree.get(section) is None:
            tree[section] = {}
        tree = tree[section]
        if not isinstance(tree, dict):
            raise UserError(f"{path}: --set {dotted}: {section} is {_kind(tree)}, not a section")
    wanted = get_type_hints(hints).get(name) if dataclasses.is_dataclass(hints) else None
    if isinstance(value, str) and wanted not in (str, None) and get_origin(wanted) is not Literal:
        try:
            value = yaml.load(value, _Loader)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise UserError(f"--set {dotted}={value}: the value is not valid YAML") from None
    tree[name] = value


def _build(cls: type, tree: Any, prefix: str, source: str | Path) -> Any:
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise UserError(f"{source}: {prefix.rstrip('.')} must be a section of keys, found {_kind(tree)}")
    hints = get_type_hints(cls)
    for key in tree:
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1, cutoff=0.4)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known keys: {', '.join(hints)}"
            raise UserError(f"{source}: unknown key {prefix}{key}; {hint}")
    values = {}
    for f in dataclasses.fields(cls):
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if f.name in tree or (required and dataclasses.is_dataclass(hints[f.name])):
            values[f.name] = _convert(tree.get(f.name), hints[f.name], prefix + f.name, source)
        elif required:
            raise UserError(f"{source}: missing key {prefix}{f.name} ({_describe(hints[f.name])})")
    return cls(**values)


def _convert(value: Any, wanted: Any, name: str, source: str | Path) -> Any:
    """`value` as type `wanted`, or a UserError with what was expected."""
    if isinstance(wanted, type) and dataclasses.is_dataclass(wanted):
        return _build(wanted, value, name + ".", source)
    origin = get_origin(wanted)
    if origin is Literal and value in get_args(wanted) and isinstance(value, str):
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(v, get_args(wanted)[0], f"{name}[{i}]", source) for i, v in enumerate(value))
    if wanted is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)  # a text too: YAML 1.1 reads 1e-3 as one
        except (ValueError, OverflowError):
            pass
    if origin is None and wanted is not float and type(value) is wanted and not _is_huge(value):
        return value
    hint = ""
    if origin is Literal and isinstance(value, str):
        near = difflib.get_close_matches(value, get_args(wanted), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
    raise UserError(f"{source}: {name} must be {_describe(wanted)}, found {_kind(value)}{hint}")


def _describe(wanted: Any) -> str:
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(get_args(wanted))
    if get_origin(wanted) is tuple:
        return f"a list, each entry {_describe(get_args(wanted)[0])}"
    if get_origin(wanted) in (Union, types.UnionType):
        return " or ".join(_describe(w) for w in get_args(wanted))
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}.get(wanted, "a section")


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a section of keys"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    text = "a number of more than 9 digits" if _is_huge(value) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _is_huge(value: Any) -> bool:
    """A whole number that no key means, and that neither tensors nor messages can take."""
    return isinstance(value, int) and abs(value) >= 10**9


def _rules_of_networks(m: ModelConfig) -> list[tuple[str, Any, bool, str]]:
    """(key, value, whether it holds, what is right) for the keys of MODEL that depend on each other."""
    rules: list[tuple[str, Any, bool, str]] = []
    for key in ("scales", "fusion", "modulation", "attention") if m.name != "HGN" else ():
        value, default = (str(getattr(config, key)).lower() for config in (m, ModelConfig))  # as YAML spells them
        rules.append((f"MODEL.{key}", value, value == default, f"{default} for {m.name}: it is an option of HGN"))
    for key in ("normal_loss_weight", "edge_loss_weight") if m.name != "HGN" or m.scales == 1 else ():
        rules.append((f"MODEL.{key}", getattr(m, key), getattr(m, key) == 0, "0 for a network without meshes"))
    if m.name == "Transformer" or m.attention == "softmax":
        rules.append(
            ("MODEL.hidden_dim", m.hidden_dim, m.hidden_dim % 8 == 0, "a multiple of 8 for attention in heads")
        )
    return rules


def _check_values(config: Config, source: str | Path) -> None:
    """Ranges that types cannot express."""
    D, M, T, A = config.DATASET, config.MODEL, config.TRAIN, config.AUG
    epochs = max(T.end_epoch - T.begin_epoch + 1, 1)
    detected = not D.use_gt_input and bool(D.detection_file)
    rules = [
        ("DATASET.train_list", D.train_list, len(D.train_list) > 0, "at least one data set"),
        ("DATASET.test_list", D.test_list, len(D.test_list) > 0, "at least one data set"),
        ("DATASET.input_joint_set", D.input_joint_set, D.input_joint_set in JOINT_SETS, ", ".join(JOINT_SETS)),
        ("DATASET.target_joint_set", D.target_joint_set, D.target_joint_set == "human36", "human36"),
        ("DATASET.detections", D.detections, re.fullmatch(r"\w+", D.detections) is not None, "gt or a detector's name"),
        ("DATASET.workers", D.workers, D.workers >= 0, "0 or more"),
        ("MODEL.hidden_dim", M.hidden_dim, 2 <= M.hidden_dim <= 4096 and M.hidden_dim % 2 == 0, "even, 2 to 4096"),
        ("MODEL.depth", M.depth, 0 <= M.depth <= 32, "0 (the network's own) to 32"),
        (
            "MODEL.scales",
            M.scales,
            1 <= M.scales <= 3,
            "1 (skeleton), 2 (with the coarse mesh) or 3 (with both meshes)",
        ),
        ("MODEL.coarsen_levels", M.coarsen_levels, 2 <= M.coarsen_levels <= 20, "2 to 20"),
        ("MODEL.input_shape", M.input_shape, len(M.input_shape) == 2 and min(M.input_shape) > 0, "[height, width]"),
        ("TRAIN.print_freq", T.print_freq, T.print_freq >= 1, "1 or more"),
        ("TRAIN.batch_size", T.batch_size, T.batch_size >= 2, "2 or more (batch normalisation needs two samples)"),
        ("TRAIN.begin_epoch", T.begin_epoch, T.begin_epoch >= 0, "0 or more"),
        ("TRAIN.end_epoch", T.end_epoch, T.end_epoch >= T.begin_epoch, "at least TRAIN.begin_epoch"),
        ("TRAIN.momentum", T.momentum, 0 <= T.momentum < 1, "0 or more, below 1"),
        ("TRAIN.weight_decay", T.weight_decay, 0 <= T.weight_decay < float("inf"), "0 or more"),
        ("TRAIN.nesterov", T.nesterov, T.momentum > 0 or not T.nesterov, "false without TRAIN.momentum"),
        ("TRAIN.lr_step", list(T.lr_step), list(T.lr_step) == sorted(set(T.lr_step)), "epochs in increasing order"),
        (
            "TRAIN.warmup_epochs",
            T.warmup_epochs,
            0 <= T.warmup_epochs <= epochs,
            f"0 to the {epochs} epochs of the run",
        ),
        ("TRAIN.average_weights", T.average_weights, 0 <= T.average_weights < 1, "0 (off) or a decay below 1"),
        ("TRAIN.lr", T.lr, 0 < T.lr < float("inf"), "positive"),
        ("TRAIN.lr_factor", T.lr_factor, 0 < T.lr_factor <= 1, "above 0, at most 1"),
        ("TRAIN.keep", T.keep, T.keep >= 0, "0 or more"),
        ("TRAIN.skip_nonfinite", T.skip_nonfinite, T.skip_nonfinite >= 0, "0 or more"),
        ("TRAIN.checkpoint_minutes", T.checkpoint_minutes, T.checkpoint_minutes > 0, "positive"),
        ("AUG.rotate_factor", A.rotate_factor, 0 <= A.rotate_factor <= 180, "0 to 180 degrees"),
        ("TEST.batch_size", config.TEST.batch_size, config.TEST.batch_size >= 1, "1 or more"),
    ]
    for weight in ("joint", "mesh", "normal", "edge"):
        value = getattr(M, f"{weight}_loss_weight")
        rules.append((f"MODEL.{weight}_loss_weight", value, 0 <= value < float("inf"), "0 or more"))
    for name in ("view", "body", "detector", "virtual_camera"):
        value = getattr(A, f"{name}_probability")
        rules.append((f"AUG.{name}_probability", value, 0 <= value <= 1, "0 to 1"))
        if name != "virtual_camera":
            expected = "0 with DATASET.detection_file: another camera's input would be projections, not detections of that file"
            rules.append((f"AUG.{name}_probability", value, not (value and detected), expected))
    rules += _rules_of_networks(M)
    joints = len(HUMAN36M_17)
    for name in ("mean", "std", "outlier_probability"):
        values = getattr(D.detection_noise, name)
        expected, low = ("one number or one per joint", 0 if name != "mean" else -1e9)
        high = 1 if name == "outlier_probability" else 1e9
        holds = len(values) in (1, joints) and all(low <= v <= high for v in values)
        rules.append((f"DATASET.detection_noise.{name}", values, holds, expected))
    for name, value, holds, expected in rules:
        if not holds:
            raise UserError(f"{source}: {name} is {value}, it must be {expected}")
