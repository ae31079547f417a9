"""The tables and the picture of docs/joints.md, made from the code's own data.

`python -m lib.lifting.keypoints.describe` rewrites both; a test fails while they disagree.
"""

import re
from pathlib import Path

from lib.joints import HUMAN36M_17, JOINT_SETS, SMPL_24, JointSet, imputation
from lib.joints.conversion import CONVERSIONS, Formula
from lib.lifting.keypoints import formats, prepare, readers

_FRONT_VIEW = {
    "Pelvis": (0, 0), "Torso": (0, 3), "Neck": (0, 6), "Nose": (0, 7.9), "Head": (0, 9.7), "R_Eye": (-0.75, 8.5),
    "R_Ear": (-1.6, 8.1), "R_Shoulder": (-2.3, 5.6), "R_Elbow": (-3.4, 3.2), "R_Wrist": (-4.1, 0.8),
    "R_Hip": (-1.3, -0.4), "R_Knee": (-1.6, -4.2), "R_Ankle": (-1.8, -8), "R_Heel": (-1.1, -8.9),
    "R_BigToe": (-2.4, -9.6), "R_SmallToe": (-3.5, -9), "Spine1": (0, 1.5), "Spine2": (0, 3), "Spine3": (0, 4.3),
    "R_Collar": (-1.1, 5.3), "R_Foot": (-2.4, -9.4), "R_Hand": (-4.4, -0.7),
}  # fmt: skip
"""Where a joint stands in the picture, seen from the front; left joints mirror the right ones."""


def _place(name: str) -> tuple[float, float]:
    if name.startswith("L_"):
        x, y = _FRONT_VIEW["R" + name[1:]]
        return -x, y
    return _FRONT_VIEW[name]


def draw_joint_sets():
    """A matplotlib Figure: every joint set as a numbered stick figure that faces the reader."""
    from matplotlib.figure import Figure

    sets = [*JOINT_SETS.items(), ("smpl (body model)", SMPL_24)]
    figure = Figure(figsize=(13, 13), layout="constrained")
    for axes, (title, joints) in zip(figure.subplots(2, 3).flat, sets, strict=True):
        _draw_joint_set(axes, title, joints)
    figure.suptitle("Joint numbers, person facing the reader: right is red, left is blue", fontsize=15)
    return figure


def _draw_joint_set(axes, title: str, joints: JointSet) -> None:
    places = [_place(name) for name in joints.names]
    for a, b in joints.bones:
        axes.plot(*zip(places[a], places[b], strict=True), color="0.75", linewidth=3, zorder=1)
    for i, (name, (x, y)) in enumerate(zip(joints.names, places, strict=True)):
        color = {"R_": "#c0392b", "L_": "#2060b0"}.get(name[:2], "#404040")
        axes.scatter(x, y, s=300, color=color, zorder=2)
        axes.text(x, y, str(i), color="white", ha="center", va="center", fontsize=10, zorder=3)
    axes.set_title(f"{title}, {len(joints)} joints", fontsize=13)
    axes.set(xlim=(-5.2, 5.2), ylim=(-10.4, 10.6), aspect="equal")
    axes.axis("off")


def formula_text(formula: Formula) -> str:
    """`0.75 L_Ear + 0.75 R_Ear - 0.5 Neck`."""
    text = " ".join(f"{'-' if w < 0 else '+'} {'' if abs(w) == 1 else f'{abs(w):g} '}{n}" for n, w in formula.items())
    return text.removeprefix("+ ")


def _table(header: list[str], rows: list[list]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def generated_blocks() -> dict[str, str]:
    """Block name -> Markdown, for every generated block of docs/joints.md."""
    most = max(len(joints) for joints in JOINT_SETS.values())
    numbers = [[i, *(s.names[i] if i < len(s) else "" for s in JOINT_SETS.values())] for i in range(most)]
    conversions = [
        [source, joint, n + 1, formula_text(formula)]
        for source, table in CONVERSIONS.items()
        for joint, formulas in table.items()
        for n, formula in enumerate(formulas)
    ]
    body = [
        [joint, " *or* ".join(formula_text(f) for f in imputation.BODY_RULES[joint])]
        for joint in HUMAN36M_17.names
        if joint in imputation.BODY_RULES
    ]
    limits = [
        ["largest input, unpacked", f"{formats.MAX_BYTES // 2**20} MiB"],
        ["missing frames between two known ones that are bridged in time", imputation.MAX_GAP],
        ["joints of a frame that may come from the rest of the body", imputation.MAX_FROM_BODY],
        ["joints farther than this outside the picture are counted", f"{prepare.MARGIN:.0%} of its size"],
        ["how many of all joints may be that far outside", f"{prepare.MAX_OUTSIDE:.0%}"],
        ["step from frame to frame within one person, no track ids", f"{readers.MAX_STEP:g} of the box's diagonal"],
        ["pause after which it is somebody new, no track ids", f"{readers.MAX_PAUSE} frames"],
    ]
    return {
        "joint numbers": _table(["", *JOINT_SETS], numbers),
        "conversions": _table(["joint set", "Human3.6M joint", "choice", "formula"], conversions),
        "body rules": _table(["missing joint", "taken as"], body),
        "limits": _table(["limit", "value"], limits),
    }


def with_generated_blocks(text: str) -> str:
    """Markdown with the text between `<!-- NAME -->` and `<!-- end -->` replaced for every generated block."""
    for name, block in generated_blocks().items():
        pattern = rf"<!-- {name} -->\n.*?<!-- end -->"
        text, count = re.subn(pattern, lambda _, n=name, b=block: f"<!-- {n} -->\n{b}\n<!-- end -->", text, flags=re.S)
        if count != 1:
            raise ValueError(f"block '{name}' is there {count} times, must be once")
    return text


def main() -> None:
    """Rewrite docs/joints.md and docs/joints.png of this checkout."""
    docs = Path(__file__).resolve().parents[3] / "docs"
    page = docs / "joints.md"
    page.write_text(with_generated_blocks(page.read_text(encoding="utf-8")), encoding="utf-8")
    draw_joint_sets().savefig(docs / "joints.png", dpi=70)


if __name__ == "__main__":
    main()
