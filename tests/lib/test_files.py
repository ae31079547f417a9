import os
import time

import pytest

from lib.files import ABANDONED_SECONDS, remove_leftovers, replacing


def test_block_that_succeeds_replaces_the_file_and_makes_folders(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with replacing(path) as temporary:
            assert temporary.suffix == ".txt"
            assert temporary.parent == path.parent
            temporary.write_text(text)
        assert path.read_text() == text
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(TypeError), replacing(path) as temporary, open(temporary, "w") as file:
        file.writelines(["half", None])
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_leftovers_of_a_killed_process_are_removed_when_they_are_old_and_nothing_else(tmp_path):
    path, previous = tmp_path / "last.pth.tar", tmp_path / "previous.pth.tar"
    for text in ("one", "two", "three"):
        with replacing(path, previous) as temporary:
            temporary.write_text(text)
    young = tmp_path / temporary.name
    left = [tmp_path / f".last.pth.{os.getpid()}0.tmp.tar", tmp_path / f".{previous.name}.{os.getpid()}0.tmp"]
    for file in (young, *left):
        file.touch()
    for file in (*left, path, previous):
        os.utime(file, (1, time.time() - 2 * ABANDONED_SECONDS))
    (tmp_path / ".folder.tmp").mkdir()
    (tmp_path / ".folder.tmp" / "names.npy").touch()
    os.utime(tmp_path / ".folder.tmp", (1, 1))
    (tmp_path / ".gone.tmp").symlink_to("nowhere")  # something that cannot be looked at stops nobody
    remove_leftovers(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {path.name, previous.name, young.name, ".gone.tmp"}
