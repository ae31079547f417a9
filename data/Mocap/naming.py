"""What the joints of motion-capture files are called, family by family."""

from dataclasses import dataclass

import numpy as np

from data.Mocap.skeleton import Skeleton


class UnusableSkeleton(ValueError):
    """A skeleton that was read without error but cannot become Human3.6M joints; the message follows a file's name."""


@dataclass(frozen=True)
class Convention:
    """What one family of files calls the joints this project needs, in normalised spelling (see `_normalise`).

    `{s}` in a limb joint's name is replaced by `side` = (left, right). hip ... wrist: where the thigh, shin, foot, upper arm,
    forearm and hand begin; collar, toe, hand (a point further out in the hand's direction) may be missing from a file.
    spine: the up to three joints that turn the trunk, bottom up; neck, head: the joints that turn neck and head.
    torso_at, neck_at: the Human3.6M joints Torso and Neck as weights of joints; head_at, nose_at: Head and Nose, of files that
    have such points (others get them from the head's rotation).
    """

    side: tuple[str, str]
    hip: str
    knee: str
    ankle: str
    toe: str
    collar: str
    shoulder: str
    elbow: str
    wrist: str
    hand: str
    spine: tuple[str, ...]
    neck: str
    head: str
    torso_at: dict[str, float]
    neck_at: dict[str, float]
    head_at: dict[str, float] | None = None
    nose_at: dict[str, float] | None = None

    def limb(self, part: str, left: bool) -> str:
        return getattr(self, part).format(s=self.side[0 if left else 1])

    def required(self) -> list[str]:
        limbs = [
            self.limb(part, left)
            for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
            for left in (True, False)
        ]
        return [*limbs, self.head, *self.torso_at, *self.neck_at, *(self.head_at or ()), *(self.nose_at or ())]


CONVENTIONS = {
    "Acclaim (CMU, HDM05)": Convention(
        side=("l", "r"), hip="{s}femur", knee="{s}tibia", ankle="{s}foot", toe="{s}toes", collar="{s}clavicle",
        shoulder="{s}humerus", elbow="{s}radius", wrist="{s}hand", hand="{s}fingers",
        spine=("lowerback", "upperback", "thorax"), neck="upperneck", head="head",
        torso_at={"upperback": 1}, neck_at={"lowerneck": 1},
    ),
    "CMU as BVH": Convention(
        side=("left", "right"), hip="{s}upleg", knee="{s}leg", ankle="{s}foot", toe="{s}toebase", collar="{s}shoulder",
        shoulder="{s}arm", elbow="{s}forearm", wrist="{s}fingerbase", hand="{s}handindex1",
        spine=("lowerback", "spine", "spine1"), neck="neck1", head="head",
        torso_at={"spine": 1}, neck_at={"neck": 1},
    ),
    "Poser / DAZ": Convention(
        side=("l", "r"), hip="{s}thigh", knee="{s}shin", ankle="{s}foot", toe="{s}toe", collar="{s}collar",
        shoulder="{s}shldr", elbow="{s}forearm", wrist="{s}hand", hand="{s}mid1",
        spine=("abdomen", "chest"), neck="neck", head="head",
        torso_at={"abdomen": 0.4, "chest": 0.6}, neck_at={"lcollar": 0.5, "rcollar": 0.5},
    ),
    "MotionBuilder / Mixamo": Convention(
        side=("left", "right"), hip="{s}upleg", knee="{s}leg", ankle="{s}foot", toe="{s}toebase", collar="{s}shoulder",
        shoulder="{s}arm", elbow="{s}forearm", wrist="{s}hand", hand="{s}handmiddle1",
        spine=("spine", "spine1", "spine2"), neck="neck", head="head",
        torso_at={"spine1": 1}, neck_at={"neck": 1},
    ),
    "Biovision": Convention(
        side=("left", "right"), hip="{s}hip", knee="{s}knee", ankle="{s}ankle", toe="{s}toe", collar="{s}collar",
        shoulder="{s}shoulder", elbow="{s}elbow", wrist="{s}wrist", hand="{s}hand",
        spine=("chest", "chest2", "chest3"), neck="neck", head="head",
        torso_at={"chest": 1}, neck_at={"neck": 1},
    ),
    "SMPL": Convention(
        side=("l", "r"), hip="{s}hip", knee="{s}knee", ankle="{s}ankle", toe="{s}foot", collar="{s}collar",
        shoulder="{s}shoulder", elbow="{s}elbow", wrist="{s}wrist", hand="{s}hand",
        spine=("spine1", "spine2", "spine3"), neck="neck", head="head",
        torso_at={"spine2": 1}, neck_at={"neck": 1},
    ),
    "Human3.6M (this project's own BVH)": Convention(
        side=("l", "r"), hip="{s}hip", knee="{s}knee", ankle="{s}ankle", toe="{s}toe", collar="neck{s}shoulder",
        shoulder="{s}shoulder", elbow="{s}elbow", wrist="{s}wrist", hand="{s}hand",
        spine=("pelvistorso", "torso"), neck="necknose", head="nose",
        torso_at={"torso": 1}, neck_at={"neck": 1}, head_at={"head": 1}, nose_at={"nose": 1},
    ),
}  # fmt: skip
"""The known families; a file belongs to the first one all of whose required joints it has."""


def _normalise(name: str) -> str:
    """Lower case without namespace (`mixamorig:`) and punctuation, so that L_Hip, LHip and lhip are one name."""
    return "".join(c for c in name.rsplit(":", 1)[-1].lower() if c.isalnum())


@dataclass(frozen=True)
class NamedSkeleton:
    """A skeleton with its family and the index of every joint by normalised name."""

    skeleton: Skeleton
    convention: Convention
    index: dict[str, int]

    def limb(self, part: str, left: bool) -> int | None:
        """Index of a limb's joint such as ("knee", left=True); None when the file lacks it."""
        return self.index.get(self.convention.limb(part, left))

    def head_top(self) -> int | None:
        """Index of the joint at the top of the head, the end of a plausibly long bone above the head's joint, or None."""
        for name in ("headend", "headtopend"):
            j = self.index.get(name)
            if j is not None and 0.05 <= np.linalg.norm(self.skeleton.offsets[j]) <= 0.35:
                return j
        return None


def name_joints(skeleton: Skeleton) -> NamedSkeleton:
    """Find the naming family of a skeleton; UnusableSkeleton when there is none."""
    index = {_normalise(name): j for j, name in reversed(list(enumerate(skeleton.names)))}
    best = None
    for family, convention in CONVENTIONS.items():
        missing = [name for name in convention.required() if name not in index]
        if not missing:
            return NamedSkeleton(skeleton, convention, index)
        if best is None or len(missing) < len(best[1]):
            best = (family, missing)
    raise UnusableSkeleton(
        f"the joints have names of no known family; nearest is {best[0]}, which lacks {', '.join(best[1][:4])}"
    )
