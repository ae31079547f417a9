import threading

import pytest
import torch
from torch import nn

from lib.models.hgn import HGNOutput
from lib.models.inference import GPU_PART, LEAST, PART, evaluate_in_parts


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


class Recording(nn.Module):
    """Outputs that name their sample; records size, thread and settings of every call. The first `together` calls wait for each
    other, which they can do on as many threads only."""

    def __init__(self, together=1):
        super().__init__()
        self.calls, self.meeting, self.waiting = [], threading.Barrier(together), iter(range(together))

    def forward(self, pose2d):
        if next(self.waiting, None) is not None:
            self.meeting.wait(timeout=30)
        settings = torch.get_num_threads(), torch.is_inference_mode_enabled()
        self.calls.append((len(pose2d), threading.get_ident(), *settings))
        return HGNOutput(pose2d * 2, (pose2d + 1, pose2d[:, :1]))


@pytest.mark.parametrize("count", [0, 1, LEAST, LEAST + 1, PART, 2 * PART, 3 * PART, 7 * PART + 5])
def test_parts_give_the_outputs_of_all_samples_in_their_order(threads, count):
    parts = -(-count // min(PART, max(LEAST, -(-count // threads))))
    network, x = Recording(max(min(threads, parts), 1)), torch.arange(count * 4.0).view(count, 2, 2)
    output = evaluate_in_parts(network, x)
    assert torch.equal(output.pose3d, x * 2)
    assert [torch.equal(a, b) for a, b in zip(output.meshes, (x + 1, x[:, :1]), strict=True)] == [True, True]
    assert torch.get_num_threads() == threads
    sizes, idents, intra, inference = zip(*network.calls, strict=True)
    assert sum(sizes) == count
    assert max(sizes) <= PART
    assert all(inference)
    assert set(intra) == {1}  # an operation is never shared
    if count <= LEAST:
        assert set(idents) == {threading.get_ident()}
    else:
        assert len(sizes) == parts
        assert len(set(idents)) == min(threads, parts)


def test_few_samples_are_shared_evenly_between_threads(threads):
    network = Recording()
    evaluate_in_parts(network, torch.zeros(12, 2, 2))
    assert sorted(size for size, *_ in network.calls) == {1: [12], 2: [6, 6], 3: [4, 4, 4]}[threads]


def test_a_gpu_gets_large_batches_whole_and_larger_ones_in_parts_that_fit_its_memory():
    network, x = Recording(), torch.empty(GPU_PART + 7, 2, 2, device="meta")  # a device that is not the CPU
    assert evaluate_in_parts(network, x).pose3d.shape == x.shape
    assert [size for size, *_ in network.calls] == [GPU_PART, 7]


def test_an_error_in_a_part_is_raised_and_the_threads_are_as_before(threads):
    class Failing(nn.Module):
        def forward(self, pose2d):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        evaluate_in_parts(Failing(), torch.ones(4 * PART, 2, 2))
    assert torch.get_num_threads() == threads


def test_parts_of_a_network_give_what_the_network_gives(threads, small_hgn):
    x = torch.randn(5 * PART, 5, 2)
    with torch.inference_mode():
        wanted = small_hgn.eval()(x)
    output = evaluate_in_parts(small_hgn, x)
    for a, b in zip((output.pose3d, *output.meshes), (wanted.pose3d, *wanted.meshes), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5 * float(b.abs().max()))
