import os

import numpy as np
import pytest

from lib.graph import hierarchy
from lib.graph.hierarchy import cached_scales
from lib.graph.scales import build_scales
from lib.joints import COCO_19, HUMAN36M_17

LEVELS = 3


@pytest.fixture(scope="module")
def faces(icosphere):
    return icosphere(1)


@pytest.fixture
def filled(faces, tmp_path):
    """A cache folder with one hierarchy, and the hierarchy."""
    return tmp_path, cached_scales(HUMAN36M_17, faces, LEVELS, tmp_path)


def _no_building(*_):
    raise AssertionError("built again")


def _assert_equal(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        for name in ("adjacency", "real_nodes", "faces"):
            x, y = getattr(a, name), getattr(b, name)
            assert (x is None) == (y is None), name
            assert x is None or (x.dtype == y.dtype and np.array_equal(x, y)), name
        assert (a.pooling is None) == (b.pooling is None)
        assert a.pooling is None or (a.pooling != b.pooling).nnz == 0
        assert a.pooling is None or a.pooling.shape == b.pooling.shape


def test_first_call_gives_what_build_scales_gives(filled, faces):
    _assert_equal(filled[1], build_scales(HUMAN36M_17, faces, LEVELS))


def test_second_call_reads_the_same_arrays_and_builds_nothing(filled, faces, monkeypatch):
    folder, scales = filled
    monkeypatch.setattr(hierarchy, "build_scales", _no_building)
    _assert_equal(cached_scales(HUMAN36M_17, faces, LEVELS, folder), scales)


def test_the_same_mesh_in_another_integer_type_or_memory_order_is_found(filled, faces, monkeypatch):
    folder, scales = filled
    monkeypatch.setattr(hierarchy, "build_scales", _no_building)
    _assert_equal(cached_scales(HUMAN36M_17, np.asfortranarray(faces.astype(np.uint32)), LEVELS, folder), scales)


def test_only_one_complete_file_is_left(filled):
    assert [p.suffix for p in filled[0].iterdir()] == [".npz"]


def test_each_of_joints_levels_and_faces_has_its_own_file(filled, faces):
    folder, _ = filled
    others = [(COCO_19, faces, LEVELS), (HUMAN36M_17, faces, LEVELS - 1), (HUMAN36M_17, faces[::-1].copy(), LEVELS)]
    for count, arguments in enumerate(others, start=2):
        _assert_equal(cached_scales(*arguments, folder), build_scales(*arguments))
        assert len(list(folder.iterdir())) == count


def test_a_missing_folder_is_made(faces, tmp_path):
    cached_scales(HUMAN36M_17, faces, LEVELS, tmp_path / "new" / "folder")
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_no_error(faces, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    scales = cached_scales(HUMAN36M_17, faces, LEVELS, tmp_path / "file" / "cache")
    _assert_equal(scales, build_scales(HUMAN36M_17, faces, LEVELS))


def _damaged_copies(data: bytes, step: int):
    """Cut files, files that are none, and every step-th of 210 files with one byte changed."""
    for length in (0, 1, 21, 22, 100, len(data) // 2, len(data) - 22, len(data) - 1):
        yield data[:length]
    yield b"\0" * len(data)
    yield b"PK\x05\x06" + b"\0" * 18  # a zip archive without entries
    places = np.random.default_rng(0).integers(0, len(data), 150).tolist() + list(range(60))
    for position in places[::step]:
        yield data[:position] + bytes([data[position] ^ 0x11]) + data[position + 1 :]


@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_a_damaged_file_is_built_anew_or_read_right_never_an_error(filled, faces, monkeypatch, step):
    folder, scales = filled
    (path,) = folder.iterdir()
    monkeypatch.setattr(hierarchy, "build_scales", lambda *_: scales)
    complaints = set()
    for damaged in list(_damaged_copies(path.read_bytes(), step)):
        path.write_bytes(damaged)
        try:
            _assert_equal(cached_scales(HUMAN36M_17, faces, LEVELS, folder), scales)
        except Exception as error:
            complaints.add(f"{type(error).__name__}: {error}")
    assert not complaints


def test_a_damaged_file_is_replaced(filled, faces, monkeypatch):
    folder, scales = filled
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    cached_scales(HUMAN36M_17, faces, LEVELS, folder)
    monkeypatch.setattr(hierarchy, "build_scales", _no_building)
    _assert_equal(cached_scales(HUMAN36M_17, faces, LEVELS, folder), scales)


def test_two_processes_that_fill_the_cache_do_not_share_a_temporary_file(faces, tmp_path, monkeypatch):
    names = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (names.append(str(a)), replace(a, b)))
    for process in (1, 2):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        cached_scales(HUMAN36M_17, faces, LEVELS, tmp_path / str(process))
    assert names[0].rsplit("/", 1)[1] != names[1].rsplit("/", 1)[1]
