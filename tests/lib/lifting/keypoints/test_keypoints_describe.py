from pathlib import Path

import pytest

from lib.joints import JOINT_SETS
from lib.lifting.keypoints.describe import draw_joint_sets, formula_text, generated_blocks, with_generated_blocks

PAGE = Path(__file__).resolve().parents[4] / "docs" / "joints.md"


def test_the_page_agrees_with_the_code():
    text = PAGE.read_text(encoding="utf-8")
    assert with_generated_blocks(text) == text, "run python -m lib.lifting.keypoints.describe"


def test_formula_text_worked_example():
    assert formula_text({"L_Ear": 1.5, "Neck": -0.5}) == "1.5 L_Ear - 0.5 Neck"
    assert formula_text({"Pelvis": 2.0, "Torso": -1.0, "Neck": 1}) == "2 Pelvis - Torso + Neck"


def test_number_table_has_every_joint_of_every_set():
    lines = generated_blocks()["joint numbers"].splitlines()
    assert lines[0] == "|  | human36 | coco | coco19 | body25 | halpe26 |"
    for i, line in enumerate(lines[2:]):
        cells = [c.strip() for c in line.split("|")[2:-1]]
        assert cells == [s.names[i] if i < len(s) else "" for s in JOINT_SETS.values()]


def test_a_page_without_a_block_is_an_error():
    with pytest.raises(ValueError, match="is there 0 times"):
        with_generated_blocks("# nothing")


def test_the_picture_numbers_every_joint_of_every_set():
    panels = draw_joint_sets().axes
    assert len(panels) == len(JOINT_SETS) + 1
    for panel, joints in zip(panels, JOINT_SETS.values(), strict=False):
        assert [t.get_text() for t in panel.texts] == [str(i) for i in range(len(joints))]
    left, right = (panels[0].texts[i].get_position()[0] for i in (11, 14))
    assert right < 0 < left  # facing the reader, the person's right is on the picture's left
