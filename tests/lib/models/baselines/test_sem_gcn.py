import numpy as np
import torch

from lib.graph.adjacency import skeleton_adjacency
from lib.graph.scales import GraphScale
from lib.joints import HUMAN36M_17
from lib.models.baselines.sem_gcn import SemGCN
from lib.models.hgn import HGN
from tests.plain.hgn import randomise


def test_but_for_the_first_non_local_layer_it_is_hgn_s_skeleton_branch(small_scales):
    hgn, network = HGN(small_scales[:1], 4).double(), SemGCN(small_scales[0], 4).double()
    randomise(hgn)
    network.input[0].load_state_dict(hgn.input_conv.state_dict())
    for block, (of_hgn,) in zip(network.blocks, hgn.stages, strict=True):
        block.load_state_dict(of_hgn.state_dict())
    network.output.load_state_dict(hgn.outputs[0].state_dict())
    pose2d = torch.rand(3, 5, 2, dtype=torch.float64)
    assert torch.equal(network(pose2d).pose3d, hgn(pose2d).pose3d)  # a new non-local layer is the identity
    randomise(network.input[1])
    assert not torch.allclose(network(pose2d).pose3d, hgn(pose2d).pose3d)


def test_the_published_size_has_0_43_million_parameters():
    skeleton = GraphScale(skeleton_adjacency(17, HUMAN36M_17.bones), np.arange(17))
    assert sum(p.numel() for p in SemGCN(skeleton).parameters()) == 434_733
