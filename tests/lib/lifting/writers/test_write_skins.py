"""Skinned bodies in pages, films and contact sheets."""

import base64
import json
import re
import subprocess
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lib.camera import camera_to_pixel
from lib.joints import HUMAN36M_17
from lib.lifting.fitted_body import FittedBody
from lib.lifting.footage import Footage
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers import write_poses
from lib.lifting.writers.drawing import Window, canvas
from lib.lifting.writers.html import stored_body, stored_model, write_html
from lib.lifting.writers.overlay import Overlay
from lib.lifting.writers.png import contact_sheet
from lib.lifting.writers.scene import Scene
from lib.lifting.writers.video import HEADER, MP4_HEIGHT, WIDTH, Layout, pictures_of
from smplpytorch.smplpytorch.pytorch.smpl_layer import SMPL_Layer
from tests.bodies import skinnable_body
from tests.films import grey, write_film
from tests.lib.lifting.writers.test_write_html import CHROMIUM, OPTIONS
from tests.waving_person import colour_mask

T, CAMERA, SIZE = 5, (500.0, 500.0, 320.0, 240.0), (640, 480)


def person(number=0, place=(0.0, 0.0, 4.0), seed=0) -> PoseSequence:
    """A body with its right arm raised, in slightly different poses; facing the camera."""
    model, rng = skinnable_body(), np.random.default_rng(seed)
    pose = 0.1 * rng.normal(size=(T, 72))
    pose[:, :3] = Rotation.from_euler("x", 180, degrees=True).as_rotvec() + 0.05 * rng.normal(size=(T, 3))
    pose[:, 3 * 17 : 3 * 17 + 3] = [0, 0, -np.pi / 2.5]  # R_Shoulder
    body = FittedBody(model, pose, np.zeros(10), np.zeros((T, 3)), np.zeros((17, 3)), np.zeros(T))
    vertices = posed(body)
    pose3d = model.joint_regressor @ vertices
    body = replace(body, transl=-pose3d[:, 0])
    pose3d = pose3d - pose3d[:, :1]
    root = np.tile(place, (T, 1))
    pixels = camera_to_pixel(pose3d + root[:, None], np.array(CAMERA[:2]), np.array(CAMERA[2:]))
    return PoseSequence(
        pose3d, pixels, HUMAN36M_17, 25.0, SIZE, person=number, root=root, body=body, camera=CAMERA
    )  # fmt: skip


def posed(body, rows=slice(None)):
    """(T, V, 3) metres by the plain layer."""
    pose, transl = body.pose[rows], body.transl[rows]
    betas = np.tile(body.betas, (len(pose), 1))
    return SMPL_Layer(body.model, torch.float64)(*map(torch.as_tensor, (pose, betas, transl)))[0].numpy()


def bluish(picture) -> np.ndarray:
    """(H, W) bool: pixels with the colour of a skin, lit or not."""
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return (blue - red > 8) & (blue - red < 60) & (blue >= green) & (green >= red) & (red < 240)


def box(mask) -> np.ndarray:
    y, x = np.nonzero(mask)
    return np.array([x.min(), y.min(), x.max(), y.max()])


def test_a_scenes_figures_have_the_skin_where_its_person_is():
    people = [person(), person(3, (1.0, 0.2, 6.0), seed=1)]
    scene = Scene(people, "body")
    first, second = scene.figures(2)
    for figure, sequence in ((first, people[0]), (second, people[1])):
        assert figure.skinned
        np.testing.assert_allclose(figure.vertices, posed(sequence.body)[2] + sequence.root[2], atol=1e-5)
    points = scene.points()
    everything = np.concatenate([(posed(s.body) + s.root[:, None]).reshape(-1, 3) for s in people])
    np.testing.assert_allclose(points.min(0), everything.min(0), atol=1e-5)
    np.testing.assert_allclose(points.max(0), everything.max(0), atol=1e-5)


def test_a_film_shows_the_skin_without_bones_and_the_input_beside_it():
    sequence = person()
    layout = Layout.of_lines([sequence])
    picture = next(pictures_of([sequence], np.arange(1), layout, mesh="body"))
    left, right = picture[30:-60, : WIDTH // 2], picture[30:-60, WIDTH // 2 :]
    assert colour_mask(left, "right").any()
    assert not colour_mask(right, "right").any()
    skin = bluish(right)
    assert skin.mean() > 0.05
    left_end, top, right_end, _ = box(skin)
    raised = skin[top : top + 10].nonzero()[1].mean()
    assert raised < (left_end + right_end) / 2  # the right hand, at the left as the camera sees it


@pytest.fixture
def footage(tmp_path):
    """A film of even grey."""
    return Footage(write_film(tmp_path / "film.mp4", [grey(90, *SIZE)] * T))


def test_the_skin_lies_over_the_image_where_the_camera_projects_it(footage):
    """What the skin changes in the image has the box of the projected vertices."""
    places = [(0.0, 0.0, 4.0), (0.9, 0.1, 5.0)]
    people = [person(0, places[0]), person(3, places[1], seed=1)]
    layout = Layout.of_images(SIZE, MP4_HEIGHT)
    people = [replace(s, root=None) for s in people]  # their places are found from the 2D joints
    bare = [replace(s, body=None) for s in people]
    shown, without = (
        next(pictures_of(s, np.arange(1), layout, footage, mesh))[HEADER:, : layout.left].astype(int)
        for s, mesh in ((people, "body"), (bare, "coarse"))
    )
    changed = np.abs(shown - without).sum(-1) > 40
    pixels = []
    for s, place in zip(people, places, strict=True):
        vertices = posed(s.body)[0] + place
        pixels.append(layout.flat(camera_to_pixel(vertices, np.array(CAMERA[:2]), np.array(CAMERA[2:]))) - [0, HEADER])
    pixels = np.concatenate(pixels)
    np.testing.assert_allclose(box(changed), [*pixels.min(0), *pixels.max(0)], atol=2)


def test_of_two_people_over_an_image_the_nearer_one_is_in_front():
    near, far = person(), person(1, (0.2, 0.0, 5.5))

    def over_white(people):
        picture = canvas(*SIZE)
        Overlay(people).draw_meshes(picture, Scene(people, "body").figures(0), 0, Window(1.0, np.zeros(2), np.zeros(2)))
        return picture.astype(int)

    alone = over_white([near])
    inside = cv2.erode((alone != 255).any(-1).astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert inside.sum() > 5000
    for pair in ([near, far], [far, near]):
        both = over_white(pair)
        np.testing.assert_array_equal(both[inside], alone[inside])
        assert ((both != 255).any(-1) & (alone == 255).all(-1)).sum() > 500


def test_a_sheet_has_rows_of_the_body_and_of_the_body_in_the_image(footage):
    def rows(sheet):
        named = np.flatnonzero((sheet[:, :82] < 200).any((1, 2)))
        return 1 + (np.diff(named) > 40).sum()

    sequence = person().rows([0, 3])
    assert rows(contact_sheet([sequence], mesh="body")) == 5
    assert rows(contact_sheet([sequence], footage, mesh="body")) == 6
    assert bluish(contact_sheet([sequence], mesh="body")).mean() > 0.05


def test_weights_and_rotations_of_a_page_are_stored_to_a_tenth_of_a_millimetre():
    sequence = person()
    model = stored_model(sequence.body.model)
    weights = np.frombuffer(base64.b64decode(model["weights"]), np.uint8).reshape(-1, 4)
    assert (weights.sum(1, dtype=int) == 255).all()
    turned = replace(sequence.body, pose=sequence.body.pose + 0)
    turned.pose[0, 3:6] = [4.0, 0, 0]  # more than half a turn: the same as 4 - 2 pi
    text = stored_body(turned, np.zeros((T, 1, 3)), 0)["pose"]
    stored = np.frombuffer(base64.b64decode(text), "<i2").reshape(T, 24, 3) / 1e4
    np.testing.assert_allclose(stored[0, 1], [4 - 2 * np.pi, 0, 0], atol=6e-5)


PROBE = """
<pre id="probe"></pre><script>
const by = (id) => document.getElementById(id), data = JSON.parse(by("data").textContent), report = {};
report.vertices = data.persons.map((person) => {
  const body = new skinned.Body(data.models[person.body.model], person.body);
  return [0, 3].map((t) => { body.pose(t); return [...body.vertices].map((value) => Math.round(10 * value)); });
});
// box and number of the pixels that have a skin's colour
function look() {
  const canvas = by("view3d"), all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0, left = canvas.width, right = 0, top = canvas.height, bottom = 0, topmost = 0, blue = 0;
  for (let i = 0; i < all.length; i += 4) {
    const [r, g, b] = all.slice(i, i + 3), x = i / 4 % canvas.width, y = Math.floor(i / 4 / canvas.width);
    if (b - r < 8 || b - r > 60 || b < g || g < r || r > 200) continue;
    count += 1; blue += b; left = Math.min(left, x); right = Math.max(right, x); bottom = Math.max(bottom, y);
    if (y < top) { top = y; topmost = x; }
  }
  return { count, left, right, top, bottom, topmost, blue: blue / count };
}
function change(id, key, value) { by(id)[key] = value; by(id).dispatchEvent(new Event("change")); }
report.name = by("meshName").textContent;
report.bones = by("skeleton").checked;
report.all = look();
change("person", "value", "0");
report.first = look();
by("view3d").dispatchEvent(new PointerEvent("pointermove", { buttons: 1, movementX: 314 }));
report.behind = look();
by("view3d").dispatchEvent(new PointerEvent("dblclick"));
change("mesh", "checked", false);
report.none = look();
by("probe").textContent = JSON.stringify(report);
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")
def test_the_page_poses_and_draws_bodies_as_the_layer_does(tmp_path):
    people = [person(), person(3, (1.3, 0.2, 4.5), seed=1)]
    write_html(tmp_path / "a.html", people, mesh="body")
    (tmp_path / "probe.html").write_text((tmp_path / "a.html").read_text().replace("</body>", PROBE + "</body>"))
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "probe.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    report = json.loads(re.search(r'<pre id="probe">(.*?)</pre>', dom)[1])
    for sequence, moments in zip(people, report["vertices"], strict=True):
        wanted = (posed(sequence.body) + sequence.root[:, None])[[0, 3]]
        np.testing.assert_allclose(np.reshape(moments, wanted.shape) / 1e4, wanted, atol=2e-3)
    assert (report["name"], report["bones"]) == ("body", False)
    first = report["first"]
    middle = (first["left"] + first["right"]) / 2
    assert first["topmost"] < middle - 20  # the raised right hand, at the left as the camera sees it
    assert first["blue"] > 150  # its front, in the light; the far side of a body would be dark
    behind = report["behind"]
    assert behind["topmost"] > (behind["left"] + behind["right"]) / 2 + 20
    assert report["all"]["right"] > first["right"] + 50
    assert 1.3 * first["count"] < report["all"]["count"]
    assert report["none"]["count"] < 0.02 * first["count"]


def test_people_with_one_model_share_it_in_the_page_and_coarse_pages_hold_no_body(tmp_path):
    one, other = person(), person(3, seed=1)
    other = replace(other, body=replace(other.body, model=one.body.model))
    for name, people, mesh in (("one", [one], "body"), ("two", [one, other], "body"), ("coarse", [one], "coarse")):
        assert write_poses(tmp_path / f"{name}.html", people, mesh=mesh) == [tmp_path / f"{name}.html"]
    sizes = {path.stem: path.stat().st_size for path in tmp_path.iterdir()}
    first = sizes["one"] - sizes["coarse"]
    assert sizes["two"] - sizes["one"] < 0.6 * first
