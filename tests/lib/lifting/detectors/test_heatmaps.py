import numpy as np
import pytest

from lib.lifting.detectors import heatmaps
from lib.lifting.detectors.heatmaps import decode_dark, decode_quarter, decode_udp, decoder_of, peaks

H, W = 64, 48
SIZE = (192, 256)  # of the crop: cells of 4 x 4 pixels
SIGMA = 2.0  # cells, as models with 64 rows are trained


def gaussians(places, height=1.0):
    """Heatmaps (J, H, W) with their tops at places (J, 2), x and y in cells."""
    y, x = np.mgrid[:H, :W]
    squared = [(x - u) ** 2 + (y - v) ** 2 for u, v in places]
    return height * np.exp(-np.stack(squared) / (2 * SIGMA**2))


@pytest.fixture
def places():
    return np.random.default_rng(0).uniform((8, 8), (W - 9, H - 9), (50, 2))


def test_the_top_of_a_gaussian_is_found_between_the_cells(places):
    found, scores = peaks(gaussians(places, 0.8))
    np.testing.assert_allclose(found, places, atol=1e-3)
    np.testing.assert_allclose(scores, gaussians(places, 0.8).max((1, 2)))
    by_quarters, _ = decode_quarter(gaussians(places), (W, H))
    assert np.abs(by_quarters - places).max() > 0.2  # what the step is worth


def test_one_step_by_hand(monkeypatch):
    """D = log heatmap around a cell: 0 there, -1 left, -3 right, -1 above, -1 below, and no mixed term:
    g_x = (-3 - -1) / 2 = -1, H_xx = -3 + -1 = -4, so the top is at -g_x / H_xx = -1 / 4. A narrow Gaussian smooths nothing."""
    monkeypatch.setattr(heatmaps, "SIGMA", 1e-3)
    D = np.full((H, W), -20.0)
    D[29:32, 19:22] = np.add.outer([-1.0, 0.0, -1.0], [-1.0, 0.0, -3.0])
    found, _ = peaks(np.exp(D)[None])
    np.testing.assert_allclose(found, [[20 - 0.25, 30]], atol=1e-6)


def test_smoothing_makes_one_peak_of_many(places):
    noise = np.random.default_rng(1).uniform(0, 0.25, (len(places), H, W))
    noisy = np.maximum(gaussians(places) * (1 + noise - 0.125), 0.02 * noise)
    error = np.linalg.norm(peaks(noisy)[0] - places, axis=-1)
    by_quarters = np.linalg.norm(decode_quarter(noisy, (W, H))[0] - places, axis=-1)
    assert error.mean() < 0.1
    assert by_quarters.mean() > 3 * error.mean()


@pytest.mark.parametrize("place", [(0, 20), (W - 1, 20), (20, 0), (20, H - 1), (0, 0)])
def test_a_peak_at_the_border_is_its_cell(place):
    np.testing.assert_array_equal(peaks(gaussians([place]))[0], [place])


def test_a_heatmap_without_a_peak_gives_a_cell_and_its_score():
    found, scores = peaks(np.zeros((2, H, W)))
    assert np.isfinite(found).all()
    assert (scores == 0).all()


def test_cells_are_scaled_as_in_each_training(places):
    """DARK: 4 pixels per cell. UDP: the last of 48 cells is the last of 192 pixels, 191 / 47 pixels per cell."""
    np.testing.assert_allclose(decode_dark(gaussians(places), SIZE)[0], places * 4, atol=4e-3)
    np.testing.assert_allclose(decode_udp(gaussians(places), SIZE)[0], places * [191 / 47, 255 / 63], atol=4e-3)


def test_a_heatmaps_peak_is_moved_a_quarter_cell_towards_its_higher_neighbour():
    heatmap = np.zeros((1, 4, 6))
    heatmap[0, 2, 3] = 0.9
    heatmap[0, 2, 4], heatmap[0, 1, 3] = 0.5, 0.4
    joints, scores = decode_quarter(heatmap, (24, 16))  # cells of 4 x 4 pixels
    np.testing.assert_allclose(joints, [[(3 + 0.25) * 4, (2 - 0.25) * 4]])
    np.testing.assert_allclose(scores, [0.9])


@pytest.mark.parametrize(
    ("name", "decoding"),
    [
        ("td-hm_hrnet-w32_8xb64-210e_coco-256x192", "quarter"),
        ("td-hm_hrnet-w32_dark-8xb64-210e_coco-256x192", "dark"),
        ("hrnet_w32_coco_256x192_udp", "udp"),
        ("td-hm_ViTPose-small_8xb64-210e_coco-256x192", "udp"),
        ("vitpose_s_coco", "udp"),
        ("darknet", "quarter"),
    ],
)
def test_a_models_name_says_how_it_was_trained(name, decoding):
    assert decoder_of(name) == decoding
