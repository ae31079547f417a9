"""SMPL as a differentiable layer."""

import torch
from torch import nn

from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.pytorch.lbs import linear_blend_skinning


class SMPL_Layer(nn.Module):
    """Pose and shape parameters to vertices and joints.

    model: the body's arrays; they become buffers of `dtype`, so `.to(device)` moves the layer.
    """

    v_template: torch.Tensor
    shapedirs: torch.Tensor
    posedirs: torch.Tensor
    J_regressor: torch.Tensor
    lbs_weights: torch.Tensor
    faces: torch.Tensor

    def __init__(self, model: BodyModel, dtype: torch.dtype = torch.float32):
        super().__init__()
        for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "lbs_weights"):
            self.register_buffer(name, torch.as_tensor(getattr(model, name)).to(dtype), persistent=False)
        self.register_buffer("faces", torch.as_tensor(model.faces), persistent=False)
        self.parents = [int(p) for p in model.parents]

    def forward(
        self, pose: torch.Tensor, betas: torch.Tensor | None = None, transl: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """pose (B, 3 K) axis-angle, root first; betas (B, S) or None for the mean shape; transl (B, 3) metres or None.

        Returns vertices (B, V, 3) and posed joints (B, K, 3), metres.
        """
        if betas is None:
            betas = pose.new_zeros(len(pose), self.shapedirs.shape[-1])
        vertices, joints = linear_blend_skinning(
            betas,
            pose,
            self.v_template,
            self.shapedirs,
            self.posedirs,
            self.J_regressor,
            self.lbs_weights,
            self.parents,
        )
        if transl is not None:
            vertices, joints = vertices + transl[:, None], joints + transl[:, None]
        return vertices, joints
