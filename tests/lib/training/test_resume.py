import os

import pytest

from lib import checkpoint
from lib.config import Config, DatasetConfig, RunConfig
from lib.errors import UserError
from lib.run_dir import create_run_dir
from lib.training.resume import CHAIN, resumed_run


@pytest.fixture
def cfg(tmp_path):
    return Config(DatasetConfig(("Human36M",), ("Human36M",)), RUN=RunConfig(str(tmp_path / "experiment")))


@pytest.fixture
def run(cfg):
    """A run with all checkpoints of the chain; "epoch" says which is which."""
    run = create_run_dir(cfg)
    for number, name in enumerate(CHAIN):
        checkpoint.save(run.checkpoint / name, {"model_state_dict": {}, "epoch": number})
    return run


def cut(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def found(cfg, path=""):
    lines = []
    with resumed_run(cfg, str(path), log=lines.append) as (run, file, content):
        pass
    return run, file.name, content["epoch"], lines


def test_the_last_checkpoint_of_the_newest_run_goes_on(cfg, run):
    assert found(cfg) == (run, "last.pth.tar", 0, [])


def test_a_run_folder_and_a_checkpoint_in_one_can_be_named(cfg, run):
    assert found(cfg, run.root) == (run, "last.pth.tar", 0, [])
    assert found(cfg, run.checkpoint / "best.pth.tar") == (run, "best.pth.tar", 2, [])


@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_after_a_checkpoint_that_was_cut_short_the_one_before_is_used_with_one_line(cfg, run, share):
    cut(run.checkpoint / "last.pth.tar", share)
    assert found(cfg)[:3] == (run, "previous.pth.tar", 1)
    (line,) = found(cfg)[3]
    assert line.startswith(str(run.checkpoint / "last.pth.tar"))
    assert line.endswith("trying the one before it")
    assert "\n" not in line


def test_an_altered_checkpoint_is_passed_over_too(cfg, run):
    path = run.checkpoint / "last.pth.tar"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    _, name, _, (line,) = found(cfg)
    assert name == "previous.pth.tar"
    assert "digest does not match" in line


def test_with_both_damaged_the_best_is_used(cfg, run):
    cut(run.checkpoint / "last.pth.tar")
    cut(run.checkpoint / "previous.pth.tar")
    _, name, epoch, lines = found(cfg)
    assert (name, epoch, len(lines)) == ("best.pth.tar", 2, 2)


def test_a_run_killed_between_two_renames_has_no_last_and_goes_on_from_the_one_before(cfg, run):
    os.remove(run.checkpoint / "last.pth.tar")
    assert found(cfg) == (run, "previous.pth.tar", 1, [])


def test_nothing_usable_is_one_line(cfg, run, tmp_path):
    for name in CHAIN:
        cut(run.checkpoint / name)
    for place in (run.root, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="no run with a usable checkpoint") as raised:
            found(cfg, place)
        assert str(raised.value).startswith(str(place))


def test_a_damaged_checkpoint_that_was_named_is_an_error_not_a_choice(cfg, run):
    cut(run.checkpoint / "best.pth.tar")
    with pytest.raises(UserError, match=r"best\.pth\.tar"):
        found(cfg, run.checkpoint / "best.pth.tar")


def test_a_checkpoint_outside_a_run_folder_cannot_go_on(cfg, tmp_path):
    checkpoint.save(tmp_path / "final.pth.tar", {"model_state_dict": {}})
    with pytest.raises(UserError, match=r"is in no run folder.*TRAIN\.weight_path="):
        found(cfg, tmp_path / "final.pth.tar")


def test_no_run_of_this_configuration_is_one_line(cfg):
    with pytest.raises(UserError, match="no run of this configuration to resume"):
        found(cfg)
