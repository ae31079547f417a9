import sys
from types import SimpleNamespace

import pytest

from lib.errors import UserError
from lib.lifting.detectors.factory import open_detector


@pytest.mark.parametrize("spec", [None, "mediapipe"])
def test_without_mediapipe_one_line_says_what_installs_it(monkeypatch, spec):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(UserError, match=r"MediaPipe is not installed: sh requirements\.sh video"):
        open_detector(spec)


def test_a_mediapipe_without_its_own_model_asks_for_a_task_file(monkeypatch):
    newer = SimpleNamespace(__version__="0.10.35", __spec__=SimpleNamespace(name="mediapipe"))
    monkeypatch.setitem(sys.modules, "mediapipe", newer)
    with pytest.raises(
        UserError, match=r"MediaPipe 0\.10\.35 holds no pose model: give one with --detector FILE\.task"
    ):
        open_detector()


def test_what_is_no_detector_is_named(tmp_path):
    with pytest.raises(
        UserError, match=r"--detector yolo: unknown; use mediapipe, rtmlib:balanced, or the path of a model"
    ):
        open_detector("yolo")
    for ending in ("onnx", "task"):
        with pytest.raises(UserError, match=rf"none\.{ending}: no such file"):
            open_detector(str(tmp_path / f"none.{ending}"))


def test_a_joint_set_that_a_detector_does_not_find_is_refused(monkeypatch):
    monkeypatch.setattr(
        "lib.lifting.detectors.factory.MediaPipePose", lambda: SimpleNamespace(name="M", joint_set="mediapipe")
    )
    assert open_detector(None, "mediapipe").name == "M"
    with pytest.raises(UserError, match="--joint-set coco: M finds joints of the set mediapipe"):
        open_detector(None, "coco")
