import re
from pathlib import Path

import pytest

from lib.joints import JOINT_SETS
from lib.lifting.keypoints.describe import draw_joint_sets, formula_text, generated_blocks, runs, with_generated_blocks

PAGE = Path(__file__).resolve().parents[4] / "docs" / "joints.md"


def test_the_page_agrees_with_the_code():
    text = PAGE.read_text(encoding="utf-8")
    assert with_generated_blocks(text) == text, "run python -m lib.lifting.keypoints.describe"


def test_formula_text_worked_example():
    assert formula_text({"L_Ear": 1.5, "Neck": -0.5}) == "1.5 L_Ear - 0.5 Neck"
    assert formula_text({"Pelvis": 2.0, "Torso": -1.0, "Neck": 1}) == "2 Pelvis - Torso + Neck"


def test_number_table_has_every_joint_of_every_set():
    lines = generated_blocks()["joint numbers"].splitlines()[2:]
    for line, (name, joints) in zip(lines, JOINT_SETS.items(), strict=True):
        title, count, order = (c.strip() for c in line.strip("|").split("|"))
        assert (title, int(count)) == (name, len(joints))
        numbers = [int(n) for part in order.split(", ") for n in re.match(r"(\d+)(?:-(\d+))?", part).groups() if n]
        assert (numbers[0], numbers[-1]) == (0, len(joints) - 1)
    assert "| mpii | 16 | 0 R_Ankle, 1 R_Knee, 2 R_Hip, 3 L_Hip," in generated_blocks()["joint numbers"]


def test_runs_of_face_and_fingers_are_one_entry():
    assert runs(("Nose", "Face_0", "L_Face_1", "L_Hand_0", "L_Hand_1", "R_Hand", "Head")) == [
        (0, 0, "Nose"),
        (1, 2, "2 face landmarks (300-W)"),
        (3, 4, "2 joints of the left hand"),
        (5, 5, "R_Hand"),
        (6, 6, "Head"),
    ]


def test_a_page_without_a_block_is_an_error():
    with pytest.raises(ValueError, match="is there 0 times"):
        with_generated_blocks("# nothing")


def test_the_picture_numbers_every_joint_of_every_set():
    panels = draw_joint_sets().axes
    assert len(panels) == len(JOINT_SETS) + 1
    for panel, joints in zip(panels, JOINT_SETS.values(), strict=False):
        drawn = [t.get_text() for t in panel.texts]
        single = [str(a) for a, b, _ in runs(joints.names) if a == b]
        assert drawn[: len(single)] == single
        assert all(f"{a}-{b}: {text}" in drawn[-1] for a, b, text in runs(joints.names) if a < b)
        places = [t.get_position() for t in panel.texts[: len(single)]]
        assert len(set(places)) == len(single)  # no number hides another
    left, right = (panels[0].texts[i].get_position()[0] for i in (11, 14))
    assert right < 0 < left  # facing the reader, the person's right is on the picture's left
