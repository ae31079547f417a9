import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from lib.config import Config, DatasetConfig, RunConfig, config_from_dict
from lib.errors import UserError
from lib.run_dir import FOLDERS, create_run_dir, find_last_run, newest_runs

NOON = datetime(2024, 3, 9, 12, 5, 6)


def config(parent, time_zone="UTC+9", **train) -> Config:
    cfg = Config(DatasetConfig(("Human36M",), ("Human36M",)), RUN=RunConfig(str(parent), time_zone))
    return replace(cfg, TRAIN=replace(cfg.TRAIN, **train))


def test_a_run_folder_is_named_after_the_time_and_holds_its_parts_and_the_configuration(tmp_path):
    cfg = config(tmp_path / "a" / "b", lr=2e-5)
    run = create_run_dir(cfg, NOON)
    assert run.root == tmp_path / "a" / "b" / "exp_2024-03-09_12-05-06"
    assert [run.checkpoint, run.graph, run.vis, run.result] == [run.root / name for name in FOLDERS]
    assert all((run.root / name).is_dir() for name in FOLDERS)
    assert config_from_dict(yaml.safe_load((run.root / "config.yml").read_text()), "x") == cfg


def test_runs_started_in_one_second_get_folders_of_their_own(tmp_path):
    runs = [create_run_dir(config(tmp_path), NOON) for _ in range(3)]
    (runs[0].checkpoint / "best.pth.tar").write_text("mine")
    assert [r.root.name for r in runs] == [f"exp_2024-03-09_12-05-06{n}" for n in ("", "_2", "_3")]
    assert (create_run_dir(config(tmp_path), NOON).root.name, len(list(tmp_path.iterdir()))) == (
        "exp_2024-03-09_12-05-06_4",
        4,
    )
    assert (runs[0].checkpoint / "best.pth.tar").read_text() == "mine"


def test_names_work_on_every_file_system(tmp_path):
    name = create_run_dir(config(tmp_path)).root.name
    assert re.fullmatch(r"exp_[0-9_-]+", name)


def test_the_experiment_folder_may_be_a_soft_link(tmp_path):
    (tmp_path / "large disk").mkdir()
    (tmp_path / "experiment").symlink_to(tmp_path / "large disk", target_is_directory=True)
    run = create_run_dir(config(tmp_path / "experiment"), NOON)
    assert (tmp_path / "large disk" / run.root.name / "config.yml").is_file()
    assert (tmp_path / "experiment").is_symlink()
    (run.checkpoint / "last.pth.tar").touch()
    assert find_last_run(config(tmp_path / "experiment")) == run


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("UTC+9", 9), ("UTC", 0), ("UTC-5:30", -5.5), ("UTC+0530", 5.5), ("UTC+14", 14), ("Asia/Seoul", 9)],
)
def test_the_time_is_that_of_the_zone_asked_for(tmp_path, zone, hours):
    before = datetime.now(timezone(timedelta(hours=hours))).replace(tzinfo=None, microsecond=0)
    named = datetime.strptime(create_run_dir(config(tmp_path, zone)).root.name, "exp_%Y-%m-%d_%H-%M-%S")
    assert before <= named <= before + timedelta(minutes=1)


def test_local_time_is_the_machine_s(tmp_path):
    before = datetime.now().replace(microsecond=0)
    named = datetime.strptime(create_run_dir(config(tmp_path, "local")).root.name, "exp_%Y-%m-%d_%H-%M-%S")
    assert before <= named <= before + timedelta(minutes=1)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "UTC+25", "UTC+9:99", "../../etc/passwd", "America", "UTC+9\0"])
def test_an_unknown_zone_is_one_line_and_makes_no_folder(tmp_path, zone):
    with pytest.raises(UserError, match=r"RUN\.time_zone"):
        create_run_dir(config(tmp_path / "x", zone))
    assert not (tmp_path / "x").exists()


def test_a_place_where_no_folder_can_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for place in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "dangling"):
        with pytest.raises(UserError, match=r"no run folder can be made here .* set RUN\.experiment_dir"):
            create_run_dir(config(place), NOON)


def finished(cfg, name: str, age: int, file="last.pth.tar"):
    """A run whose checkpoint was written `age` seconds before noon."""
    run = create_run_dir(cfg, NOON)
    path = run.checkpoint / file
    path.write_text(name)
    stamp = NOON.timestamp() - age
    os.utime(path, (stamp, stamp))
    return run


def test_the_run_to_resume_is_the_newest_of_the_same_configuration_that_has_a_checkpoint(tmp_path):
    cfg = config(tmp_path)
    finished(cfg, "oldest", age=30)
    wanted = finished(cfg, "newer", age=20)
    finished(config(tmp_path, lr=0.5), "another configuration", age=10)
    create_run_dir(cfg, NOON)  # no checkpoint yet
    assert find_last_run(cfg) == wanted


def test_a_run_killed_between_two_renames_is_found_by_the_checkpoint_it_still_has(tmp_path):
    finished(config(tmp_path), "old", age=30)
    wanted = finished(config(tmp_path), "killed", age=20, file="previous.pth.tar")
    assert find_last_run(config(tmp_path)) == wanted


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe\xff", b"[" * 5000, b"a: [", b"2024-99-99"])
def test_a_damaged_configuration_beside_a_run_only_hides_that_run(tmp_path, damage):
    wanted = finished(config(tmp_path), "good", age=20)
    (finished(config(tmp_path), "damaged", age=10).root / "config.yml").write_bytes(damage)
    assert find_last_run(config(tmp_path)) == wanted


def test_no_run_to_resume_is_one_line_that_counts_the_others(tmp_path):
    with pytest.raises(UserError, match="of 0 runs"):
        find_last_run(config(tmp_path / "none"))
    finished(config(tmp_path, lr=0.5), "other", age=0)
    with pytest.raises(UserError, match=r"no run of this configuration .*of 1 runs.*--resume_training PATH"):
        find_last_run(config(tmp_path))


def test_newest_runs_go_by_their_newest_checkpoint(tmp_path):
    a, b = finished(config(tmp_path), "a", age=30), finished(config(tmp_path), "b", age=20)
    assert newest_runs(tmp_path) == [b, a]
    (a.checkpoint / "best.pth.tar").touch()
    assert newest_runs(tmp_path) == [a, b]


def test_the_log_has_a_line_per_epoch_and_is_replaced_whole(tmp_path):
    run = create_run_dir(config(tmp_path), NOON)
    run.write_log([{"epoch": 0, "loss": 1.5}, {"epoch": 1, "loss": 1.0}])
    run.write_log([{"epoch": 0, "loss": 1.5}])
    assert [json.loads(line) for line in (run.root / "log.jsonl").read_text().splitlines()] == [
        {"epoch": 0, "loss": 1.5}
    ]
    assert sorted(p.name for p in run.root.iterdir()) == sorted([*FOLDERS, "config.yml", "log.jsonl"])


def test_one_process_at_a_time_works_on_a_run_and_the_lock_ends_with_it(tmp_path):
    run = create_run_dir(config(tmp_path))
    program = "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from lib.run_dir import RunDir\n"
    program += "with RunDir(Path(sys.argv[2])).locked(): print('locked', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(Path(__file__).parents[2]), str(run.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        expected = f"{re.escape(str(run.root))}: another process is working on this run"
        with pytest.raises(UserError, match=expected), run.locked():
            pass
        other.kill()
    with run.locked():
        pass


def test_the_configuration_of_an_older_run_that_lacks_a_new_key_is_still_the_same(tmp_path):
    cfg = config(tmp_path)
    run = create_run_dir(cfg)
    (run.checkpoint / "last.pth.tar").touch()
    tree = yaml.safe_load((run.root / "config.yml").read_text())
    del tree["TRAIN"]["average_weights"]
    (run.root / "config.yml").write_text(yaml.safe_dump(tree))
    assert find_last_run(cfg) == run


def test_a_log_that_cannot_be_written_leaves_the_old_one_and_no_other_file(tmp_path):
    run = create_run_dir(config(tmp_path))
    run.write_log([{"epoch": 0}])
    with pytest.raises(TypeError):
        run.write_log([{"epoch": 0}, {"epoch": object()}])
    assert (run.root / "log.jsonl").read_text() == '{"epoch": 0}\n'
    assert sorted(p.name for p in run.root.iterdir() if p.is_file()) == ["config.yml", "log.jsonl"]
