import argparse
import errno
import io

import pytest
import torch

from lib.cli import add_common_arguments, config_of, notice, run_command
from lib.device import choose_devices, data_parallel
from lib.distributed import Group
from lib.errors import Stopped, UserError


def outcome(monkeypatch, error, *arguments):
    """Exit code of a command that raises `error`."""
    monkeypatch.setattr("sys.argv", ["command.py", *arguments])

    def main():
        raise error

    with pytest.raises(SystemExit) as exit:
        run_command(main)
    return exit.value.code


def test_what_the_user_can_mend_is_one_line_on_stderr_and_exit_code_2(monkeypatch, capfd):
    assert outcome(monkeypatch, UserError("my.yml: mend it")) == 2
    assert capfd.readouterr() == ("", "error: my.yml: mend it\n")


def test_traceback_shows_where_a_user_s_error_was_raised(monkeypatch):
    with pytest.raises(UserError):
        outcome(monkeypatch, UserError("x"), "--traceback")


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyError("x"), PermissionError(errno.EACCES, "x")])
def test_anything_else_is_a_bug_and_shows_all(monkeypatch, error):
    with pytest.raises(type(error)):
        outcome(monkeypatch, error)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO])
def test_a_full_or_failing_disk_is_the_user_s_to_mend_wherever_it_shows(monkeypatch, capfd, number):
    assert outcome(monkeypatch, OSError(number, "what is wrong", "out.npz")) == 2
    assert outcome(monkeypatch, OSError(number, "what is wrong")) == 2
    first, second = capfd.readouterr().err.splitlines()
    assert first.startswith("error: out.npz: cannot be written (what is wrong)")
    assert second.startswith("error: a file: cannot be written (what is wrong)")


def test_stopping_and_interrupting_have_the_exit_codes_of_their_signals(monkeypatch, capfd):
    assert outcome(monkeypatch, Stopped(143)) == 143
    assert outcome(monkeypatch, KeyboardInterrupt()) == 130
    assert capfd.readouterr().err == "interrupted\n"


def test_a_reader_who_left_gets_no_traceback(monkeypatch, capfd):
    assert outcome(monkeypatch, BrokenPipeError()) == 1
    assert capfd.readouterr().err == ""


def test_a_command_that_returns_ends_normally(monkeypatch):
    monkeypatch.setattr("sys.argv", ["command.py"])
    assert run_command(lambda: None) is None


def parse(*arguments):
    parser = argparse.ArgumentParser()
    add_common_arguments(parser)
    return parser.parse_args(arguments)


def test_set_overrides_the_file_and_may_be_repeated(tmp_path):
    path = tmp_path / "my.yml"
    path.write_text("DATASET: {train_list: [Human36M], test_list: [Human36M]}\nTRAIN: {lr: 0.5}\n")
    cfg = config_of(parse("--cfg", str(path), "--set", "TRAIN.lr=0.25", "--set", "AUG.flip=true"))
    assert cfg.TRAIN.lr == 0.25
    assert cfg.AUG.flip is True
    assert cfg.DATASET.train_list == ("Human36M",)


def test_a_configuration_must_be_named(capsys):
    with pytest.raises(SystemExit) as exit:
        parse()
    assert exit.value.code == 2
    assert "--cfg" in capsys.readouterr().err


def test_every_flag_has_help_that_teaches(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = capsys.readouterr().out
    for words in ("asset/yaml", "0,1", "TRAIN.batch_size=32", "where in the code"):
        assert words in text


@pytest.fixture
def gpus(monkeypatch):
    """Pretend that this machine has so many CUDA devices."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


def test_without_cuda_the_cpu_does_it_and_one_line_says_so_when_gpus_were_asked_for(gpus, capfd):
    gpus(0)
    assert choose_devices(None) == [torch.device("cpu")]
    assert capfd.readouterr().err == ""
    assert choose_devices("0,1") == [torch.device("cpu")]
    assert capfd.readouterr().err == "--gpu 0,1: no CUDA device here, running on the CPU\n"


def test_the_gpus_asked_for_are_used_in_their_order(gpus):
    gpus(3)
    assert choose_devices("2,0") == [torch.device("cuda", 2), torch.device("cuda", 0)]
    assert choose_devices(None) == [torch.device("cuda", 0)]


@pytest.mark.parametrize("count", [0, 3])
def test_the_cpu_can_be_asked_for_with_and_without_gpus(gpus, capfd, count):
    gpus(count)
    assert choose_devices("cpu") == [torch.device("cpu")]
    assert choose_devices("cpu", Group(rank=1, size=2, local_rank=1)) == [torch.device("cpu")]
    assert capfd.readouterr() == ("", "")


def test_gpus_that_are_not_there_are_one_line(gpus):
    gpus(3)
    with pytest.raises(UserError, match=r"^--gpu 3: this machine has the devices 0 to 2$"):
        choose_devices("3")


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("gpu", ["", "x", "-1", "0,0", "0;1", "0,", "1.5", "cpu,0", "CPU"])
def test_what_names_no_devices_is_refused_in_one_line_with_and_without_gpus(gpus, gpu, count):
    gpus(count)
    with pytest.raises(UserError, match=rf"^--gpu '{gpu}': write numbers of CUDA devices.*; or cpu$"):
        choose_devices(gpu)


def test_several_gpus_share_each_batch_and_one_device_runs_the_network_itself(monkeypatch):
    network = torch.nn.Linear(2, 2)
    assert data_parallel(network, [torch.device("cpu")]) is network
    monkeypatch.setattr(torch.nn, "DataParallel", lambda module, devices: (module, devices))
    assert data_parallel(network, [torch.device("cuda", 2), torch.device("cuda", 0)]) == (network, [2, 0])


def test_notices_go_to_stderr(capfd):
    notice("by the way")
    assert capfd.readouterr() == ("", "by the way\n")


def test_a_terminal_that_cannot_show_a_name_is_no_error(monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", shown)
    run_command(lambda: print("ü\udcff"))
    shown.flush()
    assert shown.buffer.getvalue() == b"\\xfc\\udcff\n"
