"""A network as ONNX, and run by ONNX Runtime: on a CPU the fastest way to predict (docs/benchmarks.md)."""

import io
import warnings

import numpy as np
import torch
from torch import nn

from lib.models.hgn import HGNOutput

INPUT_NAME = "pose2d"

OPSET = 17
"""Of ONNX: as old as what is written allows, for old runtimes."""


class FlatOutput(nn.Module):
    """A network whose output is a flat tuple, as ONNX wants it: pose3d, then the meshes."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pose2d: torch.Tensor) -> tuple[torch.Tensor, ...]:
        output = self.network(pose2d)
        return output.pose3d, *output.meshes


def to_onnx(network: nn.Module, joint_count: int, mesh_names: tuple[str, ...] = ()) -> bytes:
    """An ONNX model of a network in evaluation mode on the CPU, for any batch.

    Input INPUT_NAME (batch, J, 2), outputs pose3d (batch, J, 3) and meshes (batch, R, 3), all float32; mesh_names: names of
    the latter, mesh_0, mesh_1, ... where there are none.
    """
    example = torch.zeros(2, joint_count, 2)  # where the example has one sample, a size would be taken for a constant
    flat = FlatOutput(network).eval()
    with torch.inference_mode():
        meshes = len(flat(example)) - 1
    names = [INPUT_NAME, "pose3d", *(mesh_names or [f"mesh_{i}" for i in range(meshes)])[:meshes]]
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that traces is deprecated, but the one that follows it needs onnxscript and writes nothing better.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Sizes of graphs become constants, as they should; tests show that the size of the batch does not.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.onnx.export(
            flat,
            (example,),
            file,  # type: ignore[arg-type]  # the exporter that traces takes open files
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "batch"} for name in names},
            opset_version=OPSET,
            dynamo=False,
        )
    return file.getvalue()


class OnnxNetwork:
    """The same function as a network in evaluation mode, (B, J, 2) to an `HGNOutput`, run by ONNX Runtime on one CPU thread.

    Several threads may call it at once. It keeps no tie to the network. ImportError where ONNX Runtime is missing.
    """

    def __init__(self, network: nn.Module, joint_count: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = to_onnx(network, joint_count)
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, pose2d: torch.Tensor) -> HGNOutput:
        pose3d, *meshes = self.session.run(None, {INPUT_NAME: np.ascontiguousarray(pose2d.numpy())})
        return HGNOutput(torch.from_numpy(pose3d), tuple(map(torch.from_numpy, meshes)))
