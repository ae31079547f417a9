"""The body model of a machine: SMPL where its file lies, the built-in stand-in elsewhere."""

from pathlib import Path

from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.builtin_body import build_builtin_body
from smplpytorch.smplpytorch.native.serialization import find_model_file, load_model

BUILT_IN = "built-in"


def load_body(smpl_dir: str | Path, notice=print) -> BodyModel:
    """The neutral SMPL model in `smpl_dir`; the built-in body where there is none, with one line of `notice`, or when
    `smpl_dir` is the word "built-in"."""
    if str(smpl_dir) == BUILT_IN:
        return build_builtin_body()
    path = find_model_file(smpl_dir, "neutral")
    if path is not None:
        return load_model(path)
    notice(f"no SMPL model in {smpl_dir}: using the built-in stand-in body (see docs/data.md to place SMPL's file)")
    return build_builtin_body()


def model_beside(body: BodyModel, gender: str) -> BodyModel:
    """The SMPL model of this gender from the folder that `body` was read from; `body` itself where there is none.

    body: the neutral model, or the built-in one, which serves every gender.
    """
    folder = Path(body.source).parent
    path = None if body.source == BUILT_IN or gender == "neutral" else find_model_file(folder, gender)
    return body if path is None else load_model(path)
