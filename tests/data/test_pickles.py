"""Reading published pickles: what sound files hold comes out, and no file makes anything run."""

import io
import os
import pickle
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data.pickles import npz_keys, read_npz, read_pickle
from lib.errors import UserError
from tests.smplpytorch.test_serialization import Python2Pickler

RNG = np.random.default_rng(0)
TREE = {
    "S1": {"Walking": RNG.normal(size=(5, 3)).astype(np.float32), "Sitting 1": [RNG.normal(size=(2, 2)), np.arange(4)]},
    "meta": {"name": "h36m", "pairs": [[1, 2], [3, 4]], "count": np.float64(2.5), "flag": np.bool_(True), "none": None},
    "fortran": np.asfortranarray(RNG.normal(size=(3, 4))),
    "big-endian": np.arange(5, dtype=">i4"),
    "texts": np.array(["a", "bcd"]),
    "bytes": np.array([b"male"]),
    "empty": np.zeros((0, 3)),
}


def assert_same(got: object, want: object) -> None:
    if isinstance(want, np.ndarray):
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype.newbyteorder("=")
    elif isinstance(want, dict):
        assert list(got) == list(want)
        for key in want:
            assert_same(got[key], want[key])
    elif isinstance(want, list):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            assert_same(a, b)
    else:
        assert got == want


def boxed(value: object) -> np.ndarray:
    array = np.empty((), object)
    array[()] = value
    return array


def write_npz(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, content in members.items():
            archive.writestr(f"{key}.npy", content)
    return path


def npy(payload: bytes, descr: str = "|O", shape: tuple = ()) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + payload


# ---- sound files


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("package", [b"numpy._core", b"numpy.core"])
def test_objects_of_any_protocol_and_numpy_are_read(tmp_path, protocol, package):
    content = pickle.dumps(boxed(TREE), protocol)
    if protocol < 4:  # later ones state the length of the name
        content = content.replace(b"numpy._core", package)
    path = write_npz(tmp_path / "a.npz", key=npy(content))
    assert_same(read_npz(path, ["key"])["key"], TREE)


def test_what_numpy_itself_writes_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", tree=np.array(TREE, object), numbers=np.eye(3), words=np.array(["x"]))
    got = read_npz(tmp_path / "a.npz", ["numbers", "tree", "words"])
    assert_same(got, {"numbers": np.eye(3), "tree": TREE, "words": np.array(["x"])})
    assert npz_keys(tmp_path / "a.npz") == ["tree", "numbers", "words"]


def test_an_array_of_objects_becomes_the_list_of_them(tmp_path):
    array = np.empty(2, object)
    array[:] = [np.arange(3), {"a": 1}]
    np.savez(tmp_path / "a.npz", key=array)
    assert_same(read_npz(tmp_path / "a.npz", ["key"])["key"], [np.arange(3), {"a": 1}])


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_python_2_pickles_are_read_as_latin1(tmp_path, protocol):
    fields = {
        "sequence": "downtown",
        "genders": ["m"],
        "poses": [RNG.normal(size=(4, 72))],
        "valid": np.array([True, False]),
    }
    with open(tmp_path / "a.pkl", "wb") as file:
        Python2Pickler(file, protocol).dump(fields)
    content = (tmp_path / "a.pkl").read_bytes().replace(b"numpy._core.multiarray\n", b"numpy.core.multiarray\n")
    (tmp_path / "a.pkl").write_bytes(content)
    assert_same(read_pickle(tmp_path / "a.pkl"), fields)


# ---- files that would run something


class Calls:
    """Pickles to a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


PAYLOADS = {
    "os.system": pickle.dumps(Calls(os.system, "touch PWNED"), 2),
    "eval": pickle.dumps(Calls(eval, "1"), 2),
    "Python 2's eval": b"c__builtin__\neval\n(S'1'\ntR.",
    "below numpy": b"cnumpy.testing._private.utils\nrunstring\n(S'1'\n}tR.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x18testing._private.utils.os\x93.",
    "another codec": b"c_codecs\nencode\n(V1\nVrot13\ntR.",
    "a function's attributes": b"c_codecs\nencode\n}S'__defaults__'\nNsb.",
    "numpy.load": pickle.dumps(Calls(np.load, "x"), 2),
    "a persistent object": b"Pname\n.",
}


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "wrap", [lambda p: p, lambda p: b"}S'a'\n" + p.removesuffix(b".").removeprefix(b"\x80\x02") + b"s."]
)
def test_code_in_a_file_is_refused_in_one_line_and_does_not_run(tmp_path, monkeypatch, payload, wrap):
    monkeypatch.chdir(tmp_path)
    content = wrap(PAYLOADS[payload])
    (tmp_path / "a.pkl").write_bytes(content)
    write_npz(tmp_path / "a.npz", key=npy(content))
    for read in (lambda: read_pickle(tmp_path / "a.pkl"), lambda: read_npz(tmp_path / "a.npz", ["key"])):
        with pytest.raises(UserError, match=r"a\.(pkl|npz): ") as refused:
            read()
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "PWNED").exists()


def test_a_key_that_nobody_asks_for_is_never_opened(tmp_path):
    np.savez(tmp_path / "a.npz", good=np.eye(2), bad=np.array(Calls(os.system, "touch PWNED"), object))
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", ["good"])["good"], np.eye(2))


# ---- files that promise too much, or too little


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(b"\0" * 64, "<f4", (1 << 40, 32, 3)), "the header promises 1099511627776 x 32 x 3 numbers of float32"),
        (npy(b"\0" * 64, "<f4", (3,)), "the file holds 64 bytes"),
        (npy(b"", "|V0", (1 << 40,)), "the header promises"),
        (b"\x93NUMPY\x01\x00", "cannot be read"),
        (b"text", "cannot be read"),
        (npy(b""), "is not a complete pickle"),
        (npy(pickle.dumps(boxed({}), 2)[:-4]), "is not a complete pickle"),
        (npy(b"\x80\x04]\x94h\x00a."), None),  # a list that holds itself
        (npy(pickle.dumps(np.zeros(3, "M8[s]"), 2)), "array of type M8"),
        (npy(pickle.dumps({1.5: 2}, 2)), "unexpected keys"),
    ],
)
def test_damaged_arrays_are_one_line(tmp_path, content, words):
    path = write_npz(tmp_path / "a.npz", key=content)
    with pytest.raises(UserError, match=words) as refused:
        read_npz(path, ["key"])
    assert str(refused.value).startswith(f"{path}: key: ")
    assert "\n" not in str(refused.value)


def test_an_array_in_a_pickle_that_promises_more_than_it_holds_is_refused(tmp_path):
    whole = pickle.dumps(np.zeros((3, 2)), 2)
    (tmp_path / "a.pkl").write_bytes(whole.replace(b"K\x03K\x02\x86", b"J\xff\xff\xff\x7fK\x02\x86"))
    with pytest.raises(UserError, match="cannot reshape"):
        read_pickle(tmp_path / "a.pkl")


def test_a_tree_that_refers_to_itself_over_and_over_is_read_once(tmp_path):
    tree = [np.arange(2)]
    for _ in range(60):  # 2 to the 60 lists if each were converted whenever it is met
        tree = [tree, tree]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(tree, 2))
    start = time.monotonic()
    got = read_pickle(tmp_path / "a.pkl")
    assert time.monotonic() - start < 10
    assert got[0] is got[1]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_what_is_no_npz_is_one_line(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.npz: is not a complete \.npz file"):
        read_npz(tmp_path / "a.npz", ["key"])


def test_a_missing_file_and_a_missing_key_are_named(tmp_path):
    with pytest.raises(UserError, match=r"a\.npz is missing"):
        read_npz(tmp_path / "a.npz", ["key"])
    np.savez(tmp_path / "a.npz", other=np.eye(2))
    with pytest.raises(UserError, match=r"a\.npz: has no key and no more \(it holds other\)"):
        read_npz(tmp_path / "a.npz", ["key", "other", "more"])
    with pytest.raises(UserError, match="cannot be read"):
        read_pickle(tmp_path / "a.pkl")
