import importlib
import sys

import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.detectors.factory import open_detector
from tests.lib.lifting.detectors.test_pose_model import dots
from tests.lib.lifting.detectors.test_pose_model import write_model as write_pose_model
from tests.lib.lifting.detectors.test_top_down import write_detector


def test_without_rtmlib_one_line_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    with pytest.raises(UserError, match="rtmlib is not installed: pip install --no-deps rtmlib"):
        open_detector("rtmlib:balanced")


def test_an_unknown_mode_is_named_with_the_known_ones():
    with pytest.raises(UserError, match="rtmlib:huge: unknown; use rtmlib:lightweight, rtmlib:balanced, rtmlib:perf"):
        open_detector("rtmlib:huge")


@pytest.fixture
def models(tmp_path, monkeypatch):
    """rtmlib with models of this test's instead of those that it downloads."""
    pytest.importorskip("rtmlib", reason="needs rtmlib (pip install --no-deps rtmlib)")
    pytest.importorskip("onnx")
    base = importlib.import_module("rtmlib.tools.base")
    people = write_detector(tmp_path / "people.onnx", [[100, 100, 160, 300, 0.9]], size=(640, 640))
    pose = str(write_pose_model(tmp_path / "pose.onnx", "simcc", size=(256, 192)))
    monkeypatch.setattr(base, "download_checkpoint", lambda url: people if "yolox" in url else pose)


def test_rtmlib_is_shown_images_in_opencvs_order(models, capfd):
    """The model's first joint is the dot in the first channel that it sees, which is blue in OpenCV's order. (rtmlib reads two
    bins per pixel, this model has one: places are not exact, their order is.)"""
    red, green, blue = (120.0, 130.0), (150.0, 200.0), (110.0, 270.0)
    found = open_detector("rtmlib:balanced")(dots((640, 640), red, green, blue, width=6))
    assert found.shape == (1, 17, 3)
    assert found[0, 0, 1] > found[0, 1, 1] + 20 > found[0, 2, 1] + 40
    assert (found[0, :, 2] > 0.5).all()
    assert capfd.readouterr().out == ""


def test_nobody_is_an_empty_result(models):
    assert open_detector("rtmlib:balanced")(np.zeros((640, 640, 3), np.uint8)).shape == (0, 17, 3)


def test_a_failed_download_is_one_line(models, monkeypatch):
    def fail(url):
        raise OSError("no network")

    monkeypatch.setattr(importlib.import_module("rtmlib.tools.base"), "download_checkpoint", fail)
    with pytest.raises(UserError, match=r"rtmlib:balanced: its models cannot be downloaded \(no network\)"):
        open_detector("rtmlib:balanced")
