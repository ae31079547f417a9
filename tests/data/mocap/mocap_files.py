"""Hand-made motion-capture texts for the tests: a person with CMU's names in .asf/.amc and with BVH names."""

import numpy as np

# name, parent, direction, length in units of 1/0.45 inch, axis about z in degrees, degrees of freedom.
# Legs splayed by 30 degrees: (sin 30, -cos 30); thigh and shin 7 units = 0.395 m.
SIN, COS = 0.5, np.sqrt(3) / 2
BONES = [
    ("lowerback", "root", (0, 1, 0), 3, 0, "rx ry rz"),
    ("upperback", "lowerback", (0, 1, 0), 3, 0, "rx ry rz"),
    ("thorax", "upperback", (0, 1, 0), 4, 0, "rx ry rz"),
    ("lowerneck", "thorax", (0, 1, 0), 1.5, 0, "rx ry rz"),
    ("upperneck", "lowerneck", (0, 1, 0), 1.5, 0, "rx ry rz"),
    ("head", "upperneck", (0, 1, 0), 2, 0, "rx ry rz"),
]
for side, x in (("l", 1), ("r", -1)):
    BONES += [
        (f"{side}hipjoint", "root", (x, 0, 0), 1.6, 0, ""),
        (f"{side}femur", f"{side}hipjoint", (x * SIN, -COS, 0), 7, x * 30, "rx ry rz"),
        (f"{side}tibia", f"{side}femur", (x * SIN, -COS, 0), 7, x * 30, "rx"),
        (f"{side}foot", f"{side}tibia", (0, 0, 1), 2, x * 30, "rx rz"),
        (f"{side}clavicle", "thorax", (x, 0, 0), 3, 0, "ry rz"),
        (f"{side}humerus", f"{side}clavicle", (x, 0, 0), 5, 0, "rx ry rz"),
        (f"{side}radius", f"{side}humerus", (x, 0, 0), 3, 0, "rx"),
        (f"{side}wrist", f"{side}radius", (x, 0, 0), 1.5, 0, "ry"),
        (f"{side}hand", f"{side}wrist", (x, 0, 0), 1.5, 0, "rx rz"),
    ]


def person_asf() -> str:
    """The skeleton as .asf text."""
    lines = [":version 1.10", ":units", "  length 0.45", "  angle deg", ":root", "  order TX TY TZ RX RY RZ"]
    lines += ["  axis XYZ", "  position 0 0 0", "  orientation 0 0 0", ":bonedata"]
    for name, _, direction, length, axis, dof in BONES:
        lines += ["  begin", f"    name {name}", "    direction {} {} {}".format(*direction), f"    length {length}"]
        lines += [f"    axis 0 0 {axis} XYZ", *([f"    dof {dof}", "    limits (-180 180)"] if dof else []), "  end"]
    lines += [":hierarchy", "  begin"]
    for parent in dict.fromkeys(bone[1] for bone in BONES):
        lines.append(f"    {parent} " + " ".join(bone[0] for bone in BONES if bone[1] == parent))
    return "\n".join([*lines, "  end", ""])


def person_amc(frames: list[dict[str, str]]) -> str:
    """Frames as .amc text; a frame gives the numbers of bones by name, the others are zero, the root stands at 14 units."""
    lines = ["#!OML:ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    for number, frame in enumerate(frames, start=1):
        lines += [str(number), "root " + frame.get("root", "0 14 0 0 0 0")]
        for name, _, _, _, _, dof in BONES:
            if dof:
                lines.append(f"{name} " + frame.get(name, " ".join("0" for _ in dof.split())))
    return "\n".join([*lines, ""])


# name, parent, offset in units of 1/0.45 inch: the names of CMU's BVH conversions, T-pose. `whole` False: as amc2bvh leaves it.
def person_bvh_joints(whole: bool) -> list[tuple[str, str, tuple[float, float, float]]]:
    thorax, third = (0, 4.048, 0) if whole else (0, 0, 0), 1.5 if whole else 0
    joints = [
        ("Hips", "", (0, 0, 0)),
        ("LowerBack", "Hips", (0, 0, 0)),
        ("Spine", "LowerBack", (0, 2, 0)),
        ("Spine1", "Spine", (0, 4, 0)),
        ("Neck", "Spine1", thorax),
        ("Neck1", "Neck", (0, 1.5, 0)),
        ("Head", "Neck1", (0, 1.5, 0)),
        ("End Site", "Head", (0, 2, 0)),
    ]
    for side, x in (("Left", 1), ("Right", -1)):
        joints += [
            (f"{side}UpLeg", "Hips", (x * 1.6, 0, 0)),
            (f"{side}Leg", f"{side}UpLeg", (0, -7, 0)),
            (f"{side}Foot", f"{side}Leg", (0, -7, 0)),
            (f"{side}Shoulder", "Spine1", thorax),
            (f"{side}Arm", f"{side}Shoulder", (x * 3, 0, 0)),
            (f"{side}ForeArm", f"{side}Arm", (x * 5, 0, 0)),
            (f"{side}Hand", f"{side}ForeArm", (x * 3, 0, 0)),
            (f"{side}FingerBase", f"{side}Hand", (x * third, 0, 0)),
        ]
    return joints


def person_bvh(frames: int = 3, whole: bool = True, unit: float = 1.0, fps: float = 30.0) -> str:
    """The person standing still as BVH text, lengths divided by `unit`, the root at (0, 14, 0)."""
    joints = person_bvh_joints(whole)
    lines = ["HIERARCHY"]

    def write(name, offset, depth):
        pad = "\t" * depth
        label = name if name == "End Site" else f"{'JOINT' if depth else 'ROOT'} {name}"
        lines.extend([f"{pad}{label}", f"{pad}{{", f"{pad}\tOFFSET " + " ".join(str(v / unit) for v in offset)])
        if name != "End Site":
            position = "" if depth else "Xposition Yposition Zposition "
            lines.append(f"{pad}\tCHANNELS {3 if depth else 6} {position}Zrotation Yrotation Xrotation")
        for child, parent, child_offset in joints:
            if parent == name:
                write(child, child_offset, depth + 1)
        lines.append(f"{pad}}}")

    write("Hips", (0, 0, 0), 0)
    count = 3 + 3 * sum(name != "End Site" for name, _, _ in joints)
    row = " ".join(["0", str(14 / unit), "0", *["0"] * (count - 3)])
    return "\n".join([*lines, "MOTION", f"Frames: {frames}", f"Frame Time: {1 / fps:.8f}", *[row] * frames, ""])
