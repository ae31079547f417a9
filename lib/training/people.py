"""New people at every step: SMPL-style parameters of the training frames, recombined, bent, turned and rebuilt.

Nine people walk into a motion-capture studio and every network knows their limbs by heart. Here arms, legs, trunk and
head of different frames meet in one person (left and right may change sides), joints turn a little further within what
a body can do, some people lie down or stand on their hands, and builds range from children to giants. The joints come
from the recorded skeletons themselves, so that they are where motion capture puts them.
"""

from dataclasses import dataclass

import torch

from lib.device import to_device
from lib.joints import HUMAN36M_17, SMPL_24
from smplpytorch.smplpytorch.flexible_body import FlexibleBody
from smplpytorch.smplpytorch.pytorch.lbs import axis_angle_to_matrix, forward_kinematics

_S, _H = ({name: k for k, name in enumerate(s.names)} for s in (SMPL_24, HUMAN36M_17))

_BONE_FRAMES = {
    "Torso": "Pelvis", "Neck": "Spine2", "Nose": "Neck", "Head": "Head", "L_Shoulder": "Spine3",
    "R_Shoulder": "Spine3", "L_Hip": "Pelvis", "R_Hip": "Pelvis", "L_Elbow": "L_Shoulder", "R_Elbow": "R_Shoulder",
    "L_Wrist": "L_Elbow", "R_Wrist": "R_Elbow", "L_Knee": "L_Hip", "R_Knee": "R_Hip", "L_Ankle": "L_Knee",
    "R_Ankle": "R_Knee",
}  # fmt: skip
"""Human3.6M joint -> the SMPL joint that its bone turns with. Measured on motion capture: limbs keep their length and
direction in that frame to 2 mm, the trunk to 15 mm."""

_BONE_PROPORTIONS = {
    "Torso": "trunk", "Neck": "trunk", "Nose": "head", "Head": "head", "Shoulder": "shoulders", "Elbow": "upper_arm",
    "Wrist": "forearm", "Knee": "thigh", "Ankle": "shin",
}  # fmt: skip

_MIRROR = (1.0, -1.0, -1.0)
"""Signs of a rotation vector's components after mirroring in x."""

_PARTS = {
    "trunk": ("Spine1", "Spine2", "Spine3"),
    "head": ("Neck", "Head"),
    **{f"{s}_leg": tuple(f"{s}_{j}" for j in ("Hip", "Knee", "Ankle", "Foot")) for s in "LR"},
    **{f"{s}_arm": tuple(f"{s}_{j}" for j in ("Collar", "Shoulder", "Elbow", "Wrist", "Hand")) for s in "LR"},
}

_PAIRS = tuple(tuple(list(_PARTS).index(f"{side}_{limb}") for side in "LR") for limb in ("leg", "arm"))
"""Positions in _PARTS of both legs and of both arms."""

_LEFT_LIMITS = {
    "Spine1": ((-20, 65), (-25, 25), (-25, 25)), "Spine2": ((-20, 25), (-18, 18), (-18, 18)),
    "Spine3": ((-25, 20), (-12, 12), (-15, 15)), "Neck": ((-40, 40), (-50, 50), (-30, 30)),
    "Head": ((-30, 30), (-35, 35), (-20, 20)), "L_Hip": ((-125, 30), (-40, 40), (-25, 55)),
    "L_Knee": ((-2, 150), (-5, 5), (-4, 4)), "L_Ankle": ((-40, 45), (-35, 35), (-12, 12)),
    "L_Foot": ((-30, 40), (0, 0), (0, 0)), "L_Collar": ((-12, 12), (-10, 10), (-12, 20)),
    "L_Shoulder": ((-85, 75), (-115, 35), (-95, 60)), "L_Elbow": ((-5, 5), (-140, -2), (-5, 78)),
    "L_Wrist": ((-75, 60), (-50, 40), (-35, 50)), "L_Hand": ((0, 0), (0, 0), (0, 0)),
}  # fmt: skip
"""Least and largest component of a joint's rotation vector about x, y, z of the rest pose, degrees: what recorded people
do, a little widened. The right side mirrors the left."""

_SPREAD = {
    "Spine1": 6, "Spine2": 3, "Spine3": 3, "Neck": 6, "Head": 5, "Hip": 10, "Knee": 14, "Ankle": 8, "Foot": 4,
    "Collar": 3, "Shoulder": 14, "Elbow": 14, "Wrist": 8, "Hand": 0,
}  # fmt: skip
"""Standard deviation of the change of a joint's rotation, degrees; the knee's about its hinge alone."""

_SITTING = ((50.0, 30.0, 0.0, -15.0), (120.0, 140.0, 50.0, 15.0))
"""Least and most of legs bent as on a chair or in a squat, degrees: hip, knee, legs apart, feet inwards."""

_FREE = (("Hip", "Knee"), ("Shoulder", "Elbow"))
"""Joints of a limb that may be anywhere within their limits."""

_PLACING = {
    "Torso": 0.012, "Neck": 0.01, "Nose": 0.015, "Head": 0.008, "Shoulder": 0.015, "Hip": 0.012, "Elbow": 0.005,
    "Wrist": 0.005, "Knee": 0.005, "Ankle": 0.005,
}  # fmt: skip
"""Standard deviation, in metres along each axis, of where capture systems put a joint, seen from the one before it."""

TRUNK_RADIUS, LIMB_RADIUS = 0.095, 0.05
"""Metres, of a person of 1.7 m: a hand, an elbow or a knee closer to the trunk's line or to the head is inside it."""


@dataclass(frozen=True)
class PeopleRange:
    """How far new people go from the recorded ones. Angles in degrees, sizes as fractions.

    Probabilities: part, that one comes from another frame; free, that a limb is anywhere within its limits; sit, that both
    legs are bent as on a chair or in a squat; tilt, that the whole body is turned by up to half a turn about a horizontal
    axis; lie, by a quarter turn; child, giant: of a stature in those ranges; regressed, that the joints are where the body's
    own regressor has them, as in data sets of SMPL parameters, and not where motion capture puts them. Standard deviations:
    bend, of changes of joints, over _SPREAD; lean, of the turn of all others; stature, length, width: of stature, of each
    bone's length and of girth; beta: of shape parameters; placing: of where captured joints are, over _PLACING.
    """

    part: float = 0.5
    free: float = 0.2
    sit: float = 0.15
    tilt: float = 0.12
    lie: float = 0.15
    lean: float = 8.0
    bend: float = 0.75
    child: float = 0.08
    giant: float = 0.04
    child_stature: tuple[float, float] = (-0.4, -0.1)
    giant_stature: tuple[float, float] = (0.08, 0.2)
    stature: float = 0.05
    length: float = 0.05
    width: float = 0.12
    beta: float = 0.7
    placing: float = 1.0
    regressed: float = 0.35


@dataclass(frozen=True)
class People:
    """K people: pose3d (K, 17, 3) and meshes (K, R, 3) metres, camera axes, relative to the pelvis; landmarks (K, L, 3)
    likewise, what a detector sees of them (FlexibleBody.landmark_names); up (K, 3): the vertical in camera axes."""

    pose3d: torch.Tensor
    meshes: tuple[torch.Tensor, ...]
    landmarks: torch.Tensor
    up: torch.Tensor


class PeopleMaker:
    """Makes people out of the samples' parameters: pose (N, 72), betas (N, S), pose3d (N, 17, 3), up (N, 3) of all samples with
    SMPL parameters, as in PoseTable.

    Samples with the same betas are one person; a person's skeleton is the median of their bones, each in the frame of the
    SMPL joint it turns with.
    """

    def __init__(
        self,
        body: FlexibleBody,
        pose: torch.Tensor,
        betas: torch.Tensor,
        pose3d: torch.Tensor,
        up: torch.Tensor,
        ranges: PeopleRange | None = None,
    ):
        self.body, self.ranges, self.up, device = body, ranges or PeopleRange(), up, pose.device
        self.pose = pose.unflatten(1, (-1, 3))
        self.betas, self.person = torch.unique(betas, dim=0, return_inverse=True)

        def index(values) -> torch.Tensor:
            return torch.tensor(list(values), device=device)

        self.bones = [(parent, joint) for parent, joint in HUMAN36M_17.bones]
        self.frames = index(_S[_BONE_FRAMES[HUMAN36M_17.names[joint]]] for _, joint in self.bones)
        self.mirror = torch.as_tensor(SMPL_24.flip_permutation, device=device)
        self.part = index(
            next((i for i, joints in enumerate(_PARTS.values()) if name in joints), len(_PARTS))
            for name in SMPL_24.names
        )
        self.signs = torch.tensor(_MIRROR, device=device)  # of a rotation vector; a point's are the opposite
        self.limbs = [index(_S[f"{side}_{joint}"] for joint in limb) for limb in _FREE for side in "LR"]
        self.sitting = torch.deg2rad(torch.tensor(_SITTING, device=device))
        self.limits, self.spread = _limits().to(device), _spread().to(device)
        names = [HUMAN36M_17.names[joint] for _, joint in self.bones]
        self.placing = torch.tensor([[_PLACING[name.split("_")[-1]]] * 3 for name in names], device=device)
        self.right = torch.tensor([name.startswith("R_") for name in names], device=device)
        self.partner = index(names.index(name.replace("R_", "L_")) for name in names)
        self.factors = _bone_factors(body, self.bones).to(device)
        self.skeletons = self._skeletons(pose3d)

    def _skeletons(self, pose3d: torch.Tensor, batch: int = 4096) -> torch.Tensor:
        """(P, 16, 3): each person's bones in their SMPL frames, from joints (N, 17, 3)."""
        ends = torch.tensor(self.bones, device=pose3d.device)
        found = []
        for i in range(0, len(pose3d), batch):
            world = self._world(axis_angle_to_matrix(self.pose[i : i + batch]))[:, self.frames]
            bones = pose3d[i : i + batch, ends[:, 1]] - pose3d[i : i + batch, ends[:, 0]]
            found.append((world.transpose(-1, -2) @ bones.unsqueeze(-1)).squeeze(-1))
        by_person = torch.cat(found)[torch.argsort(self.person)].split(torch.bincount(self.person).tolist())
        return torch.stack([bones.median(0).values for bones in by_person])

    def landmarks(self, rows: torch.Tensor, mirrored: torch.Tensor, pose3d: torch.Tensor) -> torch.Tensor:
        """(K, L, 3) of samples `rows` (K,), mirrored where (K,) bool is set, with joints pose3d (K, 17, 3)."""
        person = self.betas[self.person[rows]]
        shape = torch.cat([person, person.new_zeros(len(person), len(self.body.proportions))], dim=1)
        world = self._world(axis_angle_to_matrix(self._recorded(rows, mirrored)))
        return self.body.landmarks(pose3d, world, shape)

    def make(self, rows: torch.Tensor, mirrored: torch.Tensor, generator: torch.Generator) -> People:
        """K new people who begin as samples `rows` (K,), mirrored where (K,) bool is set.

        A person that would reach into themselves becomes the recorded pose again, in the new build. The random numbers
        come from a CPU generator, so they are the same for every device.
        """
        start = self._recorded(rows, mirrored)
        up = self.up[rows]
        up = torch.where(mirrored[:, None], up * -self.signs, up)
        K, device = len(start), start.device

        def uniform(*shape: int) -> torch.Tensor:
            return to_device(torch.rand(K, *shape, generator=generator), device)

        def normal(*shape: int) -> torch.Tensor:
            return to_device(torch.randn(K, *shape, generator=generator), device)

        bent = self._bend(self._recombine(start, generator, uniform), uniform, normal)
        shape, skeleton = self._build(generator, uniform, normal)
        rotations = axis_angle_to_matrix(torch.cat([bent, self._clamp(start)]))
        rotations[:, 0] = (self._turn(uniform, normal, up) @ rotations[K:, 0]).repeat(2, 1, 1)
        world = self._world(rotations)
        joints = self._joints(world, skeleton.repeat(2, 1, 1))
        size = 1 + shape[:, self.body.num_betas + self.body.proportions.index("stature")]
        impossible = inside_itself(joints[:K], size)

        def possible(values: torch.Tensor) -> torch.Tensor:
            return torch.where(impossible.view(-1, *[1] * (values.ndim - 1)), values[K:], values[:K])

        body, pose3d = self.body.pose(possible(rotations), shape), possible(joints)
        meshes = body.meshes
        if body.joints is not None:
            own, pelvis = uniform(1, 1) < self.ranges.regressed, body.joints[:, [HUMAN36M_17.root]]
            pose3d = torch.where(own, body.joints - pelvis, pose3d)
            meshes = tuple(torch.where(own, mesh - pelvis, mesh) for mesh in meshes)
        return People(pose3d, meshes, self.body.landmarks(pose3d, body.world, shape), up)

    def _recorded(self, rows: torch.Tensor, mirrored: torch.Tensor) -> torch.Tensor:
        """Rotation vectors (K, 24, 3) of samples."""
        vectors = self.pose[rows]
        other = vectors[:, self.mirror] * self.signs
        return torch.where(mirrored[:, None, None], other, vectors)

    def _world(self, rotations: torch.Tensor) -> torch.Tensor:
        """Rotations (K, 24, 3, 3) relative to the parents to rotations in camera axes."""
        rest = rotations.new_zeros(*rotations.shape[:2], 3)
        return forward_kinematics(rotations, rest, self.body.parents)[1]

    def _recombine(self, start: torch.Tensor, generator: torch.Generator, uniform) -> torch.Tensor:
        """Rotation vectors (K, 24, 3) whose parts come from several frames, as recorded or mirrored."""
        K, parts = len(start), len(_PARTS)
        pair = uniform(len(_PAIRS)) < 0.6  # both legs, both arms of one frame

        def paired(values: torch.Tensor) -> torch.Tensor:
            for i, (left, right) in enumerate(_PAIRS):
                values[:, right] = torch.where(pair[:, i], values[:, left], values[:, right])
            return values

        donors = paired(to_device(torch.randint(len(self.pose), (K, parts + 1), generator=generator), start.device))
        taken, mirrored = paired(uniform(parts + 1) < self.ranges.part), paired(uniform(parts + 1) < 0.5)
        taken[:, parts] = False  # the root stays
        donor, taken, mirrored = (x[:, self.part] for x in (donors, taken, mirrored))  # (K, 24)
        joint = torch.where(mirrored, self.mirror, torch.arange(len(self.part), device=start.device))
        other = self.pose[donor, joint]
        other = torch.where(mirrored[..., None], other * self.signs, other)
        return torch.where(taken[..., None], other, start)

    def _bend(self, vectors: torch.Tensor, uniform, normal) -> torch.Tensor:
        """Joints turned a little further, legs bent as when sitting, all within the limits."""
        vectors = vectors + normal(*self.spread.shape) * self.spread * (2 * self.ranges.bend * uniform(1, 1))
        sits = (uniform(1) < self.ranges.sit)[..., None]
        both, each = uniform(4), normal(2, 4)
        low, high = self.sitting
        hip, knee, apart, inwards = (low + both * (high - low)).unbind(1)
        for side, sign in (("L", 1), ("R", -1)):
            more = each[:, 0 if sign > 0 else 1] * 0.12
            hips = torch.stack([-hip + more[:, 0], sign * (inwards + more[:, 1]), sign * (apart + more[:, 2])], -1)
            knees = torch.stack([knee + more[:, 3], 0 * knee, 0 * knee], -1)
            for name, value in ((f"{side}_Hip", hips), (f"{side}_Knee", knees)):
                vectors[:, _S[name]] = torch.where(sits[:, 0], value, vectors[:, _S[name]])
        return self._clamp(self._free_limbs(vectors, uniform))

    def _free_limbs(self, vectors: torch.Tensor, uniform) -> torch.Tensor:
        """Some limbs anywhere within their limits: squats with knees apart, one knee on the ground, crossed legs."""
        taken, where = uniform(len(self.limbs)) < self.ranges.free, uniform(*self.spread.shape[:1], 3)
        low, high = self.limits
        for limb, joints in enumerate(self.limbs):
            anywhere = low[joints] + where[:, joints] * (high - low)[joints]
            vectors[:, joints] = torch.where(taken[:, limb, None, None], anywhere, vectors[:, joints])
        return vectors

    def _clamp(self, vectors: torch.Tensor) -> torch.Tensor:
        return torch.maximum(torch.minimum(vectors, self.limits[1]), self.limits[0])

    def _build(self, generator: torch.Generator, uniform, normal) -> tuple[torch.Tensor, torch.Tensor]:
        """Shapes (K, S) and skeletons (K, 16, 3): between two recorded people, then of other stature and lengths."""
        share, r = uniform(1), self.ranges
        a, b = to_device(torch.randint(len(self.betas), (2, len(share)), generator=generator), share.device)
        betas = share * self.betas[a] + (1 - share) * self.betas[b]
        betas = (betas + r.beta * normal(betas.shape[1])).clamp(-3, 3)
        skeleton = share[..., None] * self.skeletons[a] + (1 - share[..., None]) * self.skeletons[b]
        names = self.body.proportions
        draws = dict(zip(names, normal(len(names)).unbind(1), strict=True))
        legs = normal() * r.length  # long legs are long in thigh and shin
        kind, within = uniform(), uniform()
        stature = draws["stature"] * r.stature
        for chosen, (low, high) in ((kind < r.child, r.child_stature), (kind > 1 - r.giant, r.giant_stature)):
            stature = torch.where(chosen, low + within * (high - low), stature)
        small = stature.clamp(max=0)
        columns = {name: draw * r.length for name, draw in draws.items()}
        columns["stature"], columns["girth"] = stature, draws["girth"] * r.width
        columns["head"] = 0.5 * columns["head"] - 0.6 * small  # a child's head is large, its legs are short
        for name in ("thigh", "shin"):
            columns[name] = 0.5 * columns[name] + legs + 0.2 * small
        proportions = torch.stack([columns[name] for name in names], dim=1)
        factor = 1 + proportions @ self.factors.T
        skeleton = skeleton * factor[..., None] + self._placed_otherwise(normal)
        return torch.cat([betas, proportions], dim=1), skeleton

    def _placed_otherwise(self, normal) -> torch.Tensor:
        """(K, 16, 3) metres: another capture system's bones, alike on both sides."""
        place = normal(*self.placing.shape) * self.placing * self.ranges.placing
        return torch.where(self.right[:, None], place[:, self.partner] * -self.signs, place)

    def _turn(self, uniform, normal, up: torch.Tensor) -> torch.Tensor:
        """(K, 3, 3): a turn of the whole body about a horizontal axis: small, lying, or anything up to upside down."""
        kind, r = uniform(1), self.ranges
        angle = torch.deg2rad(r.lean * normal(1))
        angle = torch.where(kind < r.lie, torch.pi / 2 + torch.deg2rad(12 * normal(1)), angle)
        angle = torch.where(kind > 1 - r.tilt, torch.pi * uniform(1), angle)
        axis = torch.linalg.cross(normal(3), up)
        axis = axis / axis.norm(dim=1, keepdim=True).clamp(min=1e-6)
        return axis_angle_to_matrix(axis * angle)

    def _joints(self, world: torch.Tensor, skeleton: torch.Tensor) -> torch.Tensor:
        """(K, 17, 3) from world rotations (K, 24, 3, 3) and bones (K, 16, 3) in their SMPL frames."""
        bones = (world[:, self.frames] @ skeleton.unsqueeze(-1)).squeeze(-1)
        joints = {HUMAN36M_17.root: torch.zeros_like(bones[:, 0])}
        for i, (parent, joint) in enumerate(self.bones):
            joints[joint] = joints[parent] + bones[:, i]
        return torch.stack([joints[j] for j in range(len(HUMAN36M_17))], dim=1)


def inside_itself(pose3d: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """(K,) bool: whether a pose (K, 17, 3) has limbs inside the trunk or the head, hands inside legs, or legs inside legs.

    Trunk: what is closer than TRUNK_RADIUS to the line from pelvis to neck; head: what is as close to its middle; shins:
    what is closer than LIMB_RADIUS to them; thighs are half as thick again. size (K,): stature over an adult's.
    """
    trunk, limb = TRUNK_RADIUS * size, LIMB_RADIUS * size

    def at(*names: str) -> torch.Tensor:
        return torch.stack([pose3d[:, _H[name]] for name in names], dim=1)

    ends = at("L_Wrist", "R_Wrist", "L_Elbow", "R_Elbow", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle")
    hands = at("L_Wrist", "R_Wrist")
    close = _to_segment(ends, at("Pelvis"), at("Neck")) < trunk[:, None]
    middle = (at("Nose") + at("Head")) / 2
    close |= (ends - middle).norm(dim=-1) < trunk[:, None]
    found = close.any(1)
    for side in "LR":
        thigh = _to_segment(hands, at(f"{side}_Hip"), at(f"{side}_Knee")) < 1.5 * limb[:, None]
        shin = _to_segment(hands, at(f"{side}_Knee"), at(f"{side}_Ankle")) < limb[:, None]
        found |= (thigh | shin).any(1)
    other = {"L": "R", "R": "L"}
    for side in "LR":
        legs = at(f"{side}_Knee", f"{side}_Ankle")
        found |= (_to_segment(legs, at(f"{other[side]}_Hip"), at(f"{other[side]}_Knee")) < 1.5 * limb[:, None]).any(1)
        found |= (_to_segment(legs, at(f"{other[side]}_Knee"), at(f"{other[side]}_Ankle")) < limb[:, None]).any(1)
    return found


def _to_segment(points: torch.Tensor, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """Distances (K, P) of points (K, P, 3) to segments start, end (K, 1, 3)."""
    along = end - start
    share = ((points - start) * along).sum(-1, keepdim=True) / (along * along).sum(-1, keepdim=True).clamp(min=1e-9)
    return (points - start - share.clamp(0, 1) * along).norm(dim=-1)


def _limits() -> torch.Tensor:
    """(2, 24, 3) radians: least and largest components; the root has none."""
    limits = torch.full((2, len(SMPL_24), 3), float("inf"))
    limits[0] = -limits[0]
    for name, ranges in _LEFT_LIMITS.items():
        values = torch.deg2rad(torch.tensor(ranges, dtype=torch.float32).T)
        limits[:, _S[name]] = values
        if name.startswith("L_"):
            mirrored = values * torch.tensor(_MIRROR)
            limits[:, _S["R" + name[1:]]] = torch.stack([mirrored.amin(0), mirrored.amax(0)])
    return limits


def _spread() -> torch.Tensor:
    """(24, 3) radians."""
    spread = torch.zeros(len(SMPL_24), 3)
    for k, name in enumerate(SMPL_24.names):
        part = name.split("_")[-1]
        spread[k] = torch.deg2rad(torch.tensor(float(_SPREAD.get(part, 0))))
        if part == "Knee":
            spread[k, 1:] = 0
    return spread


def _bone_factors(body: FlexibleBody, bones: list[tuple[int, int]]) -> torch.Tensor:
    """(16, proportions): how much of each proportion lengthens each bone."""
    factors = torch.zeros(len(bones), len(body.proportions))
    for i, (_, joint) in enumerate(bones):
        name = HUMAN36M_17.names[joint].split("_")[-1]
        for proportion in ("stature", _BONE_PROPORTIONS.get(name)):
            if proportion is not None:
                factors[i, body.proportions.index(proportion)] = 1
    return factors
