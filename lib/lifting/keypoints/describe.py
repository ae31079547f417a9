"""The tables and the image of docs/joints.md, made from the code's own data.

`python -m lib.lifting.keypoints.describe` rewrites both; a test fails while they disagree.
"""

import re
from pathlib import Path

from lib.joints import HUMAN36M_17, JOINT_SETS, SMPL_24, JointSet, imputation
from lib.joints.conversion import CONVERSIONS, Formula
from lib.lifting import tracking
from lib.lifting.keypoints import conventions, prepare
from lib.lifting.keypoints.formats import detections

_FRONT_VIEW: dict[str, tuple[float, float]] = {
    "Pelvis": (0, 0), "Torso": (0, 3), "Neck": (0, 6), "Nose": (0, 7.9), "Head": (0, 9.7), "R_Eye": (-0.75, 8.5),
    "R_Ear": (-1.6, 8.1), "R_Shoulder": (-2.3, 5.6), "R_Elbow": (-3.4, 3.2), "R_Wrist": (-4.1, 0.8),
    "R_Hip": (-1.3, -0.4), "R_Knee": (-1.6, -4.2), "R_Ankle": (-1.8, -8), "R_Heel": (-1.1, -8.9),
    "R_BigToe": (-2.4, -9.6), "R_SmallToe": (-3.5, -9), "Spine1": (0, 1.5), "Spine2": (0, 3), "Spine3": (0, 4.3),
    "R_Collar": (-1.1, 5.3), "R_Foot": (-2.4, -9.4), "R_Hand": (-4.4, -0.7), "UpperNeck": (0, 6.9),
    "R_EyeInner": (-0.4, 9.5), "R_EyeOuter": (-1.4, 9.1), "R_Mouth": (-0.5, 7.2), "R_Pinky": (-4.9, -0.3),
    "R_Index": (-4.5, -1.1), "R_Thumb": (-3.6, -0.4), "R_FootBase": (-2.1, -8.9), "Spine": (0.9, 1.0),
    "R_HandBase": (-4.9, 0.6), "R_HandEnd": (-4.6, -1.5),
}  # fmt: skip
"""Place of a joint in the image, seen from the front; left joints mirror the right ones. Face and fingers have none."""


def _place(name: str) -> tuple[float, float] | None:
    place = _FRONT_VIEW.get("R" + name[1:] if name.startswith("L_") else name)
    if place is None:
        return None
    x, y = place
    return (-x, y) if name.startswith("L_") else (x, y)


def runs(names: tuple[str, ...]) -> list[tuple[int, int, str]]:
    """(first, last, text) for every joint, or for a whole run of face or finger joints: 23, 90, "68 face landmarks"."""
    words = {
        "Face": "face landmarks (300-W)",
        "L_Hand": "joints of the left hand",
        "R_Hand": "joints of the right hand",
    }
    out: list[tuple[int, int, str]] = []
    for i, name in enumerate(names):
        match = re.fullmatch(r"(?:[LR]_)?(Face)_\d+|([LR]_Hand)_\d+", name)
        kind = words[match[1] or match[2]] if match else None
        if kind and out and out[-1][2] == kind:
            out[-1] = (out[-1][0], i, kind)
        else:
            out.append((i, i, kind or name))
    return [(a, b, f"{b - a + 1} {text}" if b > a else text) for a, b, text in out]


def draw_joint_sets():
    """A matplotlib Figure: every keypoint convention as a numbered stick figure that faces the reader."""
    from matplotlib.figure import Figure

    sets = [*JOINT_SETS.items(), ("smpl (body model)", SMPL_24)]
    columns = 5
    lines = -(-len(sets) // columns)
    figure = Figure(figsize=(4.4 * columns, 7.2 * lines), layout="constrained")
    panels = figure.subplots(lines, columns).ravel()
    for axes, (title, joints) in zip(panels, sets, strict=False):
        _draw_joint_set(axes, title, joints)
    for axes in panels[len(sets) :]:
        axes.remove()
    figure.suptitle("Joint numbers, person facing the reader: right is red, left is blue", fontsize=20)
    return figure


def _draw_joint_set(axes, title: str, joints: JointSet) -> None:
    places = [_place(name) for name in joints.names]
    for a, b in joints.bones:
        start, end = places[a], places[b]
        if start is None or end is None:
            continue
        axes.plot(*zip(start, end, strict=True), color="0.75", linewidth=3, zorder=1)
    for i, (name, place) in enumerate(zip(joints.names, places, strict=True)):
        if place is None:
            continue
        x, y = place
        color = {"R_": "#c0392b", "L_": "#2060b0"}.get(name[:2], "#404040")
        axes.scatter(x, y, s=260, color=color, zorder=2)
        axes.text(x, y, str(i), color="white", ha="center", va="center", fontsize=9, zorder=3)
    whole = [f"{a}-{b}: {text}" for a, b, text in runs(joints.names) if b > a]
    axes.set_title(f"{title}, {len(joints)} joints", fontsize=14)
    axes.annotate("\n".join(whole), (0, -10.6), ha="center", va="top", fontsize=11, annotation_clip=False)
    axes.set(xlim=(-5.4, 5.4), ylim=(-12.4 if whole else -10.4, 10.6), aspect="equal")
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
    numbers = [
        [name, len(joints), ", ".join(f"{a} {t}" if a == b else f"{a}-{b}: {t}" for a, b, t in runs(joints.names))]
        for name, joints in JOINT_SETS.items()
    ]
    conversions = [
        [", ".join(s for s, t in CONVERSIONS.items() if t == table), joint, n + 1, formula_text(formula)]
        for source, table in CONVERSIONS.items()
        if table not in list(CONVERSIONS.values())[: list(CONVERSIONS).index(source)]
        for joint, formulas in table.items()
        for n, formula in enumerate(formulas)
    ]
    body = [
        [joint, " *or* ".join(formula_text(f) for f in imputation.BODY_RULES[joint])]
        for joint in HUMAN36M_17.names
        if joint in imputation.BODY_RULES
    ]
    limits: list[list] = [
        ["largest input, unpacked", f"{detections.MAX_BYTES // 2**20} MiB"],
        ["detections that must have the same number of joints", f"{detections.MIN_AGREEING:.0%}"],
        ["a convention is ruled out if another looks more like people", f"{conventions.CLEAR:g} times"],
        ["time without a joint between two known frames that is bridged", f"{imputation.MAX_GAP:g} s"],
        ["step from frame to frame up to which one missing frame is bridged", f"{imputation.MAX_STEP:g} s"],
        [
            "joints of a frame that must be seen or bridged (`--min-joints`)",
            f"{imputation.MIN_JOINTS} of {len(HUMAN36M_17)}",
        ],
        ["joints farther than this outside the image are counted", f"{prepare.MARGIN:.0%} of its size"],
        ["how many of all joints may be that far outside", f"{prepare.MAX_OUTSIDE:.0%}"],
        ["distance from where a person is expected, no track ids", f"{tracking.REACH:g} of the box's diagonal"],
        ["pause after which a person gets a new number, no track ids", f"{tracking.MAX_GAP:g} s"],
    ]
    return {
        "joint numbers": _table(["convention", "joints", "order"], numbers),
        "conversions": _table(["convention", "Human3.6M joint", "choice", "formula"], conversions),
        "body rules": _table(["missing joint", "taken as"], body),
        "limits": _table(["limit", "value"], limits),
    }


def with_generated_blocks(text: str) -> str:
    """Markdown with the text between `<!-- NAME -->` and `<!-- end -->` replaced for every generated block."""
    for name, block in generated_blocks().items():
        pattern = rf"<!-- {name} -->\n.*?<!-- end -->"
        new = f"<!-- {name} -->\n{block}\n<!-- end -->".replace("\\", r"\\")
        text, count = re.subn(pattern, new, text, flags=re.DOTALL)
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
