"""Procedural motions for the 15 actions of Human3.6M.

Every action is a function (rng, t, skeleton) -> Script, t (T,) seconds; all that varies is drawn from rng. Offsets of
hands are in units of the arm's length, x outwards, y up, z forward; everything else in metres and radians.
"""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator

from data.Synthetic.kinematics import FRAME_RATE, LOOSE_JOINTS, Script, Skeleton, solve

HANDS = {
    "hang": (0.14, -0.93, 0.08),
    "pocket": (0.14, -0.84, 0.02),
    "hip": (0.12, -0.64, -0.02),
    "folded": (-0.42, -0.45, 0.42),
    "back": (-0.22, -0.80, -0.25),
    "thigh": (-0.02, -0.72, 0.45),
    "table": (-0.15, -0.48, 0.62),
    "carry": (0.10, -0.70, 0.30),
    "front": (-0.05, -0.35, 0.80),
    "side": (0.90, 0.05, 0.20),
    "high": (0.45, 0.50, 0.35),
    "up": (0.12, 0.90, 0.20),
}
"""Where a wrist may be, from its shoulder."""
HANDS_AT_HEAD = {"mouth": (0.12, -0.14, 0.36), "ear": (0.26, -0.08, 0.12), "camera": (0.16, 0.02, 0.55)}
"""The same, from the head joint."""
BALL = 0.13  # metres from the ankle to the ball of the foot, about which a heel rises


def motion(action: str, frames: int, skeleton: Skeleton, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One random motion of the named action at 50 Hz.

    Returns pose (T, 24, 3), axis-angle relative to the parent, and SMPL translation (T, 3), metres, Z-up world, in
    which the body is near the floor (z = 0) and within about 2 m of the origin.
    """
    return solve(ACTIONS[action](rng, np.arange(frames) / FRAME_RATE, skeleton), skeleton)


# ---- building blocks -------------------------------------------------------------------------------------------


def _wander(rng: np.random.Generator, t: np.ndarray, shape: tuple[int, ...] = (), period: float = 3.0) -> np.ndarray:
    """(T, *shape) smooth noise of about unit standard deviation: three sines of periods near `period` seconds."""
    rate = 2 * np.pi / (period * rng.uniform(0.6, 1.8, (3, *shape)))
    phase = rng.uniform(0, 2 * np.pi, (3, *shape))
    return np.sqrt(2 / 3) * np.sin(np.multiply.outer(t, rate) + phase).sum(1)


def _ease(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, between them with zero speed and acceleration at both ends."""
    x = np.clip(x, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def _pulse(rng: np.random.Generator, t: np.ndarray, period: float, bias: float = 0.0) -> np.ndarray:
    """(T,) goes to and fro between 0 and 1 with rests at both; a positive bias rests longer at 1."""
    return _ease(0.5 + 0.8 * (bias + np.cos(2 * np.pi * (t / period + rng.uniform()))))


def _visits(rng: np.random.Generator, t: np.ndarray, values: Sequence, hold: float, move: float = 0.8) -> np.ndarray:
    """(T, ...) goes through `values` in turn, `move` seconds to each, about every `hold` seconds; any start."""
    values = np.asarray(values, np.float64)
    starts = rng.uniform(-0.7, 0.7) * hold + hold * (np.arange(len(values) - 1) + rng.uniform(-0.1, 0.1))
    shares = _ease((t[:, None] - starts) / move)
    return values[0] + np.tensordot(shares, np.diff(values, axis=0), axes=1)


def _hand_visits(rng: np.random.Generator, t: np.ndarray, places: Sequence, hold: float) -> np.ndarray:
    """(T, 3) of one hand through `places`; a long way goes round in front of the shoulder, not through it."""
    places = np.asarray(places)
    visits = _visits(rng, t, np.column_stack([places, np.arange(len(places))]), hold)
    straight, number = visits[:, :3], np.minimum(visits[:, 3], len(places) - 1)
    part, climbs = number % 1, np.abs(np.diff(places[:, 1], append=places[-1, 1]))
    return straight + _detour(part, climbs[number.astype(int)])


def _to_and_fro(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(T, 3) of one hand between two places, round in front of the shoulder."""
    return start + (end - start) * share[:, None] + _detour(share, np.abs(end - start)[..., 1])


def _detour(share: np.ndarray, climb: np.ndarray) -> np.ndarray:
    """(T, 3) forwards, and a little outwards, in the middle of a way up or down by `climb`."""
    return (1.2 * share * (1 - share) * climb)[:, None] * [0.2, 0, 1]


def _place(rng: np.random.Generator, skeleton: Skeleton, *names: str) -> np.ndarray:
    """(3,) one of the named places of a hand, a little off."""
    name = names[rng.integers(len(names))]
    base = HANDS[name] if name in HANDS else skeleton.head_from_shoulder / skeleton.arm + HANDS_AT_HEAD[name]
    return base + rng.normal(0, 0.03, 3)


def _forward(heading: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(heading), -np.cos(heading)], axis=-1)


def _left(heading: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(heading), np.sin(heading)], axis=-1)


def _body(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton, heading: np.ndarray) -> Script:
    """A standing person at a random place whose feet are under the hips, with small slow movements everywhere."""
    frames = len(t)
    place = np.broadcast_to(rng.uniform(-0.7, 0.7, 2), (frames, 2))
    wrists = np.stack([np.broadcast_to(_place(rng, skeleton, "hang"), (frames, 3)) for _ in range(2)], axis=1)
    return Script(
        pelvis=place,
        hips=rng.uniform(0.97, 0.99) * (skeleton.thigh + skeleton.shank) * np.ones(frames),
        heading=heading,
        tilt=_wander(rng, t, (3,), 4) * [0.03, 0.04, 0.02],
        spine=_wander(rng, t, (3,), 4) * [0.05, 0.07, 0.04] + rng.normal(0.05, 0.05, 3) * [1, 0.7, 0.5],
        head=_wander(rng, t, (3,), 3) * [0.10, 0.16, 0.06] + rng.normal(0, 0.07, 3),
        feet=np.zeros((frames, 2, 3)),
        foot_yaw=np.stack([heading, heading], axis=1),
        foot_pitch=np.zeros((frames, 2)),
        knees=np.full((frames, 2), 0.2) + rng.uniform(0, 0.15, 2),
        wrists=wrists + 0.03 * _wander(rng, t, (2, 3)),
        loose=_wander(rng, t, (len(LOOSE_JOINTS), 3)) * 0.06,
    )


def _standing(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton, sway: float = 0.03) -> Script:
    """Feet planted, the weight shifting by about `sway` metres."""
    facing = rng.uniform(0, 2 * np.pi)
    script = _body(rng, t, skeleton, facing + 0.15 * _wander(rng, t, period=5))
    forward, left = _forward(facing), _left(facing)
    width, stagger, turnout = rng.uniform(0.07, 0.16), rng.uniform(-0.12, 0.12), rng.uniform(0.05, 0.35, 2)
    for side, out in enumerate((1, -1)):
        script.feet[:, side, :2] = script.pelvis + out * (width * left + stagger * forward)
        script.foot_yaw[:, side] = facing + out * turnout[side]
    shift = sway * _wander(rng, t, (2,), 4)
    script.pelvis = script.pelvis + shift @ np.stack([left, 0.7 * forward])
    script.tilt[:, 2] -= 1.2 * shift[:, 0]
    return script


def _walking(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton, pace: float = 1.0) -> Script:
    """A steady gait on a curved closed path."""
    script, _ = _gait(rng, t, skeleton, pace)
    return script


def _gait(
    rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton, pace: float, stop: float | None = None
) -> tuple[Script, np.ndarray]:
    """Walking, `pace` 1 = about 1.2 m/s, with a halt about `stop` (seconds); and how halted it is, (T,) 0..1."""
    speed, period = pace * rng.uniform(0.95, 1.3), rng.uniform(1.0, 1.2) / pace**0.4
    radius, turn, wobble = rng.uniform(1.0, 1.5), rng.choice([-1, 1]), rng.uniform(0, 0.15)
    start, wobble_phase = rng.uniform(0, 2 * np.pi, 2)
    centre = rng.uniform(-0.2, 0.2, 2)

    def path(time: np.ndarray) -> np.ndarray:
        angle = start + turn * speed / radius * time
        distance = radius * (1 + wobble * np.sin(2 * angle + wobble_phase))
        return centre + distance[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)

    def direction(time: np.ndarray) -> np.ndarray:
        """Heading along the path, continuous because it is built on the angle of the circle."""
        angle = start + turn * speed / radius * time
        ahead = path(time + 0.01) - path(time - 0.01)
        relative = np.arctan2(ahead[..., 1], ahead[..., 0]) - angle
        return angle + np.angle(np.exp(1j * (relative - turn * np.pi / 2))) + turn * np.pi / 2 + np.pi / 2

    halted = np.zeros(len(t)) if stop is None else _ease((t - stop + 1.1) / 0.7) * (1 - _ease((t - stop - 0.4) / 0.7))
    time = np.cumsum(1 - halted) / FRAME_RATE
    if stop is None:
        time = time + rng.uniform(0, period)
    else:  # both feet are on the floor at the halt
        time = time - np.interp(stop, t, time) + 0.05 * period + rng.integers(2) * period / 2

    heading = direction(time)
    script = _body(rng, t, skeleton, heading)
    cycle = np.stack([time / period, time / period + 0.5], axis=1)  # heel strikes at whole numbers
    number, part = np.floor(cycle), cycle % 1
    width, swing, bounce = rng.uniform(0.05, 0.10), rng.uniform(0.25, 0.55), rng.uniform(0.95, 0.985)
    lift, pitch = _foot_curves(rng)
    for side, out in enumerate((1, -1)):
        stance_middle = (number[:, side] + 0.3 - 0.5 * side) * period
        swing_part = np.clip((part[:, side] - 0.58) / 0.42, 0, 1)
        step = swing_part**2 * (3 - 2 * swing_part)
        yaw = np.stack([direction(stance_middle), direction(stance_middle + period)])
        plants = np.stack([path(stance_middle), path(stance_middle + period)]) + out * width * _left(yaw)
        pitch_now = pitch(part[:, side])
        roll_over = np.where(part[:, side] < 0.58, 0.08 * np.maximum(pitch_now, 0), 0.08 * pitch(0.58) * (1 - step))
        script.feet[:, side, :2] = plants[0] + (plants[1] - plants[0]) * step[:, None]
        script.feet[:, side, :2] += roll_over[:, None] * _forward(heading)
        script.feet[:, side, 2] = lift(part[:, side])
        script.foot_yaw[:, side] = yaw[0] + (yaw[1] - yaw[0]) * step + 0.1 * out
        script.foot_pitch[:, side] = pitch_now
        reach = np.cos(2 * np.pi * (part[:, 1 - side] - 0.02)) * swing * (1 - halted)  # with the other leg
        arm = 0.95 - 0.06 * np.maximum(reach, 0)
        script.wrists[:, side] = arm[:, None] * np.stack(
            [np.full(len(t), 0.12), -np.cos(reach), np.sin(reach)], axis=1
        ) + 0.02 * _wander(rng, t, (3,))
    beat = 2 * np.pi * cycle[:, 0]
    script.pelvis = path(time) + 0.02 * np.sin(beat)[:, None] * _left(heading)
    script.hips = bounce * (skeleton.thigh + skeleton.shank) - 0.015 * np.cos(2 * beat)
    script.tilt += np.stack([0.04 + 0 * beat, -0.08 * np.cos(beat), -0.05 * np.sin(beat)], axis=1)
    script.spine += np.stack([0.02 + 0 * beat, 0.18 * np.cos(beat), 0.05 * np.sin(beat)], axis=1)
    return script, halted


def _foot_curves(rng: np.random.Generator) -> tuple[PchipInterpolator, PchipInterpolator]:
    """Lift of the ankle (m) and pitch of the foot (rad, positive toes down) over one gait cycle from heel strike."""
    keys = [0, 0.08, 0.38, 0.58, 0.70, 0.85, 0.96, 1]
    high, toe_off, strike = rng.uniform(0.10, 0.15), rng.uniform(0.6, 0.9), rng.uniform(0.15, 0.3)
    lift = PchipInterpolator(keys, [0.01, 0, 0, BALL * np.sin(toe_off), high, 0.05, 0.015, 0.01])
    pitch = PchipInterpolator(keys, [-strike, 0, 0, toe_off, toe_off, -0.5 * strike, -strike, -strike])
    return lift, pitch


def _seated(
    rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton, down: np.ndarray | float = 1.0, floor: bool = False
) -> Script:
    """On a chair or on the floor; `down` (T,): 0 standing in front of it, 1 seated, between them on the way."""
    script = _standing(rng, t, skeleton, sway=0.01)
    down = np.broadcast_to(down, t.shape)
    facing = script.heading.mean()
    script.heading = facing + 0.06 * _wander(rng, t, period=5)
    forward, left = _forward(facing), _left(facing)
    shuffle = _visits(rng, t, rng.normal(0, 0.04, (3, 2)), 1.5)
    if floor:
        height, away = rng.uniform(0.02, 0.06), rng.uniform(0.55, 0.9, 2) * (skeleton.thigh + skeleton.shank)
        lean, tilt, splay = rng.uniform(0.25, 0.6), rng.uniform(-0.3, -0.1), rng.uniform(0.2, 0.7)
        pitch = np.where(away > 0.75 * (skeleton.thigh + skeleton.shank), -0.9, 0.0)
    else:
        height, away = rng.uniform(0.98, 1.12) * skeleton.shank, rng.uniform(0.7, 1.25, 2) * skeleton.thigh
        lean, tilt, splay = rng.uniform(-0.05, 0.35), rng.uniform(-0.25, 0.0), rng.uniform(0.2, 0.6)
        pitch = np.zeros(2)
    # The feet stay where they are and the pelvis goes back, so both legs must start under the standing pelvis.
    mean_away = away.mean()
    spread = rng.uniform(0.08, 0.2)
    for side, out in enumerate((1, -1)):
        ahead = (away[side] - mean_away) * down + shuffle[:, side] * down
        script.feet[:, side, :2] = script.pelvis + out * spread * left + ahead[:, None] * forward
        script.foot_pitch[:, side] = pitch[side] * down
    script.pelvis = script.pelvis - (mean_away * down)[:, None] * forward
    centre = script.pelvis.mean(0) - rng.uniform(-0.5, 0.5, 2)
    script.pelvis = script.pelvis - centre
    script.feet[..., :2] -= centre
    on_the_way = 4 * down * (1 - down)
    script.hips = script.hips + (height - script.hips) * down
    script.knees = script.knees + (splay - script.knees) * down[:, None]
    script.tilt[:, 0] += tilt * down + 0.3 * on_the_way
    script.spine[:, 0] += lean * down + 0.2 * on_the_way
    script.head[:, 0] -= 0.3 * on_the_way
    rest = ("thigh", "front", "thigh", "folded") if floor else ("thigh", "thigh", "table", "folded", "hip")
    for side in range(2):
        script.wrists[:, side] += (_place(rng, skeleton, *rest) - HANDS["hang"]) * down[:, None]
        script.wrists[:, side, 2] += 0.35 * on_the_way
    return script


def _bend(script: Script, amount: np.ndarray, angle: float, knees: float = 0.15) -> None:
    """Lean forward by `angle` and lower the hips by the share `knees`, both times `amount` (T,); heels rise with it."""
    script.tilt[:, 0] += 0.5 * angle * amount
    script.spine[:, 0] += 0.5 * angle * amount
    script.pelvis = script.pelvis - (0.14 * angle * amount)[:, None] * _forward(script.heading)
    script.hips = script.hips * (1 - knees * amount)
    rise = 1.2 * knees * amount
    script.foot_pitch += rise[:, None]
    script.feet[..., 2] += BALL * np.sin(rise)[:, None]


def _somewhere(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton, **odds: float) -> Script:
    """Standing, walking, sitting on a chair or on the floor, with the given odds."""
    kind = rng.choice(list(odds), p=list(odds.values()))
    if kind == "walk":
        return _walking(rng, t, skeleton, pace=0.8)
    return _standing(rng, t, skeleton) if kind == "stand" else _seated(rng, t, skeleton, floor=kind == "floor")


# ---- the actions -----------------------------------------------------------------------------------------------


def directions(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """Pointing here and there, mostly with one arm, and looking that way."""
    script = _standing(rng, t, skeleton)
    main = rng.integers(2)
    for side, pointing in ((main, 0.85), (1 - main, 0.3)):
        aim, height = rng.uniform(-0.5, 1.7, 5), rng.uniform(-0.5, 0.7, 5)
        points = 0.94 * np.stack([np.sin(aim) * np.cos(height), np.sin(height), np.cos(aim) * np.cos(height)], axis=1)
        still = np.stack([_place(rng, skeleton, "hang", "hip", "pocket", "hang") for _ in aim])
        pick = (rng.uniform(size=len(aim)) < pointing)[:, None]
        script.wrists[:, side] = _hand_visits(rng, t, np.where(pick, points, still), 1.0)
        if side == main:
            out = (1, -1)[side]
            script.head[:, 1] += out * 0.5 * _visits(rng, t, aim, 1.0)
            script.spine[:, 1] += out * 0.2 * _visits(rng, t, aim, 1.0)
    return script


def discussion(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """Talking with both hands."""
    script = _somewhere(rng, t, skeleton, stand=0.8, sit=0.2)
    for side in range(2):
        liveliness = rng.uniform(0.5, 1.0)
        gesture = (-0.05, -0.45, 0.5) + _wander(rng, t, (3,), rng.uniform(0.9, 1.6)) * [0.22, 0.17, 0.08]
        script.wrists[:, side] += (gesture - script.wrists[:, side]) * (liveliness * _pulse(rng, t, 4, 0.5))[:, None]
    script.head[:, 0] += 0.12 * _wander(rng, t, period=0.8)
    script.spine[:, 1] += 0.12 * _wander(rng, t, period=2)
    return script


def eating(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """A hand goes between table and mouth, mostly sitting."""
    script = _somewhere(rng, t, skeleton, sit=0.75, stand=0.25)
    main = rng.integers(2)
    table, mouth = _place(rng, skeleton, "table"), _place(rng, skeleton, "mouth")
    bite = _pulse(rng, t, rng.uniform(2, 3.2))
    script.wrists[:, main] = _to_and_fro(table, mouth, bite) + 0.02 * _wander(rng, t, (3,))
    script.wrists[:, 1 - main] = _place(rng, skeleton, "table", "thigh", "carry") + 0.04 * _wander(rng, t, (3,))
    script.head[:, 0] += 0.25 - 0.15 * bite
    script.spine[:, 0] += rng.uniform(0.05, 0.25)
    return script


def greeting(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """Waving, bowing or shaking hands."""
    script = _standing(rng, t, skeleton)
    main, kind = rng.integers(2), rng.choice(["wave", "bow", "shake"], p=[0.5, 0.25, 0.25])
    rest = _place(rng, skeleton, "hang")
    raised = _pulse(rng, t, 4, 0.6)
    if kind == "bow":
        _bend(script, _pulse(rng, t, 2.6), rng.uniform(0.6, 1.2), knees=0.02)
        script.wrists[:, main] = _to_and_fro(rest, _place(rng, skeleton, "folded", "thigh"), raised)
    else:
        place = _place(rng, skeleton, "high", "up") if kind == "wave" else _place(rng, skeleton, "front")
        size = (0.18, 0.08, 0.0) if kind == "wave" else (0.0, 0.07, 0.03)
        shake = np.sin(2 * np.pi * (rng.uniform(1.3, 2.2) * t + rng.uniform())) * raised
        script.wrists[:, main] = _to_and_fro(rest, place, raised) + shake[:, None] * size
    return script


def phoning(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """One hand at the ear."""
    script = _somewhere(rng, t, skeleton, stand=0.45, walk=0.3, sit=0.25)
    main = rng.integers(2)
    ear = _place(rng, skeleton, "ear")
    there = _visits(rng, t, [0.0, 1, 1], 2.0) if rng.uniform() < 0.3 else np.ones(len(t))
    script.wrists[:, main] = _to_and_fro(script.wrists[:, main], ear + 0.015 * _wander(rng, t, (3,)), there)
    if rng.uniform() < 0.5:
        script.wrists[:, 1 - main] = _place(rng, skeleton, "pocket", "hip", "folded") + 0.03 * _wander(rng, t, (3,))
    script.head[:, 2] -= (1, -1)[main] * rng.uniform(0.0, 0.25)
    script.head[:, 0] += rng.uniform(-0.05, 0.25)
    return script


def posing(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """One pose after the other."""
    script = _standing(rng, t, skeleton, sway=0.05)
    for side in range(2):
        places = [_place(rng, skeleton, *HANDS, *HANDS_AT_HEAD) for _ in range(5)]
        script.wrists[:, side] = _hand_visits(rng, t, places, 0.9)
    script.spine += _visits(rng, t, rng.normal(0, 1, (4, 3)) * [0.12, 0.25, 0.15], 1.1)
    script.head += _visits(rng, t, rng.normal(0, 1, (4, 3)) * [0.15, 0.35, 0.15], 1.1)
    script.hips = script.hips * (1 - _visits(rng, t, rng.uniform(0, 0.12, 4), 1.1))
    return script


def purchases(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """Reaching into shelves, bending for the lower ones, a bag in the other hand."""
    walks = rng.uniform() < 0.25
    script = _walking(rng, t, skeleton, pace=0.8) if walks else _standing(rng, t, skeleton)
    main, low = rng.integers(2), not walks and rng.uniform() < 0.6
    reach = _pulse(rng, t, rng.uniform(2.2, 3.5))
    goal = np.array([rng.uniform(-0.1, 0.3), rng.uniform(-0.75, -0.5) if low else rng.uniform(-0.2, 0.7), 0.65])
    script.wrists[:, main] = _to_and_fro(_place(rng, skeleton, "hang", "carry"), goal, reach)
    script.wrists[:, 1 - main] = _place(rng, skeleton, "carry", "hang", "folded") + 0.03 * _wander(rng, t, (3,))
    _bend(script, reach, rng.uniform(0.6, 1.5) if low else rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.4) * low)
    script.head[:, 0] += reach * (0.15 if low else -0.3 * goal[1])
    script.spine[:, 1] -= (1, -1)[main] * 0.25 * reach
    return script


def sitting(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """Sitting, mostly on a chair, the hands now here, now there."""
    script = _somewhere(rng, t, skeleton, sit=0.8, floor=0.2)
    for side in range(2):
        names = ("thigh", "table", "folded", "mouth", "thigh", "hip")
        script.wrists[:, side] = _hand_visits(rng, t, [_place(rng, skeleton, *names) for _ in range(4)], 1.5)
    script.spine += _visits(rng, t, rng.normal(0, 1, (4, 3)) * [0.15, 0.15, 0.08], 1.5)
    script.head += _visits(rng, t, rng.normal(0, 1, (4, 3)) * [0.1, 0.35, 0.08], 1.2)
    return script


def sitting_down(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """Down onto a chair or the floor and up again."""
    floor = rng.uniform() < 0.4
    stay = [0.0, 1, 0, 1] if rng.uniform() < 0.5 else [1.0, 0, 1, 0]
    down = _visits(rng, t, stay, 2.2, move=1.6 if floor else 1.3)
    return _seated(rng, t, skeleton, down, floor)


def smoking(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """A hand goes to the mouth, stays and comes back."""
    script = _somewhere(rng, t, skeleton, stand=0.5, walk=0.2, sit=0.2, floor=0.1)
    main = rng.integers(2)
    rest, mouth = _place(rng, skeleton, "hang", "carry", "table"), _place(rng, skeleton, "mouth")
    puff = _pulse(rng, t, rng.uniform(2.5, 4), 0.2)
    script.wrists[:, main] = _to_and_fro(rest, mouth, puff) + 0.02 * _wander(rng, t, (3,))
    if rng.uniform() < 0.7:
        other = _place(rng, skeleton, "folded", "pocket", "hip", "hang")
        script.wrists[:, 1 - main] = other + 0.03 * _wander(rng, t, (3,))
    script.head[:, 0] -= 0.2 * puff * rng.uniform()
    return script


def photo(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """Both hands hold a camera before the face, from high, from low, to this side and that."""
    script = _standing(rng, t, skeleton)
    raised = _pulse(rng, t, 5, 0.7)
    aim = 0.3 * _wander(rng, t, (2,), 3)
    waist, camera = np.array([-0.25, -0.45, 0.45]), _place(rng, skeleton, "camera")
    for side in range(2):
        script.wrists[:, side] = _to_and_fro(waist, camera, raised) + 0.015 * _wander(rng, t, (3,))
    _bend(script, _pulse(rng, t, 4), rng.uniform(0, 0.5), rng.uniform(0, 0.45))
    script.spine[:, :2] += 0.5 * aim
    script.head[:, 0] += 0.35 * (1 - raised)
    script.head[:, 1] += 0.2 * aim[:, 1]
    return script


def waiting(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """Shifting the weight and looking around; sometimes pacing or sitting."""
    kind = rng.choice(["stand", "pace", "sit"], p=[0.65, 0.2, 0.15])
    if kind == "pace":
        script = _walking(rng, t, skeleton, pace=0.65)
    else:
        script = _standing(rng, t, skeleton, sway=0.06) if kind == "stand" else _seated(rng, t, skeleton)
    if kind == "stand":
        for side in range(2):
            names = ("hang", "folded", "pocket", "hip", "back", "hang")
            script.wrists[:, side] = _hand_visits(rng, t, [_place(rng, skeleton, *names) for _ in range(4)], 1.6)
    script.head[:, 1] += 0.4 * _wander(rng, t, period=2.5)
    script.spine[:, 1] += 0.12 * _wander(rng, t, period=3)
    return script


def walking(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """Round and round."""
    return _walking(rng, t, skeleton)


def walk_dog(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """Walking with one arm held out by the leash, now and then a halt to bend down."""
    stop = rng.uniform(0.3, 0.7) * t[-1] if rng.uniform() < 0.5 else None
    script, halted = _gait(rng, t, skeleton, 0.85, stop)
    main = rng.integers(2)
    leash = np.array([rng.uniform(-0.1, 0.25), rng.uniform(-0.65, -0.35), rng.uniform(0.5, 0.75)])
    script.wrists[:, main] = leash + _wander(rng, t, (3,), 1.2) * [0.06, 0.06, 0.08]
    _bend(script, halted, rng.uniform(0.5, 1.4), rng.uniform(0.1, 0.4))
    script.head[:, 0] += 0.2 + 0.1 * halted
    return script


def walk_together(rng: np.random.Generator, t: np.ndarray, skeleton: Skeleton) -> Script:
    """Walking beside another person: the face turned to that side, sometimes a hand on the other's back or a gesture."""
    script = _walking(rng, t, skeleton, pace=0.85)
    near = rng.integers(2)
    script.head[:, 1] += (1, -1)[near] * (0.25 + 0.35 * _pulse(rng, t, 3))
    kind = rng.choice(["swing", "gesture", "arm"], p=[0.5, 0.3, 0.2])
    if kind == "gesture":
        gesture = (0.0, -0.45, 0.5) + _wander(rng, t, (3,), 1.4) * [0.15, 0.15, 0.1]
        script.wrists[:, 1 - near] += (gesture - script.wrists[:, 1 - near]) * _pulse(rng, t, 3)[:, None]
    elif kind == "arm":
        script.wrists[:, near] = (0.85, -0.1, -0.05) + 0.04 * _wander(rng, t, (3,))
    return script


ACTIONS = {
    "Directions": directions,
    "Discussion": discussion,
    "Eating": eating,
    "Greeting": greeting,
    "Phoning": phoning,
    "Posing": posing,
    "Purchases": purchases,
    "Sitting": sitting,
    "SittingDown": sitting_down,
    "Smoking": smoking,
    "Photo": photo,
    "Waiting": waiting,
    "Walking": walking,
    "WalkDog": walk_dog,
    "WalkTogether": walk_together,
}
"""Human3.6M's actions in its order; action_idx is 2 for the first."""
