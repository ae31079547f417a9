"""The body model of a machine: SMPL if its file is there, otherwise the built-in synthetic body."""

from pathlib import Path

import numpy as np

from lib.config import ModelConfig
from lib.errors import UserError
from lib.joints import HUMAN36M_17
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.builtin_body import build_builtin_body
from smplpytorch.smplpytorch.native.serialization import find_model_file, load_model

BUILT_IN = "built-in"


def load_body(smpl_dir: str | Path, notice=print) -> BodyModel:
    """The neutral SMPL model in `smpl_dir`; the built-in body when that is the word "built-in".

    Where the default folder has no model the built-in body is used, with one line of `notice`; any other folder without one is
    a UserError.
    """
    if str(smpl_dir) == BUILT_IN:
        return build_builtin_body()
    path = find_model_file(smpl_dir, "neutral")
    if path is not None:
        return load_model(path)
    if str(smpl_dir) != ModelConfig.smpl_dir:
        raise UserError(f"MODEL.smpl_dir {smpl_dir}: no SMPL model (.pkl) here; name its folder, or {BUILT_IN}")
    notice(f"no SMPL model in {smpl_dir}: using the built-in synthetic body (docs/data.md: where to put SMPL's file)")
    return build_builtin_body()


def model_beside(body: BodyModel, gender: str) -> BodyModel:
    """The SMPL model of this gender from the folder that `body` was read from; `body` itself where there is none.

    body: the neutral model, or the built-in one, which serves every gender.
    """
    folder = Path(body.source).parent
    path = None if body.source == BUILT_IN or gender == "neutral" else find_model_file(folder, gender)
    return body if path is None else load_model(path)


def load_joint_regressor(body: BodyModel, path: Path) -> np.ndarray:
    """(17, V), vertices to Human3.6M's joints: the body's own, or the published one for SMPL from the file `path`."""
    if body.joint_regressor is not None:
        return body.joint_regressor
    try:
        matrix = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: the 17 joints of SMPL parameters need it (docs/data.md), or the built-in body: "
            "--set MODEL.smpl_dir=built-in"
        ) from None
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: is not an array file ({' '.join(str(error).split())[:80]})") from None
    want = (len(HUMAN36M_17), len(body.v_template))
    if matrix.shape != want or matrix.dtype.kind != "f" or not np.isfinite(matrix).all():
        raise UserError(f"{path}: {matrix.shape} {matrix.dtype}, expected {want} numbers, joints x vertices")
    return matrix
