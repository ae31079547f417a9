import pytest
import torch

from lib.device import to_device
from lib.training.precision import accelerate, matmul_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("compiling", ["auto", "off"])
def test_on_a_cpu_nothing_is_compiled_unless_wanted(small_hgn, compiling):
    assert accelerate(small_hgn, compiling, "fp32", CPU) is small_hgn


def test_where_compiling_fails_one_line_says_so_once_and_the_outputs_are_the_network_s(small_hgn, monkeypatch, capsys):
    def no_compiler(network, mode):
        def call(pose2d):
            raise RuntimeError("no C++\ncompiler")

        return call

    monkeypatch.setattr(torch, "compile", no_compiler)
    forward = accelerate(small_hgn.eval(), "on", "fp32", CPU)
    pose2d = torch.randn(3, 5, 2)
    for _ in range(2):
        assert torch.equal(forward(pose2d).pose3d, small_hgn(pose2d).pose3d)
    assert capsys.readouterr().out == (
        "TRAIN.compile: torch.compile failed (RuntimeError: no C++ compiler); going on without it\n"
    )


def test_an_error_of_the_network_itself_is_not_hidden(small_hgn, monkeypatch, capsys):
    monkeypatch.setattr(torch, "compile", lambda network, mode: network)
    forward = accelerate(small_hgn, "on", "fp32", CPU)
    with pytest.raises(RuntimeError):
        forward(torch.randn(3, 7, 2))  # seven joints for a graph of five


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
