import builtins
import collections
import contextlib
import io
import os
import pickle
import re
import zipfile

import numpy as np
import pytest
import torch

from lib import checkpoint
from lib.checkpoint import load_state, load_weights, read, save
from lib.errors import UserError
from lib.graph.scales import GraphScale, build_scales, scales_from_state, scales_to_state
from lib.joints import HUMAN36M_17, JointSet
from lib.lifting.lifter import load_model
from lib.models.hgn import HGN
from tests.plain.hgn import PlainHGN, randomise
from tests.tiny_weights import save_tiny_weights


def _refusal(path) -> str:
    """The message of the UserError that reading `path` raises: one line that names the file."""
    with pytest.raises(UserError) as raised:
        read(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def _assert_same(a, b):
    """Equality bit for bit, through containers."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.numpy().tobytes() == b.numpy().tobytes()
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            _assert_same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            _assert_same(x, y)
    else:
        assert a == b


# --- this project's format ---


@pytest.fixture
def content(small_hgn):
    optimizer = torch.optim.Adam(small_hgn.parameters(), fused=False)
    sum(p.sum() for p in small_hgn.parameters()).backward()
    optimizer.step()
    return {
        "model_state_dict": dict(small_hgn.state_dict()),
        "optim_state_dict": optimizer.state_dict(),
        "epoch": 3,
        "config": {"DATASET": {"train_list": ["Synthetic"]}, "TRAIN": {"lr": 0.001}},
        "history": [1.5, float("inf"), -0.0, None, True, "Wärme"],
        "random": torch.get_rng_state(),
        "odd": torch.tensor([float("nan"), -0.0, 1e-45]),
        "half": torch.tensor([1.5], dtype=torch.bfloat16).view(torch.int16),
    }


@pytest.fixture
def tiny_file(tmp_path):
    """A small checkpoint: path and bytes."""
    path = tmp_path / "tiny.pth"
    save(path, {"model_state_dict": {"w": torch.arange(3.0)}, "epoch": 1})
    return path, path.read_bytes()


def test_save_then_read_gives_the_same_bits(content, tmp_path):
    save(tmp_path / "a.pth", content)
    result = read(tmp_path / "a.pth")
    assert result.pop("format") == checkpoint.FORMAT
    _assert_same(result, content)


def test_plain_torch_load_opens_it(content, tmp_path):
    save(tmp_path / "a.pth", content)
    result = torch.load(tmp_path / "a.pth", weights_only=True)
    result.pop("format")
    _assert_same(result, content)


def test_the_zip_archive_is_whole_and_ends_in_the_digest_of_all_before_it(tiny_file):
    path, data = tiny_file
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        comment = archive.comment
    assert data.endswith(comment)
    assert len(comment) == len("sha256:") + 64


def test_saving_over_a_file_replaces_it_and_leaves_no_other_file(tmp_path):
    path = tmp_path / "a.pth"
    for epoch in (1, 2):
        save(path, {"model_state_dict": {}, "epoch": epoch})
    assert read(path)["epoch"] == 2
    assert os.listdir(tmp_path) == ["a.pth"]


def test_the_replaced_file_is_kept_where_asked(tmp_path):
    path, previous = tmp_path / "last.pth", tmp_path / "before.pth"
    for epoch in (1, 2, 3):
        save(path, {"model_state_dict": {}, "epoch": epoch}, previous=previous)
    assert (read(path)["epoch"], read(previous)["epoch"]) == (3, 2)
    assert sorted(os.listdir(tmp_path)) == ["before.pth", "last.pth"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("step", ["fsync", "replace 1", "replace 2"])
def test_a_process_killed_while_saving_leaves_the_old_or_the_new_file(tmp_path, monkeypatch, step, keep):
    path = tmp_path / "last.pth"
    previous = tmp_path / "before.pth" if keep else None
    save(path, {"model_state_dict": {}, "epoch": 1}, previous)
    name, _, number = step.partition(" ")
    original, calls = getattr(os, name), []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == int(number or 1):
            raise Killed
        return original(*arguments)

    monkeypatch.setattr(os, name, dies)
    with contextlib.suppress(Killed):
        save(path, {"model_state_dict": {}, "epoch": 2}, previous)
    monkeypatch.undo()
    assert read(path)["epoch"] in (1, 2)


def test_a_full_disk_leaves_the_old_file_and_no_half_one(tmp_path, monkeypatch):
    save(tmp_path / "a.pth", {"model_state_dict": {}, "epoch": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path / "a.pth", {"model_state_dict": {}, "epoch": 2})
    assert os.listdir(tmp_path) == ["a.pth"]
    assert read(tmp_path / "a.pth")["epoch"] == 1


@pytest.mark.parametrize("kept", [0, 1, 2, 4, 21, 22, 64, 65, 100, 0.25, 0.5, 0.75, 0.9, 0.99])
def test_a_file_cut_short_is_recognised(tiny_file, kept):
    path, data = tiny_file
    path.write_bytes(data[: kept if isinstance(kept, int) else int(kept * len(data))])
    _refusal(path)


def test_every_cut_within_the_last_200_bytes_is_recognised(tiny_file):
    path, data = tiny_file
    for missing in range(1, 200):
        path.write_bytes(data[:-missing])
        _refusal(path)


def test_added_bytes_are_recognised(tiny_file):
    path, data = tiny_file
    for addition in (b"\0", b"x" * 100, data):
        path.write_bytes(data + addition)
        _refusal(path)


def test_a_flipped_bit_is_recognised_wherever_it_is(tiny_file):
    path, data = tiny_file
    positions = {*range(0, len(data), 17), *range(200), *range(len(data) - 200, len(data))}
    unnoticed = []
    for position in sorted(positions):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            read(path)
            unnoticed.append(position)
        except UserError:
            pass
    assert unnoticed == []


def test_a_hierarchy_survives_with_everything_but_its_pooling(icosphere, tmp_path):
    scales = build_scales(HUMAN36M_17, icosphere(1), 3)
    save(tmp_path / "a.pth", {"model_state_dict": {}, "scales": scales_to_state(scales)})
    for scale, again in zip(scales, scales_from_state(read(tmp_path / "a.pth")["scales"]), strict=True):
        assert np.array_equal(scale.adjacency, again.adjacency)
        assert again.adjacency.dtype == bool
        assert np.array_equal(scale.real_nodes, again.real_nodes)
        assert again.pooling is None
        assert (scale.faces is None and again.faces is None) or np.array_equal(scale.faces, again.faces)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop(),
        lambda state: state[1].update(adjacency=torch.ones(3, 4, dtype=torch.bool)),
        lambda state: state[1].update(adjacency=torch.ones(6, 6)),
        lambda state: state[1].update(real_nodes=torch.tensor([6])),
        lambda state: state[1].update(real_nodes=torch.tensor([-1])),
        lambda state: state[1].update(real_nodes=torch.tensor([0.5])),
        lambda state: state[1].update(faces=torch.tensor([[0, 1, 5]])),  # there are five real nodes
    ],
)
def test_what_is_no_hierarchy_is_a_value_error(small_scales, damage):
    state = scales_to_state(small_scales)
    damage(state)
    with pytest.raises(ValueError, match="graph"):
        scales_from_state(state)


def test_a_checkpoint_rebuilds_its_network_alone(small_scales, small_hgn, tmp_path):
    save(
        tmp_path / "a.pth",
        {"model_state_dict": small_hgn.state_dict(), "scales": scales_to_state(small_scales), "width": 4},
    )
    stored = read(tmp_path / "a.pth")
    again = HGN(scales_from_state(stored["scales"]), hidden_dim=stored["width"])
    rest = load_weights(again, tmp_path / "a.pth")
    assert rest["width"] == 4
    pose2d = torch.rand(3, 5, 2)
    assert torch.equal(again.eval()(pose2d).pose3d, small_hgn.eval()(pose2d).pose3d)


# --- files that are no checkpoints ---


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x80\x04.",
        b"PK",
        b"\0" * 1000,
        pickle.dumps({"a": 1}),
    ],
)
def test_other_files_are_no_checkpoints(tmp_path, data):
    (tmp_path / "a.pth").write_bytes(data)
    assert "is not a checkpoint" in _refusal(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "other", [{"weights": {}}, [1, 2], torch.zeros(2), {"model_state_dict": [1]}, {"model_state_dict": None}, 5]
)
def test_other_things_saved_by_torch_are_no_checkpoints(tmp_path, other):
    torch.save(other, tmp_path / "a.pth")
    assert "no model_state_dict" in _refusal(tmp_path / "a.pth")


def test_missing_files_folders_and_huge_files_are_one_line(tmp_path, tiny_file, monkeypatch):
    assert "cannot be read" in _refusal(tmp_path / "none.pth")
    assert "cannot be read" in _refusal(tmp_path)
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 10)
    assert "too many" in _refusal(tiny_file[0])


def test_an_archive_that_unpacks_to_far_more_than_it_holds_is_refused(tmp_path):
    path = tmp_path / "bomb.pth"
    torch.save({"model_state_dict": {"w": torch.zeros(100_000)}}, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as plain, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in plain.namelist():
            packed.writestr(entry, plain.read(entry))
    assert "unpacks to more than it holds" in _refusal(path)


# --- files that ask for code to be run ---


class Calls:
    """Pickles as a call of `function` on `arguments`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class WithState:
    """Pickles as an object of a plain class whose state is set by `update`."""

    def __setstate__(self, state):
        state["marker"].touch()


ATTACKS = {
    "os.system": lambda marker: Calls(os.system, f"touch {marker}"),
    "eval": lambda marker: Calls(builtins.eval, f"open({str(marker)!r}, 'w')"),
    "exec": lambda marker: Calls(builtins.exec, f"open({str(marker)!r}, 'w')"),
    "open": lambda marker: Calls(io.open, str(marker), "w"),
    "getattr": lambda marker: Calls(builtins.getattr, Calls(builtins.__import__, "os"), "getcwd"),
    "torch.save": lambda marker: Calls(torch.save, [1], str(marker)),
    "torch.load": lambda marker: Calls(torch.load, str(marker)),
    "numpy.load": lambda marker: Calls(np.load, str(marker)),
    "class of this project": lambda marker: JointSet((), (), (), 0),
    "class of this project's network": lambda marker: torch.nn.Sequential(torch.nn.Linear(1, 1)),
    "state": lambda marker: WithState(),
    "numpy array": lambda marker: np.arange(3),
}
NESTINGS = {
    "as the file": lambda evil: evil,
    "as the weights": lambda evil: {"model_state_dict": evil},
    "as a weight": lambda evil: {"model_state_dict": {"w": evil}},
    "beside the weights": lambda evil: {"model_state_dict": {}, "train_log": [({"x": (1, evil)},)]},
    "in an OrderedDict": lambda evil: {"model_state_dict": collections.OrderedDict(a=evil)},
    "in a Counter": lambda evil: {"model_state_dict": {}, "c": collections.Counter({"a": evil})},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_file_that_asks_for_code_is_not_read_and_nothing_runs(tmp_path, attack):
    marker = tmp_path / "marker"
    for nesting, nested in NESTINGS.items():
        for kind, new_format in (("zip", True), ("legacy", False)):
            path = tmp_path / f"evil {nesting}, {kind}.pth"  # its name is part of what a failure shows
            torch.save(nested(ATTACKS[attack](marker)), path, _use_new_zipfile_serialization=new_format)
            _refusal(path)
            assert not marker.exists(), path.name


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_message_says_that_such_a_file_must_not_be_used(tmp_path, attack):
    torch.save({"model_state_dict": ATTACKS[attack](tmp_path / "marker")}, tmp_path / "evil.pth")
    assert re.search("refused, it contains .* do not use it", _refusal(tmp_path / "evil.pth"))


def test_the_refusal_names_what_was_asked_for(tmp_path):
    torch.save({"model_state_dict": Calls(os.system, "true")}, tmp_path / "evil.pth")
    assert f"it contains {os.system.__module__}.system" in _refusal(tmp_path / "evil.pth")


def test_a_valid_digest_does_not_make_a_pickle_trustworthy(tmp_path):
    marker = tmp_path / "marker"
    save(tmp_path / "evil.pth", {"model_state_dict": {}, "x": ATTACKS["eval"](marker)})
    assert "refused" in _refusal(tmp_path / "evil.pth")
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_plain_pickle_is_not_run(tmp_path):
    marker = tmp_path / "marker"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "evil.pth").write_bytes(pickle.dumps(Calls(os.system, f"touch {marker}"), protocol))
        _refusal(tmp_path / "evil.pth")
    assert not marker.exists()


def test_reading_does_not_widen_what_torch_accepts_afterwards(tiny_file):
    read(tiny_file[0])  # torch itself may add to its list when it first reads
    before = set(torch.serialization.get_safe_globals())
    read(tiny_file[0])
    assert set(torch.serialization.get_safe_globals()) == before
    assert collections.Counter not in before


# --- the released format ---


@pytest.fixture
def released_content(small_scales):
    model = PlainHGN(small_scales, hidden_dim=4)
    randomise(model)
    optimizer = torch.optim.Adam(model.parameters())
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [20, 40, 40], gamma=0.9)
    return {
        "epoch": 7,
        "model_state_dict": model.state_dict(),
        "optim_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": scheduler.state_dict(),
        "train_log": [3.5, 2.25],
        "test_log": {"surface": [], "joint": [np.float32(60.5), np.float64(41.25), np.int64(-3)]},
    }


def _save_as_released(content, path, new_format=True):
    """torch.save as NumPy 1 would have written it: NumPy 2 has renamed the module of its scalars."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=new_format)
    if not new_format:
        path.write_bytes(_numpy_1(buffer.getvalue()))
        return
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.namelist():
            data = source.read(entry)
            target.writestr(entry, _numpy_1(data) if entry.endswith("data.pkl") else data)


def _numpy_1(data: bytes) -> bytes:
    data = data.replace(b"cnumpy._core.multiarray\nscalar\n", b"cnumpy.core.multiarray\nscalar\n")
    assert b"cnumpy.core.multiarray\nscalar\n" in data
    assert b"numpy._core" not in data
    return data


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
def test_a_released_file_gives_its_weights_and_its_log_as_plain_numbers(
    released_content, small_scales, tmp_path, new_format
):
    path = tmp_path / "released.pth.tar"
    _save_as_released(released_content, path, new_format)
    model = HGN(small_scales, hidden_dim=4)
    rest = load_weights(model, path)
    assert rest["epoch"] == 7
    assert rest["test_log"] == {"surface": [], "joint": [60.5, 41.25, -3]}
    assert [type(x) for x in rest["test_log"]["joint"]] == [float, float, int]
    assert rest["scheduler_state_dict"]["milestones"] == {20: 1, 40: 2}
    expected = HGN(small_scales, hidden_dim=4)
    load_state(expected, released_content["model_state_dict"], path)
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name])


def test_a_released_file_with_numpy_2_names_is_read_too(released_content, tmp_path):
    torch.save(released_content, tmp_path / "a.pth.tar")
    assert read(tmp_path / "a.pth.tar")["test_log"]["joint"] == [60.5, 41.25, -3]


@pytest.mark.parametrize(
    "scalar",
    [np.str_("text"), np.complex64(1j), np.datetime64("2020-01-01"), np.bytes_(b"abc")],
    ids=lambda scalar: type(scalar).__name__,
)
def test_numpy_scalars_that_are_no_real_numbers_are_refused(tmp_path, scalar):
    torch.save({"model_state_dict": {}, "x": scalar}, tmp_path / "a.pth")
    _refusal(tmp_path / "a.pth")


def test_big_endian_scalars_keep_their_value(tmp_path):
    content = {"model_state_dict": {}, "x": np.array([1.5], ">f4")[0], "y": Calls(*_scalar(">f8", 2.5))}
    torch.save(content, tmp_path / "a.pth")
    result = read(tmp_path / "a.pth")
    assert (result["x"], result["y"]) == (1.5, 2.5)


def _scalar(dtype, value):
    """The call by which NumPy pickles a scalar."""
    function, (_, _) = np.float64(0).__reduce__()
    return function, np.dtype(dtype), np.array(value, dtype).tobytes()


# --- names and sizes ---


@pytest.mark.parametrize("prefix", ["", "module."])
def test_own_names_load_with_and_without_module(small_scales, small_hgn, prefix):
    model = HGN(small_scales, hidden_dim=4)
    load_state(model, {prefix + k: v for k, v in small_hgn.state_dict().items()}, "a.pth")
    for name, value in small_hgn.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_released_names_cover_the_network_one_to_one(small_scales):
    # Each released value gets a number of its own; all of them must arrive.
    plain = PlainHGN(small_scales, hidden_dim=4)
    state = {name: torch.full_like(v, k) for k, (name, v) in enumerate(plain.state_dict().items())}
    model = HGN(small_scales, hidden_dim=4)
    load_state(model, state, "a.pth")
    arrived = {v.flatten()[0].item() for v in model.state_dict().values()}
    assert arrived == set(range(len(state)))


@pytest.mark.parametrize("lack", ["stages.0.0.res.conv1.gconv.weight", "fusions.3.transfers.2_1.bias"])
def test_a_missing_weight_is_named_and_nothing_is_loaded(small_scales, small_hgn, lack):
    model = HGN(small_scales, hidden_dim=4)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = dict(small_hgn.state_dict())
    del state[lack]
    with pytest.raises(UserError, match=rf"a\.pth: not the weights of this network: it lacks {lack}"):
        load_state(model, state, "a.pth")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_an_unknown_weight_is_named(small_scales, small_hgn):
    state = {**small_hgn.state_dict(), "decoder.weight": torch.zeros(1), "encoder.weight": torch.zeros(1)}
    with pytest.raises(UserError, match=r"unknown decoder\.weight \(and 1 more\)"):
        load_state(HGN(small_scales, hidden_dim=4), state, "a.pth")


@pytest.mark.parametrize("value", [5, None, [1.0], "text"])
def test_a_weight_that_is_no_tensor_is_named(small_scales, small_hgn, value):
    state = {**small_hgn.state_dict(), "input_conv.bn.weight": value}
    with pytest.raises(UserError, match=r"input_conv\.bn\.weight is not a tensor"):
        load_state(HGN(small_scales, hidden_dim=4), state, "a.pth")


def _other_scales() -> list[GraphScale]:
    chain = [np.eye(n, dtype=bool) | np.eye(n, k=1, dtype=bool) for n in (5, 8, 16)]
    return [GraphScale(a, np.arange(len(a))) for a in chain]


@pytest.mark.parametrize("network", [HGN, PlainHGN], ids=["own names", "released names"])
def test_weights_of_another_hierarchy_are_refused_with_both_sizes_in_one_line(small_hgn, network):
    before = {k: v.clone() for k, v in small_hgn.state_dict().items()}
    with pytest.raises(UserError) as raised:
        load_state(small_hgn, network(_other_scales(), hidden_dim=4).state_dict(), "a.pth")
    message = str(raised.value)
    assert message.startswith("a.pth: ")
    assert "they need 5 joints and meshes of 8 and 16 nodes" in message
    assert "has 5 joints and meshes of 6 and 12 nodes" in message
    assert "MODEL.smpl_dir" in message
    assert "MODEL.coarsen_levels" in message
    assert "\n" not in message
    assert all(torch.equal(v, before[k]) for k, v in small_hgn.state_dict().items())


def test_another_width_on_the_same_hierarchy_names_the_weight_and_hidden_dim(small_scales, small_hgn):
    with pytest.raises(UserError, match=r"node counts agree .*MODEL\.hidden_dim") as raised:
        load_state(small_hgn, HGN(small_scales, hidden_dim=6).state_dict(), "a.pth")
    assert "has shape" in str(raised.value)


def test_other_edges_on_the_same_nodes_are_refused(small_scales, small_hgn):
    more = small_scales[1].adjacency.copy()
    more[0] = True
    other = HGN([small_scales[0], GraphScale(more, small_scales[1].real_nodes), small_scales[2]], hidden_dim=4)
    with pytest.raises(UserError, match=r"logits has shape .*so the edges"):
        load_state(small_hgn, other.state_dict(), "a.pth")


def test_a_transposed_weight_is_refused_although_its_size_agrees(small_scales, small_hgn):
    state = dict(small_hgn.state_dict())
    name = "fusions.0.transfers.0_1.weight"
    state[name] = state[name].T
    with pytest.raises(UserError, match="do not fit"):
        load_state(HGN(small_scales, hidden_dim=4), state, "a.pth")


def test_loading_copies_so_that_the_file_s_tensors_stay_apart(small_scales, small_hgn):
    state = {k: v.clone() for k, v in small_hgn.state_dict().items()}
    model = HGN(small_scales, hidden_dim=4)
    load_state(model, state, "a.pth")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(torch.equal(v, state[k]) for k, v in small_hgn.state_dict().items())


def test_shared_weights_predict_like_the_run_s_at_less_than_a_quarter_of_its_size(tmp_path):
    source = save_tiny_weights(tmp_path / "run.pth.tar")
    content = checkpoint.read(source)
    run = {**content, "optim_state_dict": {"exp_avg": torch.ones(100_000)}, "random_state": torch.ones(5000)}
    checkpoint.save(source, run)
    checkpoint.share(source, tmp_path / "shared.pth.tar")
    shared = checkpoint.read(tmp_path / "shared.pth.tar")
    assert not {"optim_state_dict", "random_state"} & set(shared)
    assert shared["config"] == content["config"]
    for name, value in shared["model_state_dict"].items():
        exact = content["model_state_dict"][name]
        assert value.dtype == (exact.dtype if "running" in name or not exact.is_floating_point() else torch.half)
        torch.testing.assert_close(value.to(exact.dtype), exact, rtol=1e-3, atol=1e-6)
    assert (tmp_path / "shared.pth.tar").stat().st_size < source.stat().st_size / 4
    pose2d = torch.rand(3, 17, 2)
    poses = [load_model(path)[0].eval()(pose2d).pose3d for path in (source, tmp_path / "shared.pth.tar")]
    torch.testing.assert_close(*poses, rtol=1e-2, atol=1e-3)


def test_weights_of_the_release_are_not_shared_as_this_project_s(tmp_path):
    torch.save({"epoch": 1, "model_state_dict": {"weight": torch.ones(2)}}, tmp_path / "released.pth.tar")
    with pytest.raises(UserError, match="only checkpoints of this project"):
        checkpoint.share(tmp_path / "released.pth.tar", tmp_path / "out.pth.tar")
    assert not (tmp_path / "out.pth.tar").exists()
