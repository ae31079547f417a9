"""Smoothly drawn surfaces: what is in front, how much of a pixel is covered, and where light falls."""

import numpy as np
import pytest

from lib.lifting.writers import surface
from lib.lifting.writers.drawing import MESH_COLOUR, canvas
from lib.lifting.writers.surface import Surface, draw_surfaces, vertex_normals

SIZE = 80


def flat(corners, depth, normal=(0.0, 0.0, -1.0)) -> Surface:
    """A triangle or a fan of corners (x, y), clockwise in the image as it faces the viewer."""
    pixels = np.array(corners, np.float64)
    faces = np.array([[0, i + 1, i] for i in range(1, len(corners) - 1)])
    depth = np.broadcast_to(depth, len(corners)).astype(np.float64)
    return Surface(pixels, depth, np.tile(normal, (len(corners), 1)), faces)


def square(low, high, depth, normal=(0.0, 0.0, -1.0)) -> Surface:
    """Covers the pixels low to high, inclusive."""
    a, b = low - 0.5, high + 0.5
    return flat([(a, a), (b, a), (b, b), (a, b)], depth, normal)


def sphere(steps=40) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) of length 1 and outward faces; x right, y down, z away."""
    around, down = np.meshgrid(np.arange(steps) * 2 * np.pi / steps, np.linspace(1e-3, np.pi - 1e-3, steps))
    points = np.stack([np.sin(down) * np.cos(around), np.cos(down), np.sin(down) * np.sin(around)], -1).reshape(-1, 3)
    i, j = (n.ravel() for n in np.meshgrid(np.arange(steps - 1), np.arange(steps), indexing="ij"))
    a, b = i * steps + j, i * steps + (j + 1) % steps
    return points, np.concatenate([np.stack([a, b, a + steps], -1), np.stack([b, b + steps, a + steps], -1)])


def drawn(*surfaces, opacity=1.0) -> np.ndarray:
    picture = canvas(SIZE, SIZE)
    draw_surfaces(picture, list(surfaces), opacity)
    return picture


def coverage(picture) -> np.ndarray:
    """How much of each pixel is not white: 0 to 1, where everything has one colour."""
    dark = 255.0 - picture[..., 0]
    return dark / dark.max()


def test_a_square_of_whole_pixels_covers_exactly_these_and_leaves_the_others():
    picture = drawn(square(20, 29, 1.0))
    assert len(np.unique(picture[20:30, 20:30].reshape(-1, 3), axis=0)) == 1
    picture[20:30, 20:30] = 255
    assert (picture == 255).all()


def test_a_pixel_is_covered_as_far_as_the_triangle_reaches_into_it():
    """Worked example: legs of 20 and 40 pixels, 400 square pixels in all; the sloping side has part of every pixel it meets."""
    covered = coverage(drawn(flat([(19.5, 19.5), (39.5, 19.5), (19.5, 59.5)], 1.0)))
    assert covered.sum() == pytest.approx(400, abs=8)
    assert ((covered > 0.2) & (covered < 0.8)).sum() > 15


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_surface_hides_the_farther_one_in_every_order(order):
    light, dark = (0.0, -0.6, -0.8), (0.0, 0.95, -0.3)
    both = [square(10, 49, 2.0, light), square(30, 69, 1.0, dark)]
    picture = drawn(*(both[i] for i in order))
    np.testing.assert_array_equal(picture[40, 40], drawn(both[1])[40, 40])
    np.testing.assert_array_equal(picture[15, 15], drawn(both[0])[15, 15])
    assert picture[15, 15].sum() > picture[40, 40].sum() + 100


def test_surfaces_that_pass_through_each_other_part_where_they_meet():
    """One has depth 1 throughout, the other 0 to 2 from left to right, so they meet in the middle, at x = 39.5."""
    level = square(0, 79, 1.0, (0.0, 0.95, -0.3))
    slope = flat([(-0.5, -0.5), (79.5, -0.5), (79.5, 79.5), (-0.5, 79.5)], [0.0, 2.0, 2.0, 0.0])
    picture = drawn(level, slope)
    np.testing.assert_array_equal(picture[:, :39], drawn(slope)[:, :39])
    np.testing.assert_array_equal(picture[:, 41:], drawn(level)[:, 41:])


def test_backs_are_not_drawn():
    front = square(20, 40, 1.0)
    assert (drawn(Surface(front.pixels, front.depth, front.normals, front.faces[:, ::-1])) == 255).all()


def test_parts_outside_the_image_are_cut_off_and_a_surface_all_outside_is_not_there():
    inside = drawn(square(-30, 9, 1.0))
    assert (inside[:10, :10] != 255).all()
    assert (inside[10:] == 255).all()
    assert (drawn(square(-60, -20, 1.0), square(200, 300, 1.0)) == 255).all()
    assert (drawn() == 255).all()


def test_a_closed_surface_has_no_gaps_and_is_as_round_as_it_is():
    points, faces = sphere()
    covered = coverage_of_anything(drawn(Surface.of(points, faces, 30 * points[:, :2] + 40)))
    y, x = np.mgrid[:SIZE, :SIZE]
    distance = np.hypot(x - 40, y - 40)
    assert covered[distance < 28].all()
    assert not covered[distance > 31].any()


def coverage_of_anything(picture):
    return (picture != 255).any(-1)


def test_many_small_parts_give_the_same_image_as_one(monkeypatch):
    points, faces = sphere()
    whole = drawn(Surface.of(points, faces, 30 * points[:, :2] + 40))
    monkeypatch.setattr(surface, "AT_ONCE", 100)
    np.testing.assert_array_equal(drawn(Surface.of(points, faces, 30 * points[:, :2] + 40)), whole)


def test_a_sphere_is_lit_from_the_upper_left_and_changes_smoothly():
    points, faces = sphere()
    picture = drawn(Surface.of(points, faces, 30 * points[:, :2] + 40)).astype(int).sum(-1)
    assert picture[25, 25] > picture[40, 40] > picture[55, 55]
    inner = picture[25:55, 25:55]
    assert max(np.abs(np.diff(inner, axis=axis)).max() for axis in (0, 1)) < 60  # of 3 x 255


def test_opacity_mixes_with_what_was_there():
    one = drawn(square(20, 40, 1.0)).astype(float)[30, 30]
    half = drawn(square(20, 40, 1.0), opacity=0.5)[30, 30]
    np.testing.assert_allclose(half, (one + 255) / 2, atol=1)


def test_the_colour_is_the_meshs():
    red, green, blue = drawn(square(20, 40, 1.0))[30, 30].astype(float)
    assert red < green < blue
    assert (red / blue) == pytest.approx(MESH_COLOUR[0] / MESH_COLOUR[2], abs=0.05)


def test_the_normals_of_a_sphere_are_its_radii():
    points, faces = sphere()
    away_from_poles = np.abs(points[:, 1]) < 0.95
    np.testing.assert_allclose(vertex_normals(points, faces)[away_from_poles], points[away_from_poles], atol=0.02)


def test_a_vertex_without_faces_has_some_normal():
    normals = vertex_normals(np.zeros((4, 3)), np.array([[0, 1, 2]]))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
