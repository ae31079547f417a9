"""What is drawn over the images that people were found in."""

import base64
import json
import re
import subprocess
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from lib.lifting.footage import Footage
from lib.lifting.writers import write_poses
from lib.lifting.writers.drawing import Window, canvas, draw_image
from lib.lifting.writers.html import embedded_images
from lib.lifting.writers.png import HEADER as PNG_HEADER
from lib.lifting.writers.png import LABELS, contact_sheet
from lib.lifting.writers.video import GIF_HEIGHT, HEADER, MP4_HEIGHT, Layout, pictures_of
from tests.films import write_film
from tests.lib.lifting.writers.test_write_html import CHROMIUM, OPTIONS
from tests.waving_person import make_sequence, shows_right_arm_up

FRAMES = 6
CAMERA = (500.0, 500.0, 320.0, 240.0)
"""Of `make_sequence`."""


def person(length=FRAMES, mesh=True, **changes):
    return replace(make_sequence(length, mesh=mesh), camera=CAMERA, **changes)


def film_of(path, frames=FRAMES, size=(640, 480)):
    """Frame t is green of strength 60 + 30 t, with a white band along the top."""
    images = np.zeros((frames, *size[::-1], 3), np.uint8)
    images[..., 1] = (60 + 30 * np.arange(frames)[:, None, None]) % 250
    images[:, :20] = 255
    return write_film(path, images, 24.0)


@pytest.fixture
def footage(tmp_path):
    return Footage(film_of(tmp_path / "film.mp4"))


def panel(picture, layout):
    """The 2D input's part of a picture, without header and legend."""
    return picture[HEADER : layout.height, : layout.left]


def green(picture) -> np.ndarray:
    return (picture[..., 1].astype(int) - picture[..., 0] > 30) & (picture[..., 1].astype(int) - picture[..., 2] > 30)


def test_an_images_pixels_land_where_the_window_says():
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:13, 20:23] = 255
    for scale, centre in ((4.0, (84, 44)), (0.5, (10.5, 5.5))):
        picture = canvas(300, 200)
        draw_image(picture, image, Window(scale, np.zeros(2), np.zeros(2)))
        covered = picture[: int(39 * scale), : int(59 * scale)].astype(float).mean(-1)
        y, x = np.mgrid[: covered.shape[0], : covered.shape[1]]
        found = np.array([(x * covered).sum(), (y * covered).sum()]) / covered.sum()
        np.testing.assert_allclose(found, centre, atol=0.3)
        assert (picture[int(40 * scale) + 2 :] == 255).all()  # beyond the image nothing changes


def test_the_video_shows_every_frames_own_image_under_its_skeleton(footage):
    layout = Layout.of_images((640, 480), MP4_HEIGHT)
    pictures = list(pictures_of([person()], np.arange(FRAMES), layout, footage))
    assert len(pictures) == FRAMES
    for t, picture in enumerate(pictures):
        corner = panel(picture, layout)[-40:-20, 20:40]
        np.testing.assert_allclose(corner.mean((0, 1)), (0, 60 + 30 * t, 0), atol=8)
        assert panel(picture, layout)[2:18].mean() > 200  # the white band is at the top
    assert shows_right_arm_up(panel(pictures[0], layout))


def test_the_mesh_lies_on_the_person_in_the_image(footage):
    """What the mesh changes in the image has the box of the projected vertices, though no place was given."""
    layout = Layout.of_images((640, 480), MP4_HEIGHT)
    with_mesh, without = (
        panel(next(pictures_of([person(mesh=mesh)], np.arange(1), layout, footage)), layout) for mesh in (True, False)
    )
    y, x = np.nonzero(np.abs(with_mesh.astype(int) - without).sum(-1) > 30)
    sequence = person()
    points = sequence.meshes[-1][0] + (0, 0, 4.0)  # where `make_sequence` stands
    pixels = layout.flat(points[:, :2] / points[:, 2:] * 500 + (320, 240)) - (0, HEADER)
    np.testing.assert_allclose((x.min(), y.min()), pixels.min(0), atol=5)
    np.testing.assert_allclose((x.max(), y.max()), pixels.max(0), atol=5)
    assert with_mesh[y, x].std(0).max() > 2  # see-through and shaded


def test_people_without_a_camera_get_their_skeleton_only(footage):
    layout = Layout.of_images((640, 480), MP4_HEIGHT)
    alone, bare = (
        panel(next(pictures_of([s], np.arange(1), layout, footage)), layout)
        for s in (replace(person(), camera=None), person(mesh=False))
    )
    np.testing.assert_array_equal(alone, bare)


@pytest.mark.parametrize(("size", "left"), [((1920, 1080), 900), ((1080, 1920), 284), ((480, 640), 380)])
def test_landscape_and_portrait_are_shown_whole_and_undistorted(size, left):
    layout = Layout.of_images(size, MP4_HEIGHT)
    assert layout.left == left
    assert layout.left % 2 == layout.width % 2 == 0  # video formats need even sizes
    corners = layout.flat(np.array([[0.0, 0.0], size]) - 0.5)
    assert (corners >= (-1e-9, HEADER - 1e-9)).all()
    assert (corners <= (layout.left + 1e-9, MP4_HEIGHT + 1e-9)).all()
    assert np.isclose(corners, [(0, HEADER), (layout.left, MP4_HEIGHT)], atol=1.5).all()


def test_frames_in_which_nobody_is_seen_are_part_of_the_video(tmp_path, footage):
    there = person(4, frames=np.array([0, 1, 4, 5]))
    write_poses(tmp_path / "a.mp4", [there], footage)
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    pictures = []
    while (result := capture.read())[0]:
        pictures.append(result[1][..., ::-1])
    assert len(pictures) == FRAMES
    layout = Layout.of_images((640, 480), MP4_HEIGHT)
    greens = [panel(picture, layout)[-40:-20, 20:40, 1].mean() for picture in pictures]
    np.testing.assert_allclose(greens, 60 + 30 * np.arange(FRAMES), atol=12)
    assert not shows_right_arm_up(panel(pictures[2], layout))


def test_an_animation_shows_the_images_in_their_colours(tmp_path, footage):
    write_poses(tmp_path / "a.gif", [person()], footage)
    layout = Layout.of_images((640, 480), GIF_HEIGHT)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.size == (layout.width, GIF_HEIGHT)
        assert film.n_frames == FRAMES
        for t in range(FRAMES):
            film.seek(t)
            shown = panel(np.asarray(film.convert("RGB")), layout)
            np.testing.assert_allclose(shown[-40:-20, 20:40].mean((0, 1)), (0, 60 + 30 * t, 0), atol=16)
            assert t or shows_right_arm_up(shown)


def test_the_contact_sheet_has_the_images_behind_the_2d_input(footage):
    sheet = contact_sheet([person()], footage)
    first_row = sheet[PNG_HEADER : PNG_HEADER + 150, LABELS:]
    assert green(first_row).mean() > 0.5
    assert not green(contact_sheet([person()])).any()
    assert shows_right_arm_up(sheet[: len(sheet) // 4, LABELS : LABELS + sheet.shape[1] // FRAMES])


def test_a_page_holds_small_copies_of_the_right_frames(footage):
    images = embedded_images([person(3, frames=np.array([1, 2, 5]))], replace(footage, embedded_bytes=10**6))
    assert list(images) == [1, 2, 5]
    for t, text in images.items():
        image = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (360, 480, 3)
        np.testing.assert_allclose(image[-20:].mean((0, 1)), (0, 60 + 30 * t, 0), atol=8)


def test_what_a_page_holds_is_bounded(tmp_path):
    footage = Footage(film_of(tmp_path / "long.mp4", 40), embedded_bytes=20_000)
    images = embedded_images([person(40)], footage)
    assert 1 < len(images) < 40
    assert sum(map(len, images.values())) <= 20_000
    assert len(set(np.diff(list(images)))) == 1  # evenly thinned
    assert not embedded_images([person(40)], replace(footage, embedded_bytes=10))


def test_pages_without_embedded_bytes_hold_no_image(tmp_path, footage):
    write_poses(tmp_path / "a.html", [person()], footage)
    assert "data:image/jpeg;base64,/9j" not in (tmp_path / "a.html").read_text()
    assert '"images":{}' in (tmp_path / "a.html").read_text()


PROBE = """
<pre id="probe"></pre><script>
const look = () => {
  const canvas = document.getElementById("view2d"), pen = canvas.getContext("2d");
  const across = pen.getImageData(0, canvas.height >> 1, canvas.width, 1).data, green = [];
  for (let i = 0; i < across.length; i += 4) if (across[i] < 40 && across[i + 2] < 40) green.push(across[i + 1]);
  return green.sort((a, b) => a - b)[green.length >> 1];
};
const slider = document.getElementById("slider"), report = { atOnce: [], settled: [] };
const wait = () => new Promise((done) => setTimeout(done, 60));
(async () => {
  await wait();
  for (const value of [0, 3, 5, 0]) {
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
    report.atOnce.push(look() ?? null);
    await wait();
    report.settled.push(look());
  }
  document.getElementById("probe").textContent = JSON.stringify(report);
})();
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")
def test_the_pages_images_are_in_step_with_the_slider_and_the_pane_is_never_empty(tmp_path, footage):
    write_poses(tmp_path / "a.html", [person()], replace(footage, embedded_bytes=10**6))
    (tmp_path / "probe.html").write_text((tmp_path / "a.html").read_text().replace("</body>", PROBE + "</body>"))
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "probe.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    greens = json.loads(re.search(r'<pre id="probe">(.*?)</pre>', dom)[1])
    np.testing.assert_allclose(greens["settled"], [60, 150, 210, 60], atol=8)
    assert min(green or 0 for green in greens["atOnce"]) > 50  # joints are darker
