from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from lib.device import to_device, to_device_together
from lib.training.precision import accelerate, matmul_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("compiling", ["auto", "off"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_nothing_is_compiled_unless_wanted(small_hgn, compiling, device):
    assert accelerate(small_hgn, compiling, "fp32", torch.device(device)) is small_hgn


@pytest.fixture
def compilations(monkeypatch):
    """Networks whose "compiled" form counts its calls; the list of all batch sizes it was called with."""
    sizes = []

    def compile_(network, mode, dynamic):
        assert dynamic is False

        def call(pose2d):
            sizes.append(len(pose2d))
            return network(pose2d)

        return call

    monkeypatch.setattr(torch, "compile", compile_)
    return sizes


def test_only_batches_of_the_first_one_s_size_are_run_compiled(small_hgn, compilations):
    forward = accelerate(small_hgn.eval(), "on", "fp32", CPU)
    for count in (4, 3, 4):
        pose2d = torch.randn(count, 5, 2)
        assert torch.equal(forward(pose2d).pose3d, small_hgn(pose2d).pose3d)
    assert compilations == [4, 4]


def test_a_run_that_goes_on_with_a_part_of_a_batch_compiles_the_whole_ones(small_hgn, compilations):
    forward = accelerate(small_hgn.eval(), "on", "fp32", CPU)
    for count in (3, 4, 4, 3):
        forward(torch.randn(count, 5, 2))
    assert compilations == [3, 4, 4]


def test_what_fails_in_a_compiled_network_is_not_hidden_and_not_tried_again(small_hgn, compilations):
    forward = accelerate(small_hgn, "on", "fp32", CPU)
    with pytest.raises(RuntimeError):
        forward(torch.randn(3, 7, 2))  # seven joints for a graph of five
    assert compilations == [3]


@pytest.mark.parametrize("compiling", ["off", "on"])
def test_each_replica_of_data_parallel_runs_in_bfloat16_although_autocast_holds_for_one_thread(
    small_hgn, compilations, compiling
):
    parallel = nn.DataParallel(small_hgn)
    forward = accelerate(parallel, compiling, "bf16", CPU)
    network = forward.network if compiling == "on" else forward
    assert isinstance(network, nn.DataParallel)
    assert network is not parallel
    assert parallel.module is small_hgn
    seen = []
    small_hgn.stages[0][0].res.conv1.gconv.register_forward_hook(lambda module, x, y: seen.append(y.dtype))
    with ThreadPoolExecutor(1) as pool:  # as parallel_apply calls a replica, with autocast's state of the main thread
        output = pool.submit(network.module, torch.randn(4, 5, 2)).result()
    assert seen == [torch.bfloat16]
    assert {x.dtype for x in (output.pose3d, *output.meshes)} == {torch.float32}
    assert {id(p) for p in network.parameters()} == {id(p) for p in small_hgn.parameters()}


def test_bf16_gives_float32_outputs_near_the_exact_ones_and_trains_float32_parameters(small_hgn):
    small_hgn.train()
    pose2d = torch.randn(16, 5, 2)
    exact, output = small_hgn(pose2d), accelerate(small_hgn, "off", "bf16", CPU)(pose2d)
    for a, b in zip((output.pose3d, *output.meshes), (exact.pose3d, *exact.meshes), strict=True):
        assert a.dtype == torch.float32
        assert not torch.equal(a, b)
        assert (a - b).norm() < 0.1 * b.norm()  # bfloat16 keeps 8 bits, and random weights are no gentle network
    output.pose3d.sum().backward()
    assert {p.grad.dtype for p in small_hgn.parameters() if p.grad is not None} == {torch.float32}


@pytest.mark.parametrize(("precision", "inside"), [("tf32", "high"), ("fp32", "highest"), ("bf16", "highest")])
def test_the_precision_of_products_is_as_before_afterwards(precision, inside):
    assert torch.get_float32_matmul_precision() == "highest"
    with matmul_precision(precision):
        assert torch.get_float32_matmul_precision() == inside
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_copy_to_a_gpu_is_made_from_pinned_memory_and_not_waited_for():
    class Values:
        pinned = False

        def pin_memory(self):
            pinned = Values()
            pinned.pinned = True
            return pinned

        def to(self, device, non_blocking=False):
            return device, self.pinned, non_blocking

    assert to_device(Values(), torch.device("cuda")) == (torch.device("cuda"), True, True)
    values = torch.ones(2)
    assert to_device(values, CPU) is values


def test_several_tensors_go_to_a_device_in_one_copy(monkeypatch):
    copies = []
    monkeypatch.setattr("lib.device.to_device", lambda values, device: copies.append(values) or values)
    tensors = [torch.rand(3, 2), torch.rand(4), torch.rand(1, 1, 2)]
    for a, b in zip(to_device_together(tensors, torch.device("cuda")), tensors, strict=True):
        assert torch.equal(a, b)
    assert len(copies) == 1
    assert to_device_together(tensors, CPU) is tensors
