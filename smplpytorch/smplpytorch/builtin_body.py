"""An SMPL-format stand-in body, made from the tables below, for machines without the licensed SMPL files.

The surface is drawn in three steps. Parts (torso, head, limbs, fingers) are generalised cylinders given by their
outline from two sides; their smooth union plus a few Gaussian bumps is an implicit function. A block figure of unit
cells, one box of cells per part, gives the quads: its surface is closed, of genus 0, and symmetric by construction.
The block figure's vertices are laid on the parts, then relaxed along the surface and projected onto the implicit
function. Skinning weights come from one cut plane per joint, shape directions from one table of strains per joint.

All lengths are metres, Y up, facing +Z, the person's left at +X, arms along X. Only the left half (x >= 0) is
described. Results are rounded to steps far below a millimetre, so that they do not depend on the last bits
of a CPU's elementary functions.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.sparse import coo_matrix

from lib.joints import HUMAN36M_17, SMPL_24, SMPL_PARENTS
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.proportions import strain_direction, strain_of

LENGTH_QUANTUM = 2.0**-20
WEIGHT_QUANTUM = 2.0**-16
SHAPE_QUANTUM = np.pi * 2.0**-22  # fits no table's decimals, so that no value is halfway between two multiples
MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Part:
    """A generalised cylinder along axis 0, 1 or 2 (x, y, z) and the cells that carry it in the block figure.

    rows: (t, u_low, u_high, w_low, w_high) with t increasing along the axis and the part's extent along the other two
    axes, in their order; caps: lengths of the rounded ends before the first and after the last row; power: exponent of
    the cross-section's superellipse; blend: width of the smooth union with the parts before it; cells: (x0, x1, y0, y1,
    z0, z1) of the block figure or None; span: the t of the cells' two ends.
    """

    axis: int
    rows: tuple[tuple[float, ...], ...]
    caps: tuple[float, float]
    power: float = 2.0
    blend: float = 0.02
    cells: tuple[int, ...] | None = None
    span: tuple[float, float] = (0.0, 0.0)


# fmt: off
def finger(z: float, drift: float, length: float, cells_z: int, rows: int) -> Part:
    """One finger: z of its centre line at the knuckle, the line's drift along z to the tip, its cells."""
    rings = ((0, 0.765, 0.0095, 0.2165), (0.5, 0.785 + length / 2, 0.0088, 0.2155), (1, 0.785 + length, 0.0072, 0.2125))
    sections = tuple((x, y - r, y + r, z + drift * s - r, z + drift * s + r) for s, x, r, y in rings)
    cells = (47, 47 + rows, 64, 66, cells_z, cells_z + 2)
    return Part(0, sections, (0.01, 0.005), 2, 0.006, cells, (0.79, 0.789 + length))


PARTS = (
    # torso: y, x from/to, z back/front
    Part(1, (
        (-0.400, -0.100, 0.100, -0.085, 0.055), (-0.350, -0.153, 0.153, -0.108, 0.078),
        (-0.300, -0.170, 0.170, -0.116, 0.088), (-0.240, -0.161, 0.161, -0.102, 0.094),
        (-0.180, -0.146, 0.146, -0.088, 0.096), (-0.110, -0.136, 0.136, -0.084, 0.093),
        (-0.040, -0.140, 0.140, -0.090, 0.096), (0.030, -0.150, 0.150, -0.102, 0.106),
        (0.090, -0.158, 0.158, -0.112, 0.106), (0.140, -0.160, 0.160, -0.115, 0.090),
        (0.190, -0.150, 0.150, -0.110, 0.064), (0.230, -0.118, 0.118, -0.095, 0.035),
        (0.255, -0.080, 0.080, -0.080, 0.018),
    ), (0.03, 0.02), 2.35, 0.02, (-7, 7, 38, 68, -3, 3), (-0.40, 0.262)),
    # neck and head
    Part(1, (
        (0.200, -0.075, 0.075, -0.095, 0.020), (0.250, -0.060, 0.060, -0.080, 0.024),
        (0.290, -0.055, 0.055, -0.068, 0.034), (0.340, -0.055, 0.055, -0.065, 0.050),
    ), (0.02, 0.02), 2, 0.03, (-3, 3, 68, 71, -2, 2), (0.262, 0.30)),
    Part(1, ((0.412, -0.077, 0.077, -0.100, 0.092),), (0.085, 0.093), 2, 0.03, None),
    Part(1, (
        (0.298, -0.032, 0.032, 0.020, 0.087), (0.320, -0.049, 0.049, -0.010, 0.093),
        (0.360, -0.063, 0.063, -0.030, 0.098), (0.410, -0.067, 0.067, -0.040, 0.096),
    ), (0.014, 0.04), 2.3, 0.02, None),
    # arm with collar and shoulder: x, y from/to, z back/front
    Part(0, (
        (0.040, 0.170, 0.258, -0.080, 0.015), (0.100, 0.150, 0.262, -0.086, 0.030),
        (0.160, 0.146, 0.264, -0.088, 0.032), (0.220, 0.160, 0.262, -0.084, 0.024),
        (0.300, 0.170, 0.257, -0.080, 0.016), (0.380, 0.175, 0.256, -0.079, 0.006),
        (0.430, 0.177, 0.252, -0.078, 0.000), (0.480, 0.175, 0.254, -0.080, 0.006),
        (0.530, 0.179, 0.252, -0.077, 0.006), (0.600, 0.188, 0.245, -0.070, 0.000),
        (0.660, 0.196, 0.240, -0.063, -0.005), (0.700, 0.199, 0.239, -0.062, -0.004),
    ), (0.03, 0.02), 2, 0.03, (7, 39, 63, 67, -2, 2), (0.155, 0.695)),
    # palm, fingers, thumb
    Part(0, (
        (0.700, 0.201, 0.237, -0.062, -0.004), (0.735, 0.203, 0.233, -0.074, 0.008),
        (0.775, 0.205, 0.231, -0.077, 0.011),
    ), (0.02, 0.018), 2.5, 0.02, (39, 47, 63, 67, -5, 6), (0.695, 0.79)),
    finger(0.001, 0.010, 0.072, 4, 9),
    finger(-0.0215, 0.002, 0.082, 1, 9),
    finger(-0.044, -0.005, 0.075, -2, 8),
    finger(-0.066, -0.013, 0.056, -5, 7),
    Part(2, (
        (-0.020, 0.694, 0.732, 0.199, 0.226), (0.005, 0.714, 0.748, 0.198, 0.223),
        (0.030, 0.744, 0.774, 0.195, 0.216), (0.050, 0.772, 0.794, 0.193, 0.210),
    ), (0.01, 0.008), 2, 0.015, (41, 43, 64, 66, 6, 13), (0.005, 0.057)),
    # leg: y, x inside/outside, z back/front
    Part(1, (
        (-1.170, 0.062, 0.118, -0.084, 0.000), (-1.130, 0.060, 0.121, -0.080, 0.018),
        (-1.095, 0.060, 0.121, -0.069, 0.018), (-1.050, 0.063, 0.117, -0.063, 0.012),
        (-0.980, 0.060, 0.126, -0.070, 0.022), (-0.900, 0.048, 0.142, -0.085, 0.034),
        (-0.840, 0.042, 0.149, -0.088, 0.040), (-0.780, 0.045, 0.146, -0.073, 0.046),
        (-0.730, 0.047, 0.143, -0.060, 0.057), (-0.690, 0.044, 0.145, -0.060, 0.062),
        (-0.620, 0.034, 0.155, -0.073, 0.072), (-0.520, 0.018, 0.168, -0.090, 0.083),
        (-0.430, 0.008, 0.175, -0.103, 0.086), (-0.360, 0.012, 0.172, -0.100, 0.080),
        (-0.300, 0.030, 0.150, -0.080, 0.060),
    ), (0.02, 0.05), 2, 0.025, (1, 7, 0, 38, -3, 3), (-1.19, -0.40)),
    # foot: z, x inside/outside, y sole/instep
    Part(2, (
        (-0.050, 0.063, 0.119, -1.196, -1.120), (0.000, 0.061, 0.124, -1.196, -1.104),
        (0.050, 0.058, 0.133, -1.196, -1.126), (0.100, 0.055, 0.142, -1.196, -1.150),
        (0.135, 0.056, 0.143, -1.196, -1.162), (0.155, 0.062, 0.135, -1.194, -1.168),
    ), (0.035, 0.018), 2.6, 0.02, (1, 7, 0, 3, 3, 12), (0.02, 0.17)),
)

# Outline of the whole head for its cells; the implicit function above has it as cranium, face and neck.
HEAD_CELLS = Part(1, (
    (0.285, -0.050, 0.050, -0.065, 0.085), (0.340, -0.066, 0.066, -0.090, 0.102), (0.400, -0.078, 0.078, -0.100, 0.100),
    (0.460, -0.066, 0.066, -0.084, 0.078), (0.495, -0.034, 0.034, -0.045, 0.036),
), (0.01, 0.01), cells=(-6, 6, 71, 88, -6, 6), span=(0.292, 0.502))

# Bumps on the surface: centre x, y, z; standard deviation x, y, z; height (negative: a hollow).
BUMPS = (
    (0.000, 0.392, 0.100, 0.010, 0.014, 0.03, 0.008),  # bridge of the nose
    (0.000, 0.373, 0.112, 0.011, 0.010, 0.05, 0.022),  # tip of the nose
    (0.013, 0.367, 0.105, 0.007, 0.006, 0.02, 0.006),  # nostril
    (0.000, 0.440, 0.090, 0.040, 0.018, 0.03, 0.003),  # forehead
    (0.031, 0.401, 0.098, 0.013, 0.009, 0.03, -0.010),  # eye
    (0.028, 0.418, 0.098, 0.018, 0.007, 0.03, 0.004),  # brow
    (0.042, 0.373, 0.085, 0.014, 0.012, 0.02, 0.004),  # cheek
    (0.000, 0.341, 0.103, 0.022, 0.006, 0.02, 0.006),  # lips
    (0.000, 0.326, 0.100, 0.018, 0.006, 0.02, -0.003),  # below the lips
    (0.000, 0.304, 0.098, 0.018, 0.010, 0.02, 0.007),  # chin
    (0.080, 0.386, -0.008, 0.030, 0.016, 0.010, 0.015),  # ear
    (0.075, 0.075, 0.100, 0.045, 0.035, 0.05, 0.010),  # chest
    (0.000, 0.080, 0.105, 0.015, 0.060, 0.05, -0.005),  # breastbone
    (0.080, 0.130, -0.110, 0.040, 0.050, 0.04, 0.006),  # shoulder blade
    (0.000, -0.050, -0.100, 0.018, 0.150, 0.04, -0.007),  # spine
    (0.080, -0.350, -0.110, 0.050, 0.045, 0.05, 0.020),  # buttock
    (0.000, -0.360, -0.120, 0.014, 0.060, 0.05, -0.012),  # between the buttocks
    (0.096, -0.710, 0.060, 0.024, 0.026, 0.03, 0.005),  # knee
    (0.120, -1.098, -0.025, 0.012, 0.014, 0.02, 0.005),  # ankle
)

# Rest joints of the left half and the middle, and the cut planes that hand skin over from the parent to the joint:
# point of the plane (None: the joint), its normal, and the half width of the transition.
JOINTS = {
    "Pelvis": (0, -0.240, -0.010), "Spine1": (0, -0.120, -0.015), "Spine2": (0, 0.010, -0.015),
    "Spine3": (0, 0.070, -0.015), "Neck": (0, 0.262, -0.025), "Head": (0, 0.345, 0.000),
    "L_Hip": (0.080, -0.325, -0.005), "L_Knee": (0.095, -0.710, 0.000), "L_Ankle": (0.090, -1.105, -0.025),
    "L_Foot": (0.100, -1.165, 0.100), "L_Collar": (0.065, 0.195, -0.025), "L_Shoulder": (0.175, 0.218, -0.028),
    "L_Elbow": (0.430, 0.215, -0.038), "L_Wrist": (0.690, 0.219, -0.034), "L_Hand": (0.775, 0.218, -0.033),
}
CUTS = (
    ("Spine1", None, (0, 1, 0), 0.09), ("Spine2", None, (0, 1, 0), 0.07), ("Spine3", None, (0, 1, 0), 0.045),
    ("Neck", None, (-0.4, 1, 0.3), 0.04),
    ("Head", (0, 0.350, 0), (0, 1, 0), 0.03), ("Head", (0, 0.325, 0.03), (0, 0.5, 1), 0.03),  # skull; face and chin
    ("L_Hip", (0.080, -0.340, 0), (0.5, -1, 0), 0.08), ("L_Knee", None, (0, -1, 0), 0.06),
    ("L_Ankle", None, (0, -1, 0.5), 0.04), ("L_Foot", None, (0, 0, 1), 0.03),
    ("L_Collar", (0.080, 0.190, 0), (1, 0.5, 0), 0.06), ("L_Shoulder", None, (1, 0.35, 0), 0.07),
    ("L_Elbow", None, (1, 0, 0), 0.05), ("L_Wrist", None, (1, 0, 0), 0.03), ("L_Hand", None, (1, 0, 0), 0.018),
)
H36M_POINTS = {
    "Pelvis": (0, -0.300, -0.005), "Torso": (0, -0.020, -0.015), "Neck": (0, 0.235, -0.025),
    "Nose": (0, 0.372, 0.112), "Head": (0, 0.470, 0.000), "L_Hip": (0.120, -0.300, -0.005),
    "L_Knee": (0.095, -0.710, 0.000), "L_Ankle": (0.090, -1.105, -0.025), "L_Shoulder": (0.170, 0.212, -0.028),
    "L_Elbow": (0.430, 0.215, -0.038), "L_Wrist": (0.690, 0.219, -0.034),
}

# Shape directions: the strain along x, y, z of the skin and bone that each group of joints carries, for beta = 1.
TORSO, ARM, LEG = ("Pelvis", "Spine1", "Spine2", "Spine3"), ("Shoulder", "Elbow"), ("Hip", "Knee")
HEAD, HAND, FOOT = ("Head",), ("Wrist", "Hand"), ("Ankle", "Foot")
EVERY = (*TORSO, *ARM, *LEG, *HEAD, *HAND, *FOOT, "Neck", "Collar")
SHAPES = (
    ((EVERY, (0.026, 0.030, 0.026)),),  # stature
    ((TORSO, (0.05, 0, 0.06)), (ARM, (0, 0.06, 0.06)), (LEG, (0.06, 0, 0.06)), (("Neck", "Collar"), (0.02, 0, 0.05)),
     (HEAD, (0.015, 0, 0.015))),  # girth
    ((LEG, (0, 0.035, 0)),),  # length of the legs
    ((ARM, (0.035, 0, 0)),),  # length of the arms
    ((TORSO, (0, 0.035, 0)), (("Neck",), (0, 0.03, 0))),  # length of the torso
    ((("Collar",), (0.07, 0, 0)), (("Spine3",), (0.03, 0, 0.01)), (ARM, (0, 0.02, 0.02))),  # width of the shoulders
    ((("Pelvis",), (0.05, 0, 0.025)), (("Hip",), (0.05, 0, 0.025))),  # width of the hips
    ((("Spine1", "Spine2"), (0.02, 0, 0.01)),),  # waist, with the belly below
    ((HEAD, (0.03, 0.03, 0.03)), (("Neck",), (0.02, 0.01, 0.02))),  # size of the head
    ((HAND, (0.04, 0.04, 0.04)), (FOOT, (0.04, 0.04, 0.04))),  # size of hands and feet
)
BELLY_SHAPE, BELLY = 7, (0.0, -0.170, 0.090, 0.085, 0.080, 0.05, 0.012)  # direction; centre, deviations, height
# fmt: on


def smoothstep(x: np.ndarray) -> np.ndarray:
    """0 below -1, 1 above 1, and 3 s^2 - 2 s^3 with s = (x + 1) / 2 between: any shape."""
    s = np.clip((x + 1) / 2, 0, 1)
    return s * s * (3 - 2 * s)


def outline(part: Part, t: np.ndarray) -> np.ndarray:
    """The rows' four extents (N, 4) at positions t (N,) along the part, constant beyond its ends."""
    rows = np.array(part.rows)
    if len(rows) == 1:
        return np.repeat(rows[:, 1:], len(t), axis=0)
    return PchipInterpolator(rows[:, 0], rows[:, 1:])(np.clip(t, rows[0, 0], rows[-1, 0]))


def part_distance(part: Part, points: np.ndarray) -> np.ndarray:
    """About the signed distance (N,) of points (N, 3) to one part, negative inside."""
    rows = np.array(part.rows)
    t, uw = points[:, part.axis], np.delete(points, part.axis, axis=1)
    extent = outline(part, t)
    low, high = extent[:, [0, 2]], extent[:, [1, 3]]
    radius = (high - low) / 2
    side = (np.abs(uw - (low + high) / 2) / radius) ** part.power
    beyond = np.maximum((rows[0, 0] - t) / part.caps[0], (t - rows[-1, 0]) / part.caps[1])
    ratio = np.hypot(side.sum(1) ** (1 / part.power), np.maximum(beyond, 0))
    return (ratio - 1) * radius.min(1)


def body_distance(points: np.ndarray) -> np.ndarray:
    """The implicit function (N,) of the left half at points (N, 3) with x >= 0: the smooth union of the parts."""
    margin = 0.06  # farther than this from a part's bounding box, the part is skipped
    total = np.full(len(points), margin)
    for part in PARTS:
        rows = np.array(part.rows)
        low, high = np.empty(3), np.empty(3)
        low[part.axis], high[part.axis] = rows[0, 0] - part.caps[0], rows[-1, 0] + part.caps[1]
        others = [a for a in range(3) if a != part.axis]
        low[others], high[others] = rows[:, [1, 3]].min(0), rows[:, [2, 4]].max(0)
        near = np.flatnonzero(((points > low - margin) & (points < high + margin)).all(1))
        a, b = total[near], part_distance(part, points[near])
        h = np.maximum(part.blend - np.abs(a - b), 0)
        total[near] = np.minimum(a, b) - h * h / (4 * part.blend)
    return total


def fold(points: np.ndarray) -> np.ndarray:
    """Points (N, 3) with the right half laid over the left."""
    return np.column_stack([np.abs(points[:, 0]), points[:, 1:]])


def gaussian(points: np.ndarray, bump: tuple[float, ...]) -> np.ndarray:
    """Height (N,) at points (N, 3) of one bump (centre, deviations, height) and its mirror image."""
    centre, deviation, height = np.array(bump[:3]), np.array(bump[3:6]), bump[6]
    return height * np.exp(-0.5 * (((fold(points) - centre) / deviation) ** 2).sum(1))


def distance_and_normal(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance (N,) to the surface, to first order, and outward unit normals (N, 3) at points (N, 3) with x >= 0."""
    probes, step = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]), 1e-3
    values = body_distance(fold((points + step * probes[:, None]).reshape(-1, 3))).reshape(4, -1)
    gradient = (probes.T @ values / (4 * step)).T
    steepness = np.maximum(np.linalg.norm(gradient, axis=1), 0.2)
    return values.mean(0) / steepness, gradient / steepness[:, None]


def block_figure() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The surface of the cells: lattice points (V, 3) int, their first positions (V, 3), outward quads (Q, 4)."""
    parts = [part for part in (*PARTS, HEAD_CELLS) if part.cells]
    boxes = np.array([part.cells for part in parts]).reshape(-1, 3, 2)
    limit = np.abs(boxes).max() + 2
    solid = np.zeros((2 * limit,) * 3, bool)
    for (x0, x1), (y0, y1), (z0, z1) in boxes + limit:
        solid[x0:x1, y0:y1, z0:z1] = True
        solid[2 * limit - x1 : 2 * limit - x0, y0:y1, z0:z1] = True
    quads = []
    for axis in range(3):
        u, w = np.eye(3, dtype=int)[[(axis + 1) % 3, (axis + 2) % 3]]
        step = np.diff(solid.astype(np.int8), axis=axis)  # -1 where the surface faces up the axis, 1 where down
        for sign, square in ((-1, (0 * u, u, u + w, w)), (1, (0 * u, w, u + w, u))):
            corner = np.argwhere(step == sign) + np.eye(3, dtype=int)[axis]
            quads.append(corner[:, None] + np.array(square))
    corners = np.concatenate(quads).reshape(-1, 3)
    lattice, index = np.unique(corners, axis=0, return_inverse=True)
    lattice = lattice - limit

    position, count = np.zeros(lattice.shape), np.zeros(len(lattice))
    half = np.abs(lattice[:, 0])
    for part, box in zip(parts, boxes, strict=True):
        at = np.column_stack([lattice[:, 0] if box[0, 0] < 0 else half, lattice[:, 1:]])
        inside = np.flatnonzero(((at >= box[:, 0]) & (at <= box[:, 1])).all(1))
        square = 2 * (at[inside] - box[:, 0]) / (box[:, 1] - box[:, 0]) - 1
        t = part.span[0] + (part.span[1] - part.span[0]) * (square[:, part.axis] + 1) / 2
        uw = np.delete(square, part.axis, axis=1)
        uw *= (np.abs(uw).max(1) / np.maximum(np.hypot(*uw.T), 1e-9))[:, None]  # square to disc
        extent = outline(part, t)
        low, high = extent[:, [0, 2]], extent[:, [1, 3]]
        placed = np.insert(low + (high - low) * (uw + 1) / 2, part.axis, t, axis=1)
        if box[0, 0] >= 0:
            placed[:, 0] *= np.sign(lattice[inside, 0])
        position[inside] += placed
        count[inside] += 1
    return lattice, position / count[:, None], index.reshape(-1, 4)


NUMBERING = np.array([1.0, -2.0, 1.0])


def build_surface() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (V, 3) metres, triangles (F, 3) with outward orientation, and the mirror permutation (V,)."""
    lattice, v, quads = block_figure()
    V = len(v)
    key = (lattice * MIRROR.astype(int)) @ [1 << 20, 1 << 10, 1]
    order = lattice @ np.array([1 << 20, 1 << 10, 1])
    mirror = np.searchsorted(order, key)
    edges = np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)])
    mean = coo_matrix((np.ones(len(edges)), tuple(edges.T)), shape=(V, V)).tocsr()
    mean = mean.multiply(1 / mean.sum(1)).tocsr()
    left = np.flatnonzero(lattice[:, 0] >= 0)
    middle = lattice[left, 0] == 0
    slides = 22
    for step in range(slides + 3):  # slide and project, project twice, add the bumps
        here = v[left]
        distance, normal = distance_and_normal(here)
        if step < slides:
            slide = 0.5 * ((mean @ v)[left] - here)
            here = here + slide - normal * (slide * normal).sum(1, keepdims=True)
        if step < slides + 2:
            here = here - normal * np.clip(distance, -0.02, 0.02)[:, None]
        else:
            here = here + normal * sum((gaussian(here, bump) for bump in BUMPS), start=np.zeros(len(here)))[:, None]
        here[middle, 0] = 0
        v[left] = here
        v[mirror[left]] = here * MIRROR
    v = np.rint(v / LENGTH_QUANTUM) * LENGTH_QUANTUM + 0.0  # no negative zeros
    # The shorter diagonal, decided in exact arithmetic: mirrored quads are cut alike.
    a, b, c, d = quads.T
    first = ((v[a] - v[c]) ** 2).sum(1) <= ((v[b] - v[d]) ** 2).sum(1)
    cut = np.where(first[:, None], quads, np.roll(quads, -1, axis=1))
    faces = np.concatenate([cut[:, [0, 1, 2]], cut[:, [0, 2, 3]]])
    # Numbered along NUMBERING: heavy-edge matching reads a wrong edge at row 0 (lib.graph.coarsening) and would merge a
    # hand and a foot into one node under most numberings; under this one every node of every level is connected.
    order = np.lexsort((*np.rint(v / LENGTH_QUANTUM).T, np.rint(v @ NUMBERING / LENGTH_QUANTUM)))
    number = np.empty(V, np.int64)
    number[order] = np.arange(V)
    return v[order], number[faces], number[mirror[order]]


def mirrored_table(table: dict[str, tuple[float, float, float]], names: tuple[str, ...]) -> np.ndarray:
    """Points (J, 3) in the order of names, the right ones mirrored from the left."""
    return np.array([np.array(table[n]) if n in table else np.array(table["L" + n[1:]]) * MIRROR for n in names], float)


def subtree_weights(v: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(V, 24): how much of each vertex hangs on a joint or anything below it, in exact multiples of WEIGHT_QUANTUM."""
    names, stays = SMPL_24.names, np.ones((len(v), len(joints)))
    half = fold(v)
    for name, point, normal, width in CUTS:
        k = names.index(name)
        at = joints[k] if point is None else np.array(point)
        beyond = smoothstep((half - at) @ np.array(normal) / np.linalg.norm(normal) / width)
        stays[:, [k, SMPL_24.flip_permutation[k]]] *= 1 - beyond[:, None]
    share = 1 - stays
    for k, name in enumerate(names):
        if name[:2] in ("L_", "R_"):
            share[:, k] *= smoothstep((v[:, 0] if name[0] == "L" else -v[:, 0]) / 0.04)
        if name.endswith("Collar"):
            share[:, k] *= 1 - share[:, names.index("Neck")]
    share = np.maximum(share - 0.02, 0) / 0.98  # without the faintest shares, no vertex has more than 4 joints
    subtree = np.ones_like(share)
    for k, parent in enumerate(SMPL_PARENTS[1:], start=1):
        subtree[:, k] = np.floor(subtree[:, parent] * share[:, k] / WEIGHT_QUANTUM + 1e-6) * WEIGHT_QUANTUM
    return subtree


def build_regressor(v: np.ndarray, points: np.ndarray, mirror: np.ndarray, swap: np.ndarray) -> np.ndarray:
    """Rows (J, V) that average vertices near each point to exactly that point: non-negative, sum 1, local.

    The weights are those of largest entropy relative to a Gaussian of the distance, exp(-d^2 / s^2 + l . (v - point));
    Newton's method finds l (3,). swap: the joint permutation under mirroring.
    """
    regressor = np.zeros((len(points), len(v)))
    for j, point in enumerate(points):
        if point[0] < 0:
            continue
        offset = v - point
        distance = np.linalg.norm(offset, axis=1)
        reach = 1.6 * distance.min() + 0.02
        near = np.flatnonzero(distance < reach)
        offset, prior = offset[near], np.exp(-((distance[near] / reach * 1.5) ** 2))
        tilt = np.zeros(3)
        for _ in range(50):
            weight = prior * np.exp(np.clip(offset @ tilt, -40, 40))
            weight /= weight.sum()
            error = weight @ offset
            spread = (offset * weight[:, None]).T @ offset - np.outer(error, error)
            tilt -= np.linalg.solve(spread + 1e-9 * np.eye(3), error)
        regressor[j, near] = np.rint(weight / LENGTH_QUANTUM) * LENGTH_QUANTUM
        if swap[j] == j:
            regressor[j] = np.floor((regressor[j] + regressor[j, mirror]) / 2 / LENGTH_QUANTUM) * LENGTH_QUANTUM
        heaviest, rest = np.argmax(regressor[j]), 1 - regressor[j].sum()
        for i in (heaviest, mirror[heaviest] if swap[j] == j else heaviest):
            regressor[j, i] += rest / 2
        regressor[swap[j]] = regressor[j] if swap[j] == j else regressor[j, mirror]
    return regressor


def build_shapedirs(v: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(V, 3, 10): every joint strains what it carries about itself and shifts what hangs below."""
    directions = [strain_direction(v, joints, weights, strain_of(groups)) for groups in SHAPES]
    directions[BELLY_SHAPE][:, 2] += gaussian(v, BELLY)
    return np.rint(np.stack(directions, axis=-1) / SHAPE_QUANTUM) * SHAPE_QUANTUM + 0.0


def build_posedirs(v: np.ndarray, joints: np.ndarray, subtree: np.ndarray) -> np.ndarray:
    """(V, 3, 207): widen the skin where blending two rotations makes it thinner.

    A turn by a about axis n has diag(R - I) = (1 - cos a) (n^2 - 1): along each axis the offset is
    -gain * 4 m (1 - m) * (R_ii - 1) * (v - joint)_i, with m the part of the vertex that turns with the joint.
    """
    gain = 0.2  # by eye, at right angles
    posedirs = np.zeros((len(v), 3, 9 * (len(joints) - 1)))
    for k, parent in enumerate(SMPL_PARENTS[1:], start=1):
        if SMPL_24.names[k][2:] not in ("Elbow", "Knee", "Wrist"):
            continue
        seam = 4 * subtree[:, k] * (subtree[:, parent] - subtree[:, k])
        for i in range(3):
            posedirs[:, i, 9 * (k - 1) + 4 * i] = -gain * seam * (v[:, i] - joints[k, i])
    return np.rint(posedirs / LENGTH_QUANTUM) * LENGTH_QUANTUM + 0.0


def build_builtin_body() -> BodyModel:
    """The stand-in body: about 6.9k vertices, SMPL's 24 joints, 10 shape directions; made anew by every call."""
    v, faces, mirror = build_surface()
    joints = mirrored_table(JOINTS, SMPL_24.names)
    subtree = subtree_weights(v, joints)
    weights = subtree.copy()
    for k, parent in enumerate(SMPL_PARENTS[1:], start=1):
        weights[:, parent] -= subtree[:, k]
    points = mirrored_table(H36M_POINTS, HUMAN36M_17.names)
    return BodyModel(
        v_template=v,
        shapedirs=build_shapedirs(v, joints, weights),
        posedirs=build_posedirs(v, joints, subtree),
        J_regressor=build_regressor(v, joints, mirror, SMPL_24.flip_permutation),
        lbs_weights=weights,
        faces=faces,
        parents=np.array(SMPL_PARENTS),
        joint_regressor=build_regressor(v, points, mirror, HUMAN36M_17.flip_permutation),
        source="built-in",
    )
