import os

import pytest

from lib.files import remove_leftovers, replacing


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


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    path, previous = tmp_path / "last.pth.tar", tmp_path / "previous.pth.tar"
    for text in ("one", "two"):
        with replacing(path, previous) as temporary:
            temporary.write_text(text)
    with replacing(path, previous) as temporary:
        temporary.write_text("three")
        killed = temporary.rename(temporary.with_name(temporary.name.replace(str(os.getpid()), "999999999")))
        temporary.write_text("three")
    assert killed.exists()
    (tmp_path / f".{previous.name}.999999999.tmp").touch()  # a link made for `previous`
    remove_leftovers(tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {path.name: "three", previous.name: "two"}
