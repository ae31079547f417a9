"""Models exported to ONNX, run by ONNX Runtime on the CPU."""

from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.joints import joint_sets_of, known_joint_sets


class OnnxFile:
    """An opened file that reads one float image (1, 3, height, width).

    path: the file; option: of the command line, for messages; default_size: (height, width) for models that take any.
    ranks: number of dimensions of every output as the file declares it, 0 where it does not. UserError where the file is no
    such model.
    """

    def __init__(self, path: str | Path, option: str, default_size: tuple[int, int]):
        self.path = Path(path)
        self._session = _open(self.path, option)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or not _fits(inputs[0].shape, (1, 3, None, None)):
            found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise self.unusable(f"it reads {found} instead of one float image (1, 3, height, width)")
        self._input = inputs[0].name
        sizes = zip(inputs[0].shape[2:], default_size, strict=True)
        height, width = (n if isinstance(n, int) else default for n, default in sizes)
        self.input_size: tuple[int, int] = (height, width)
        self.ranks = tuple(len(o.shape or ()) for o in self._session.get_outputs())

    def run(self, values: np.ndarray) -> list[np.ndarray]:
        """All outputs for an image (1, 3, height, width) float32."""
        try:
            return self._session.run(None, {self._input: values})
        except Exception as error:  # ONNX Runtime's exceptions have no common class that is public
            raise self.unusable(f"it fails on an image ({' '.join(str(error).split())[:120]})") from None

    @property
    def first_layer(self) -> str:
        """ONNX's name of the operation that reads the image, such as Conv or Slice."""
        import onnx

        graph = onnx.load(str(self.path), load_external_data=False).graph
        return next((node.op_type for node in graph.node if self._input in node.input), "")

    def unusable(self, why: str, kind: str = "pose model") -> UserError:
        """The error that this is no model of a kind that can be used."""
        return UserError(f"{self.path}: is no {kind} that can be used: {why}")

    def joint_set_of(self, count: int, asked: str | None) -> str:
        """The name of the joint set with so many joints: the asked one, or the usual one."""
        fitting = joint_sets_of(count)
        if asked in fitting:
            return asked
        if asked is None and fitting:
            return "coco" if "coco" in fitting else fitting[0]
        wanted = f", --joint-set is {asked}" if asked else ""
        raise UserError(
            f"{self.path}: finds {count} joints{wanted}; the known keypoint conventions are {known_joint_sets()}"
        )


def _open(path: Path, option: str):
    """An ONNX Runtime session on the CPU."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; {option} needs a model exported to .onnx")
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"{option} needs ONNX Runtime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common class that is public
        raise UserError(f"{path}: is no ONNX model ({' '.join(str(error).split())[:120]})") from None


def _fits(shape: list, wanted: tuple) -> bool:
    """Whether a model's shape, with names where it is open, allows the wanted one (None: any)."""
    return len(shape) == len(wanted) and all(
        w is None or not isinstance(n, int) or n == w for n, w in zip(shape, wanted, strict=True)
    )
