"""Human3.6M's joints of data sets that come as SMPL parameters: posed body, then the regressor of the 17 joints."""

from pathlib import Path

import numpy as np
import scipy.sparse as sp

from data.source import file_identity
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.coarse_body import CoarseBody
from smplpytorch.smplpytorch.load_body import BUILT_IN, load_joint_regressor, model_beside

REGRESSOR = Path("Human36M") / "J_regressor_h36m_correct.npy"
"""Below DATASET.data_dir: (17, V), vertices of SMPL to the 17 joints. The built-in body brings its own."""


class BodyJoints:
    """The 17 joints of SMPL parameters, each gender with its own model if that is beside the neutral one."""

    def __init__(self, body: BodyModel, data_dir: Path):
        self.body, self.regressor_file = body, data_dir / REGRESSOR
        self._posed: dict[str, CoarseBody] = {}
        self.stand_ins: set[str] = set()

    def identity(self) -> list:
        """What the joints follow from besides the parameters and the body models, as in `Source.identity`."""
        return ["built-in"] if self.body.joint_regressor is not None else list(file_identity(self.regressor_file))

    def __call__(self, gender: str, pose: np.ndarray, betas: np.ndarray, transl: np.ndarray) -> np.ndarray:
        """pose (F, 72) radians, betas (F, 10), transl (F, 3) metres to joints (F, 17, 3) mm, world axes."""
        if gender not in self._posed:
            model = model_beside(self.body, gender)
            if model is self.body and gender != "neutral":
                self.stand_ins.add(gender)
            # A joint is a fixed mean of vertices, as a node of a coarse mesh is: the same folding serves both.
            self._posed[gender] = CoarseBody(model, [sp.csr_matrix(load_joint_regressor(model, self.regressor_file))])
        (joints,) = self._posed[gender](pose, betas, transl)
        return 1000 * joints

    def notes(self) -> tuple[str, ...]:
        """A line for every gender without a model of its own, once."""
        kind = "built-in body" if self.body.source == BUILT_IN else f"model {self.body.source}"
        noted = tuple(
            f"no SMPL model of {gender} people: they are posed by the {kind}" for gender in sorted(self.stand_ins)
        )
        self.stand_ins.clear()
        return noted
