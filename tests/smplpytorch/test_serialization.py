import contextlib
import importlib.util
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from lib.errors import UserError
from smplpytorch.smplpytorch.native.serialization import find_model_file, load_model

V, K = 12, 5  # vertices and joints of the models written here
PARENTS = [-1, 0, 0, 1, 3]


def model_arrays() -> dict[str, np.ndarray]:
    """The plain arrays of a small model, under the names of an SMPL file; 12 shape directions, of which 10 are read."""
    rng = np.random.default_rng(0)
    regressor = rng.uniform(size=(K, V)) * (rng.uniform(size=(K, V)) < 0.4)
    regressor[2] = 0  # a row without entries
    return {
        "v_template": rng.normal(size=(V, 3)),
        "shapedirs": rng.normal(size=(V, 3, 12)),
        "posedirs": rng.normal(size=(V, 3, 9 * (K - 1))),
        "J_regressor": regressor,
        "weights": rng.uniform(size=(V, K)),
        "f": rng.integers(0, V, (20, 3)).astype(np.uint32),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(K)], np.uint32),
    }


def published_fields() -> dict:
    """The arrays as the published files hold them, with the further entries that nobody reads, but without chumpy."""
    arrays = model_arrays()
    return arrays | {
        "J_regressor": sp.csc_matrix(arrays["J_regressor"]),
        "J_regressor_prior": sp.csc_matrix(arrays["J_regressor"]),
        "posedirs": np.asfortranarray(arrays["posedirs"]),
        "J": arrays["v_template"][:K],
        "weights_prior": arrays["weights"],
        "vert_sym_idxs": np.arange(V),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
        "pose_training_info": {"gender": "neutral", "count": 3},
    }


def assert_same_model(path: Path) -> None:
    """The file at `path` reads as `model_arrays`."""
    want, model = model_arrays(), load_model(path)
    names = {"v_template": "v_template", "posedirs": "posedirs", "J_regressor": "J_regressor", "lbs_weights": "weights"}
    for ours, published in names.items():
        value = getattr(model, ours)
        assert value.dtype == np.float64
        np.testing.assert_array_equal(value, want[published])
    np.testing.assert_array_equal(model.shapedirs, want["shapedirs"][..., :10])
    np.testing.assert_array_equal(model.faces, want["f"])
    assert model.faces.dtype == np.int64
    assert model.parents.tolist() == PARENTS
    assert model.source == str(path)


class Python2Pickler(pickle._Pickler):
    """Writes texts and bytes as Python 2 wrote its str."""

    def save_py2_str(self, value):
        data = value if isinstance(value, bytes) else value.encode("latin1")
        if self.bin:
            self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        else:
            self.write(pickle.STRING + repr(data)[1:].encode() + b"\n")
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {bytes: save_py2_str, str: save_py2_str}


def write_python2(path: Path, fields: dict, protocol: int) -> None:
    """A pickle such as Python 2, NumPy 1 and the scipy of their time write."""
    with open(path, "wb") as file:
        Python2Pickler(file, protocol).dump(fields)
    content = path.read_bytes()
    for now, then in (
        (b"numpy._core.multiarray\n", b"numpy.core.multiarray\n"),
        (b"scipy.sparse._csc\n", b"scipy.sparse.csc\n"),
    ):
        content = content.replace(now, then)
    path.write_bytes(content)


@pytest.fixture
def chumpy_stub(monkeypatch):
    """Modules named like chumpy's with classes that hold what the real ones store; gone after the test."""

    class Ch:
        def __init__(self, **state):
            self.__dict__.update(_dirty_vars=set(), _itr=None, _make_dense=False, _status="new", _depends_on_deps={})
            self.__dict__.update(state)

    class Select(Ch):
        pass

    for name, cls in (("chumpy.ch", Ch), ("chumpy.reordering", Select)):
        module = types.ModuleType(name)
        cls.__module__, cls.__qualname__ = name, cls.__name__
        setattr(module, cls.__name__, cls)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    return Ch, Select


# ---- what must be readable


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_reads_files_as_python_2_and_chumpy_wrote_them(tmp_path, monkeypatch, chumpy_stub, protocol):
    Ch, Select = chumpy_stub
    arrays, path = model_arrays(), tmp_path / "model.pkl"
    # As chumpy cuts the first shape directions out of more of them: indices into the flattened array, and the shape.
    stored = np.concatenate([arrays["shapedirs"], np.zeros((V, 3, 4))], axis=2)
    chosen = np.arange(stored.size).reshape(stored.shape)[..., :12].ravel()
    fields = published_fields() | {
        "v_template": Ch(x=arrays["v_template"]),
        "shapedirs": Select(a=Ch(x=stored), idxs=chosen, preferred_shape=(V, 3, 12)),
        "posedirs": Ch(x=np.asfortranarray(arrays["posedirs"])),
        "weights": Ch(x=arrays["weights"]),
    }
    write_python2(path, fields, protocol)
    content = path.read_bytes()
    assert b"chumpy.ch\nCh\n" in content
    assert b"numpy.core.multiarray\n" in content
    monkeypatch.delitem(sys.modules, "chumpy.ch")
    monkeypatch.delitem(sys.modules, "chumpy.reordering")
    assert_same_model(path)
    assert "chumpy.ch" not in sys.modules


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_reads_plain_arrays_that_todays_python_wrote(tmp_path, protocol):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(published_fields(), protocol))
    assert_same_model(path)


def test_an_empty_array_beside_the_model_does_no_harm(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(published_fields() | {"landmarks": np.zeros(0)}, 2))
    assert_same_model(path)


def test_reads_big_endian_single_precision_and_integer_arrays(tmp_path):
    arrays = model_arrays()
    exact = {
        "v_template": np.round(arrays["v_template"] * 8) / 8,
        "weights": (arrays["weights"] > 0.5).astype(np.int16),
    }
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(arrays | exact | {"v_template": exact["v_template"].astype(">f4")}, 2))
    model = load_model(path)
    np.testing.assert_array_equal(model.v_template, exact["v_template"])
    np.testing.assert_array_equal(model.lbs_weights, exact["weights"])


CHUMPY_WRITER = """
import inspect, pickle, sys
import numpy as np
# What chumpy 0.70 uses and current versions of Python and NumPy no longer have.
aliases = dict(bool=bool, int=int, float=float, complex=complex, object=object, str=str, unicode=str)
for name, value in dict(aliases, nan=np.nan, inf=np.inf).items():
    if name not in vars(np):
        setattr(np, name, value)
if not hasattr(inspect, "getargspec"):
    inspect.getargspec = inspect.getfullargspec
try:
    import chumpy
except ImportError as error:
    print(error)
    sys.exit(3)
source, target, protocol = sys.argv[1:]
with open(source, "rb") as file:
    fields = pickle.load(file)
more = np.concatenate([fields["shapedirs"], np.ones((*fields["shapedirs"].shape[:2], 5))], axis=2)
fields["shapedirs"] = chumpy.array(more)[:, :, :12]
for name in ("v_template", "posedirs", "weights", "J"):
    fields[name] = chumpy.array(fields[name])
kinds = {type(fields[name]).__module__ + "." + type(fields[name]).__name__ for name in ("shapedirs", "v_template")}
assert kinds == {"chumpy.reordering.Select", "chumpy.ch.Ch"}, kinds
with open(target, "wb") as file:
    pickle.dump(fields, file, int(protocol))
"""


@pytest.mark.parametrize("protocol", [0, 2])
def test_reads_what_the_real_chumpy_wrote(tmp_path, protocol):
    if importlib.util.find_spec("chumpy") is None:
        pytest.skip("chumpy is not installed")
    (tmp_path / "fields.pkl").write_bytes(pickle.dumps(published_fields()))
    command = [sys.executable, "-c", CHUMPY_WRITER, tmp_path / "fields.pkl", tmp_path / "model.pkl", str(protocol)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode == 3:
        pytest.skip(f"chumpy cannot be imported: {done.stdout.strip()}")
    assert done.returncode == 0, done.stderr
    assert b"chumpy" in (tmp_path / "model.pkl").read_bytes()
    assert_same_model(tmp_path / "model.pkl")
    assert "chumpy" not in sys.modules


# ---- which file


@pytest.mark.parametrize(
    ("gender", "name"),
    [
        ("neutral", "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl"),
        ("neutral", "basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl"),
        ("male", "basicModel_m_lbs_10_207_0_v1.0.0.pkl"),
        ("male", "basicmodel_m_lbs_10_207_0_v1.1.0.pkl"),
        ("female", "basicModel_f_lbs_10_207_0_v1.0.0.pkl"),
        ("female", "BASICMODEL_F_LBS_10_207_0_v1.0.0.pkl"),
    ],
)
def test_published_file_names_are_found_in_any_case(tmp_path, gender, name):
    for other in ("README.md", "basicModel_x_lbs.pkl", f"{name}.part", "notes_basicmodel_neutral_lbs.pkl"):
        (tmp_path / other).touch()
    (tmp_path / name).touch()
    assert find_model_file(tmp_path, gender) == tmp_path / name
    for wrong in {"neutral", "male", "female"} - {gender}:
        assert find_model_file(tmp_path, wrong) is None


def test_no_folder_and_an_empty_folder_hold_no_model(tmp_path):
    assert find_model_file(tmp_path) is None
    assert find_model_file(tmp_path / "missing") is None


# ---- what must be refused

ONE_LINE = 400
"""Characters that the longest message may have, besides the path."""


def refusal(path: Path) -> str:
    """The message of the UserError that reading `path` raises: one line that names the file."""
    with pytest.raises(UserError) as error:
        load_model(path)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert str(path) in message
    assert len(message) < len(str(path)) + ONE_LINE
    return message


def refusal_of(tmp_path: Path, content: bytes) -> str:
    (tmp_path / "model.pkl").write_bytes(content)
    return refusal(tmp_path / "model.pkl")


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def project_class(tmp_path):
    from lib.joints import JointSet

    return JointSet(("a",), (), (), 0)


def array_with_a_call_inside(tmp_path):
    """The state of an array whose bytes are the result of a call."""
    touch = Call(os.system, f"touch {tmp_path / 'ran'}")
    return Call(np.zeros(0).__reduce__()[0], np.ndarray, (0,), touch)


HOSTILE = {
    "os.system": lambda folder: Call(os.system, f"touch {folder / 'ran'}"),
    "eval": lambda folder: Call(eval, f"open({str(folder / 'ran')!r}, 'w')"),
    "exec": lambda folder: Call(exec, f"open({str(folder / 'ran')!r}, 'w')"),
    "getattr": lambda folder: Call(getattr, "text", "upper"),
    "open": lambda folder: Call(open, str(folder / "ran"), "w"),
    "class of this project": project_class,
    "call inside an array": array_with_a_call_inside,
    "call deep inside a container": lambda folder: [({"a": [(Call(os.system, f"touch {folder / 'ran'}"),)]},)],
    "numpy function": lambda folder: Call(np.savetxt, str(folder / "ran"), [1, 2]),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_and_run_nothing(tmp_path, kind, protocol):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(published_fields() | {"extra": HOSTILE[kind](tmp_path)}, protocol))
    with pytest.raises(UserError, match=r"refused: the file asks for .* which no SMPL model needs"):
        load_model(path)
    assert not (tmp_path / "ran").exists()


def test_the_refusal_of_a_hostile_file_names_the_file(tmp_path):
    refusal_of(tmp_path, pickle.dumps({"f": HOSTILE["os.system"](tmp_path)}, 2))


def test_the_refusal_is_one_short_line_whatever_names_the_file_asks_for(tmp_path):
    odd = [b"\x8c" + bytes([len(name)]) + name for name in (b"os\n\n\x1b[31m", b"sys\ntem")]
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04" + odd[0] + odd[1] + b"\x93.")
    with pytest.raises(UserError) as error:
        load_model(tmp_path / "model.pkl")
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # protocol 0, called
        b"(S'true'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'true'\no.",  # OBJ
        b"\x80\x02cos\nsystem\n)\x81.",  # NEWOBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",  # STACK_GLOBAL
        b"\x80\x04\x8c\x08builtins\x8c\x0fobject.__init__\x93.",  # a dotted name
    ],
)
def test_every_opcode_that_finds_a_global_is_guarded(tmp_path, content):
    (tmp_path / "model.pkl").write_bytes(content)
    with pytest.raises(UserError, match="refused"):
        load_model(tmp_path / "model.pkl")


def array_state(shape: tuple, dtype: str, data: object) -> bytes:
    """Pickle of a dictionary whose v_template is an array with this shape, type and data, and whose rest is right."""

    class Dtype:
        def __reduce__(self):
            return np.dtype, (dtype, False, True), (3, "<", None, None, None, -1, -1, 0)

    class Array:
        def __reduce__(self):
            return np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, shape, Dtype(), False, data)

    return pickle.dumps(model_arrays() | {"v_template": Array()}, 2)


@pytest.mark.parametrize(
    ("shape", "dtype", "data"),
    [
        ((10**9, 3), "f8", b"\0" * 24),
        ((2**62, 3), "f8", b"\0" * 24),
        ((-1, 3), "f8", "text"),
        ((V, 3), "f8", b"\0" * (V * 24 - 8)),
        ((V, 3), "f8", b"\0" * (V * 24 + 8)),
        ((V, 3), "f8", None),
        ((V, 3), "O8", [None] * 36),
        ((1,), "O8", [b"anything"]),
        ((V, 3), "V8", b"\0" * (V * 24)),
        ((V, 3), "S8", b"\0" * (V * 24)),
        ((V, 3), "c16", b"\0" * (V * 48)),
        ((V, 3), "M8", b"\0" * (V * 24)),
        ((V, 3), "f8,f8", b"\0" * (V * 48)),
        ((V, 3), "f999999999", b"\0" * (V * 24)),
        ((V, 3), "", b"\0" * (V * 24)),
        ("shape", "f8", b"\0" * (V * 24)),
        (None, "f8", b"\0" * (V * 24)),
    ],
)
def test_arrays_with_impossible_shapes_or_types_are_refused(tmp_path, shape, dtype, data):
    assert "v_template" in refusal_of(tmp_path, array_state(shape, dtype, data))


def sparse(**changed) -> object:
    """A 2 x 3 csc_matrix with entries (0, 0) = 1 and (1, 2) = 2, its parts changed after it was made."""
    matrix = sp.csc_matrix(np.array([[1.0, 0, 0], [0, 0, 2]]))
    for name, value in changed.items():
        setattr(matrix, name, value)
    return matrix


@pytest.mark.parametrize(
    "parts",
    [
        {"_shape": (10**9, 3)},
        {"_shape": (2, 10**9)},
        {"_shape": (-2, 3)},
        {"_shape": "ab"},
        {"indices": np.array([0, 2])},
        {"indices": np.array([0, -1])},
        {"indices": np.array([0])},
        {"indptr": np.array([0, 1, 1])},
        {"indptr": np.array([0, 2, 1, 2])},
        {"indptr": np.array([1, 1, 1, 2])},
        {"indptr": np.array([0, 1, 1, 9])},
        {"data": np.array([1.0])},
        {"data": None},
    ],
)
def test_sparse_matrices_whose_parts_do_not_fit_are_refused(tmp_path, parts):
    message = refusal_of(tmp_path, pickle.dumps(model_arrays() | {"J_regressor": sparse(**parts)}, 2))
    assert "J_regressor" in message


def test_chumpy_arrays_with_broken_contents_are_refused(tmp_path, chumpy_stub):
    Ch, Select = chumpy_stub
    itself = Ch()
    itself.x = itself
    a = model_arrays()["v_template"]
    for broken in (
        Ch(),
        itself,
        Ch(x="text"),
        Select(a=Ch(x=a), idxs=np.array([a.size]), preferred_shape=(1, 1)),
        Select(a=Ch(x=a), idxs=np.arange(a.size), preferred_shape=(V, 4)),
        Select(a=Ch(x=a), idxs=np.arange(a.size), preferred_shape=None),  # 1-D
    ):
        assert "v_template" in refusal_of(tmp_path, pickle.dumps(model_arrays() | {"v_template": broken}, 2))


def peak_of_refusal(tmp_path: Path, content: bytes) -> int:
    """Bytes of memory that refusing the content takes at most."""
    tracemalloc.start()
    try:
        refusal_of(tmp_path, content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("opcode", [b"r", b"p"])
def test_a_memo_index_far_beyond_the_file_is_refused_without_allocating(tmp_path, opcode):
    index = struct.pack("<I", 2**31 - 1) if opcode == b"r" else b"2147483647\n"
    assert peak_of_refusal(tmp_path, b"\x80\x02}" + opcode + index + b".") < 1 << 20


def bomb(kind: str) -> dict:
    if kind == "one list many times":
        return {"v_template": [[0] * 2000] * 2000}
    return {
        "J_regressor": sparse(
            _shape=(1000, 4000), indptr=np.zeros(4001, np.int8), indices=np.zeros(0, int), data=np.zeros(0)
        )
    }


@pytest.mark.parametrize("kind", ["one list many times", "many empty columns"])
def test_a_small_file_does_not_grow_into_a_large_array(tmp_path, kind):
    content = pickle.dumps(model_arrays() | bomb(kind), 2)
    assert len(content) < 40_000
    assert peak_of_refusal(tmp_path, content) < 4 << 20  # a hundred times the file


def test_a_key_of_a_million_nested_tuples_does_not_crash_the_interpreter(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"\x80\x02})" + b"\x85" * 10**6 + b"K\x01s.")
    script = (
        "import sys\nfrom lib.errors import UserError\n"
        "from smplpytorch.smplpytorch.native.serialization import load_model\n"
        "try:\n    load_model(sys.argv[1])\nexcept UserError:\n    sys.exit(7)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "model.pkl"], cwd=root, capture_output=True)
    assert done.returncode == 7


def test_a_file_cannot_change_how_the_next_one_is_read(tmp_path, monkeypatch):
    from smplpytorch.smplpytorch.native import passive_pickle

    defaults = passive_pickle._encode.__defaults__
    monkeypatch.setattr(passive_pickle._encode, "__defaults__", defaults)  # puts them back in the end
    # BUILD with the state (None, {"__defaults__": None}) on the function behind _codecs.encode.
    name = b"__defaults__"
    state = b"N}X" + struct.pack("<I", len(name)) + name + b"Ns\x86"
    refusal_of(tmp_path, b"\x80\x02c_codecs\nencode\n" + state + b"b.")
    assert passive_pickle._encode.__defaults__ == defaults


@pytest.mark.parametrize("name", list(model_arrays()))
def test_a_missing_array_is_named(tmp_path, name):
    fields = published_fields()
    del fields[name]
    assert f"has no {name};" in refusal_of(tmp_path, pickle.dumps(fields, 2))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("v_template", np.zeros((V + 1, 3)), "expected"),
        ("v_template", np.zeros(V * 3), "v_template is 1-D float64, expected 2-D"),
        ("v_template", np.full((V, 3), np.nan), "v_template holds NaN"),
        ("shapedirs", np.full((V, 3, 10), np.inf), "shapedirs holds NaN or infinite"),
        ("posedirs", np.zeros((V, 3, 9)), "posedirs has shape (12, 3, 9), expected (12, 3, 36)"),
        ("J_regressor", np.zeros((K, V - 1)), "J_regressor has shape"),
        ("weights", np.zeros((V, K + 1)), "lbs_weights has shape (12, 6), expected (12, 5)"),
        ("weights", np.zeros((V, K), bool), "weights is 2-D bool, expected 2-D numbers"),
        ("weights", "text", "weights cannot be read"),
        ("weights", None, "weights cannot be read"),
        ("f", np.full((20, 3), V, np.uint32), "faces name vertices outside 0..11"),
        ("f", np.zeros((0, 3), np.uint32), "faces"),
        ("kintree_table", np.array([[-1, 0, 0, 4, 3], range(K)]), "not a tree"),
        ("kintree_table", np.zeros((2, 0), int), "expected"),
        ("kintree_table", np.zeros(K, int), "kintree_table is 1-D"),
        ("kintree_table", np.zeros((0, K), int), "kintree_table"),
    ],
)
def test_arrays_that_do_not_fit_together_are_named(tmp_path, name, value, words):
    assert words in refusal_of(tmp_path, pickle.dumps(published_fields() | {name: value}, 4))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_file_cut_short_anywhere_is_told_to_be_fetched_again(tmp_path, protocol):
    content = pickle.dumps(published_fields(), protocol)
    cuts = [*range(12), *np.linspace(12, len(content) - 1, 30).astype(int)]
    for length in cuts:
        assert "download it again" in refusal_of(tmp_path, content[:length])


def test_a_file_with_damaged_bytes_is_read_or_refused_but_never_fails_otherwise(tmp_path):
    content, rng = pickle.dumps(published_fields(), 2), np.random.default_rng(8)
    path = tmp_path / "model.pkl"
    for _ in range(100):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[rng.integers(len(content), size=3)] = rng.integers(256, size=3)
        path.write_bytes(damaged.tobytes())
        with contextlib.suppress(UserError):
            load_model(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"<html>Please log in</html>",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"PK\x03\x04" + b"\0" * 40,
        b"." * 5,
        b"\xff" * 100,
    ],
)
def test_what_is_no_pickle_is_told(tmp_path, content):
    assert "is not an SMPL model file" in refusal_of(tmp_path, content)


@pytest.mark.parametrize("value", [None, 3, "text", [1, 2], (), {1, 2}, np.zeros(3)])
def test_a_pickle_of_something_else_is_told(tmp_path, value):
    assert "is not an SMPL model file" in refusal_of(tmp_path, pickle.dumps(value, 2))


def test_a_folder_and_a_missing_file_are_told(tmp_path):
    assert "cannot be read (Is a directory)" in refusal(tmp_path)
    assert "cannot be read (No such file or directory)" in refusal(tmp_path / "missing.pkl")
