"""Videos of people whose joints are known: the built-in body, dressed, in a textured room, seen by a moving camera.

A pose detector finds these people as it finds real ones, so errors of the whole way from video to 3D can be measured
(docs/measure_video.py), and tests have a video with two people who cross. The world is Human3.6M's: metres here, Z up.

Drawing is plain: the room by one ray per pixel, the bodies by painting their triangles from far to near, twice as large as
needed and then halved, with soft shadows on the floor.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from data.Synthetic.kinematics import FRAME_RATE, Skeleton
from data.Synthetic.motions import motion
from lib.camera import Camera, camera_to_pixel, look_at, world_to_camera
from lib.joints import SMPL_24
from smplpytorch.smplpytorch.body_model import BodyModel
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer

ROOM = np.array([[-7.0, -6.0, 0.0], [7.0, 9.0, 3.6]])
"""Two opposite corners of the room, metres."""

LIGHT = np.array([0.35, -0.55, 0.76])
"""Towards the lamp: above, a little to the right of a camera that looks along +Y, and in front of the people."""

SUPERSAMPLING = 2
SHIFT = 4
"""Fractional bits of the coordinates handed to OpenCV."""

DARKEST = 0.45
"""Brightness of skin and cloth that no light reaches directly."""


@dataclass(frozen=True)
class Clothes:
    """Colours, RGB: skin, hair, shirt and its stripes, trousers, shoes."""

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    shirt: tuple[int, int, int]
    stripes: tuple[int, int, int]
    trousers: tuple[int, int, int]
    shoes: tuple[int, int, int]


WARDROBE = (
    Clothes((224, 172, 144), (62, 42, 30), (170, 40, 48), (205, 190, 180), (48, 60, 92), (40, 36, 34)),
    Clothes((141, 92, 66), (24, 20, 20), (52, 110, 84), (46, 96, 74), (150, 138, 112), (215, 212, 205)),
)


@dataclass(frozen=True)
class Actor:
    """One person in T frames: vertices (T, V, 3) and Human3.6M joints (T, 17, 3), metres, world; faces (F, 3) and their
    colours (F, 3), RGB from 0 to 255."""

    vertices: np.ndarray
    joints: np.ndarray
    faces: np.ndarray
    colours: np.ndarray


@dataclass(frozen=True)
class Scene:
    """Actors of equal length, one camera per frame, and the frame rate in Hz."""

    actors: Sequence[Actor]
    cameras: Sequence[Camera]
    fps: float

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height in px."""
        return self.cameras[0].width, self.cameras[0].height

    def truth(self) -> tuple[np.ndarray, np.ndarray]:
        """Joints in camera axes (P, T, 17, 3), metres, and in pixels (P, T, 17, 2)."""
        points = [
            np.stack([_seen(joints, camera) for joints, camera in zip(actor.joints, self.cameras, strict=True)])
            for actor in self.actors
        ]
        pixels = [
            np.stack([camera_to_pixel(joints, c.f, c.c) for joints, c in zip(person, self.cameras, strict=True)])
            for person in points
        ]
        return np.stack(points), np.stack(pixels)


# ---- scenes ----------------------------------------------------------------------------------------------------


def crossing(
    body: BodyModel, seconds: float = 4.0, fps: float = 25.0, size: tuple[int, int] = (640, 480), apart: float = 1.1
) -> Scene:
    """Two people walk past each other in front of a camera that pans and moves; the nearer one hides the other.

    size: (width, height) px; apart: metres between their paths.
    """
    frames = round(seconds * fps)
    speed = 3.6 / seconds
    actors = [
        walker(body, WARDROBE[0], (-1.8, 0.0), speed, frames, fps, seed=1),
        walker(body, WARDROBE[1], (1.8, apart), -speed, frames, fps, seed=2),
    ]
    return Scene(actors, moving_camera((0.0, 0.5, 0.95), frames, size), fps)


def walker(
    body: BodyModel,
    clothes: Clothes,
    start: tuple[float, float],
    speed: float,
    frames: int,
    fps: float,
    seed: int = 0,
    betas: np.ndarray | None = None,
) -> Actor:
    """Somebody who walks straight along the world's x axis, to the right where speed, metres per second, is above 0.

    The gait is the procedural one (data.Synthetic.motions), its curved path made straight.
    """
    betas = np.zeros(body.shapedirs.shape[-1]) if betas is None else betas
    layer = SMPL_Layer(body, torch.float64)
    with torch.inference_mode():
        rest, joints = layer(torch.zeros(1, 3 * len(layer.parents), dtype=torch.float64), torch.as_tensor(betas)[None])
    skeleton = Skeleton(joints[0].numpy(), float(rest[0, :, 1].min()))
    recorded = int(np.ceil(frames / fps * FRAME_RATE)) + 1
    pose, _ = motion("Walking", recorded, skeleton, np.random.default_rng(seed))
    rows = np.round(np.arange(frames) / fps * FRAME_RATE).astype(int)
    heading = np.pi / 2 * np.sign(speed)  # 0 faces -Y
    pose = facing(pose, heading)[rows]
    place = np.array([*start, 0.0]) + np.arange(frames)[:, None] / fps * [speed, 0.0, 0.0]
    return actor(body, clothes, pose.reshape(frames, -1), betas, place)


def facing(pose: np.ndarray, heading: float) -> np.ndarray:
    """The pose (T, 24, 3) with its way straightened: the body's mean heading over a second becomes `heading`, radians."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.spatial.transform import Rotation

    root = Rotation.from_rotvec(pose[:, 0])
    ahead = root.apply([0.0, 0.0, 1.0])
    yaw = np.unwrap(np.arctan2(ahead[:, 0], -ahead[:, 1]))
    yaw = gaussian_filter1d(yaw, FRAME_RATE / 2, mode="nearest")
    turned = pose.copy()
    turned[:, 0] = (Rotation.from_euler("z", (heading - yaw)[:, None]) * root).as_rotvec()
    return turned


def actor(body: BodyModel, clothes: Clothes, pose: np.ndarray, betas: np.ndarray, place: np.ndarray) -> Actor:
    """The body in poses (T, 72), axis-angle, Z-up world, its pelvis above place (T, 3) and its lowest point on the floor."""
    layer = SMPL_Layer(body, torch.float64)
    with torch.inference_mode():
        vertices, joints = layer(torch.as_tensor(pose), torch.as_tensor(betas).expand(len(pose), -1))
    vertices, root = vertices.numpy(), joints[:, 0].numpy()
    shift = place - root
    shift[:, 2] = -vertices[..., 2].min(1)
    vertices = vertices + shift[:, None]
    return Actor(vertices, body.joint_regressor @ vertices, body.faces, dressed(body, clothes))


def moving_camera(
    target: tuple[float, float, float],
    frames: int,
    size: tuple[int, int],
    distance: float = 5.2,
    height: float = 1.4,
    sway: float = 0.35,
) -> list[Camera]:
    """Cameras on a way of `sway` metres to either side, as a person would hold one, that look near `target`."""
    phase = np.linspace(0, np.pi, frames)
    focal = 1.2 * max(size)
    cameras = []
    for a in phase:
        position = np.array([-sway * np.cos(a), -distance, height + 0.08 * np.sin(2.3 * a)]) + [target[0], target[1], 0]
        aim = np.array(target) + [-0.1 * np.cos(1.7 * a), 0, 0.04 * np.sin(3 * a)]
        cameras.append(look_at(1000 * position, 1000 * aim, (focal, focal), (size[0] / 2, size[1] / 2), *size))
    return cameras


# ---- clothes ---------------------------------------------------------------------------------------------------


def dressed(body: BodyModel, clothes: Clothes) -> np.ndarray:
    """Colours (F, 3) of the built-in body's faces, by the joint that carries them and their place in the rest pose."""
    names = np.array([name.removeprefix("L_").removeprefix("R_") for name in SMPL_24.names])
    middle = body.v_template[body.faces].mean(1)
    part = names[body.lbs_weights[body.faces].mean(1).argmax(1)]
    x, y, z = np.abs(middle[:, 0]), middle[:, 1], middle[:, 2]
    colours = np.tile(np.array(clothes.skin, np.float64), (len(middle), 1))

    def paint(where: np.ndarray, colour: tuple[int, int, int]) -> None:
        colours[where] = colour

    trunk = np.isin(part, ("Pelvis", "Spine1", "Spine2", "Spine3", "Collar", "Neck", "Shoulder", "Hip"))
    covered = trunk & (x < 0.36) & ((y < 0.255) | (x > 0.085))
    paint(covered, clothes.shirt)
    paint(covered & (y < 0.12) & (y % 0.12 < 0.05), clothes.stripes)
    paint((y < -0.24), clothes.trousers)
    paint((y < -0.24) & (y > -0.27), (30, 26, 24))  # a belt
    paint(y < -1.09, clothes.shoes)
    head = y > 0.28
    paint(head & ((y > 0.445) | ((z < 0.0) & (y > 0.345)) | ((x > 0.062) & (y > 0.40))), clothes.hair)
    face = head & (z > 0.05)
    paint(face & (np.hypot((x - 0.031) / 0.013, (y - 0.401) / 0.006) < 1), (240, 238, 235))
    paint(face & (np.hypot(x - 0.031, y - 0.401) < 0.0065), (35, 28, 26))
    paint(face & (x > 0.012) & (x < 0.048) & (np.abs(y - 0.4185) < 0.005), clothes.hair)
    paint(face & (x < 0.024) & (np.abs(y - 0.341) < 0.006), (165, 80, 78))
    return colours


# ---- drawing ---------------------------------------------------------------------------------------------------


def render(scene: Scene) -> Iterator[np.ndarray]:
    """Yield every frame, (H, W, 3) uint8 RGB."""
    textures = [_texture(seed) for seed in range(3)]
    for t, camera in enumerate(scene.cameras):
        picture, floor = _room(camera, textures)
        picture *= np.where(floor, 1 - 0.5 * _shadows(scene.actors, t, camera), 1.0)[..., None]
        large = _enlarged(camera)
        picture = cv2.resize(np.clip(picture, 0, 255).astype(np.uint8), (large.width, large.height))
        _paint_bodies(picture, scene.actors, t, large)
        yield cv2.resize(picture, (camera.width, camera.height), interpolation=cv2.INTER_AREA)


def write_video(path: Path, scene: Scene) -> None:
    """Every frame of the scene as .mp4 (MPEG-4 part 2)."""
    camera = scene.cameras[0]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), scene.fps, (camera.width, camera.height))
    for picture in render(scene):
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()


def _seen(points: np.ndarray, camera: Camera) -> np.ndarray:
    """World points (N, 3) to camera axes, metres."""
    return world_to_camera(points, camera.R, camera.t / 1000)


def _enlarged(camera: Camera) -> Camera:
    """The camera with SUPERSAMPLING times the pixels; a pixel's middle is a whole number."""
    s = SUPERSAMPLING
    return Camera(camera.R, camera.t, s * camera.f, s * (camera.c + 0.5) - 0.5, s * camera.width, s * camera.height)


def _texture(seed: int, side: int = 1024) -> np.ndarray:
    """(side, side) about 1: noise of several sizes, repeating."""
    rng = np.random.default_rng(seed)
    total = np.zeros((side, side), np.float32)
    for cells, weight in ((4, 0.5), (16, 0.35), (64, 0.3), (256, 0.25), (1024, 0.12)):
        noise = rng.normal(0, 1, (cells, cells)).astype(np.float32)
        total += weight * cv2.resize(np.tile(noise, (3, 3)), (3 * side, 3 * side))[side : 2 * side, side : 2 * side]
    return 1 + 0.14 * total


def _room(camera: Camera, textures: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The empty room (H, W, 3) float32, and where its floor is (H, W) bool: one ray per pixel."""
    y, x = np.mgrid[: camera.height, : camera.width].astype(np.float32)
    rays = np.stack([(x - camera.c[0]) / camera.f[0], (y - camera.c[1]) / camera.f[1], np.ones_like(x)], -1)
    rays = rays @ camera.R.astype(np.float32)  # to world
    eye = (-camera.R.T @ camera.t / 1000).astype(np.float32)
    safe = np.where(np.abs(rays) < 1e-6, 1e-6, rays)
    lengths = np.where(safe > 0, ROOM[1] - eye, ROOM[0] - eye) / safe
    axis = lengths.argmin(-1)
    hit = eye + np.take_along_axis(lengths, axis[..., None], -1) * rays
    floor = (axis == 2) & (rays[..., 2] < 0)
    picture = np.zeros((*axis.shape, 3), np.float32)
    surfaces = (
        (floor, (0, 1), (168, 142, 112), 120, 0),
        ((axis == 2) & ~floor, (0, 1), (228, 226, 220), 200, 1),
        (axis == 0, (1, 2), (176, 186, 178), 160, 1),
        (axis == 1, (0, 2), (196, 192, 176), 160, 2),
    )
    for where, (u, v), colour, scale, number in surfaces:
        at_u, at_v = hit[where][:, u], hit[where][:, v]
        side = len(textures[number])
        value = textures[number][(at_v * scale).astype(int) % side, (at_u * scale).astype(int) % side]
        lines = np.ones_like(value)
        if number == 0:  # floorboards
            lines = np.where(at_v % 0.22 < 0.012, 0.72, 1 - 0.07 * (np.floor(at_v / 0.22) % 3))
        else:  # a skirting board, and frames on the walls
            inside = (at_u % 2.6 > 0.9) & (at_u % 2.6 < 1.9) & (at_v > 1.5) & (at_v < 2.4)
            lines = np.where(at_v < 0.12, 0.6, np.where(inside, 0.62 + 0.2 * (np.floor(at_u / 2.6) % 2), 1.0))
        picture[where] = np.array(colour, np.float32) * (value * lines)[:, None]
    return picture, floor


def _shadows(actors: Sequence[Actor], t: int, camera: Camera) -> np.ndarray:
    """(H, W) float32 from 0 to 1: how much of the lamp the people hide from the floor."""
    mask = np.zeros((camera.height, camera.width), np.uint8)
    for a in actors:
        on_floor = a.vertices[t] - a.vertices[t][:, 2:] / LIGHT[2] * LIGHT
        seen = _seen(on_floor, camera)
        pixels = np.round(camera_to_pixel(seen, camera.f, camera.c)).astype(np.int32)
        for triangle in pixels[a.faces[::2]]:  # every second one: the others fill the gaps within a pixel or two
            cv2.fillConvexPoly(mask, triangle, 255)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return cv2.GaussianBlur(mask, (0, 0), 3).astype(np.float32) / 255


def _paint_bodies(picture: np.ndarray, actors: Sequence[Actor], t: int, camera: Camera) -> None:
    """Paint all triangles that face the camera, the farthest first."""
    if not actors:
        return
    corners, colours, depths = [], [], []
    for a in actors:
        seen = _seen(a.vertices[t], camera)
        triangles = seen[a.faces]
        normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        visible = (normals * triangles[:, 0]).sum(-1) < 0
        light = DARKEST + (1 - DARKEST) * np.clip(_smooth(normals, a.faces, len(seen)) @ (camera.R @ LIGHT), 0, 1)
        corners.append(camera_to_pixel(triangles[visible], camera.f, camera.c))
        colours.append(a.colours[visible] * light[visible, None])
        depths.append(triangles[visible, :, 2].mean(1))
    order = np.argsort(-np.concatenate(depths))
    pixels = np.round(np.concatenate(corners)[order] * (1 << SHIFT)).astype(np.int32)
    for triangle, colour in zip(pixels, np.concatenate(colours)[order].tolist(), strict=True):
        cv2.fillConvexPoly(picture, triangle, colour, cv2.LINE_8, SHIFT)


def _smooth(normals: np.ndarray, faces: np.ndarray, count: int) -> np.ndarray:
    """Unit normals (F, 3) of faces, averaged over the neighbours at their corners."""
    at_corners = np.zeros((count, 3))
    for k in range(3):
        np.add.at(at_corners, faces[:, k], normals)
    smooth = at_corners[faces].sum(1)
    return smooth / np.maximum(np.linalg.norm(smooth, axis=-1, keepdims=True), 1e-12)
