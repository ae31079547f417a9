import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from lib.errors import UserError
from lib.lifting.detectors.video import Reading, duration, frame_count, image_size_of, numbered_frames, video_rate
from tests.films import grey, write_film


@pytest.fixture
def film(tmp_path):
    """Five frames of 64 x 48 at 15 Hz, every one a grey of its own, with a red left half."""
    images = [grey(40 * t) for t in range(5)]
    for image in images:
        image[:, :32] = (255, 0, 0)
    return write_film(tmp_path / "film.mp4", images, 15.0)


def test_frames_come_in_order_upright_and_in_rgb(film):
    numbers, frames = zip(*numbered_frames(film), strict=True)
    assert numbers == (0, 1, 2, 3, 4)
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 5
    np.testing.assert_allclose([frame[24, 48].mean() for frame in frames], [0, 40, 80, 120, 160], atol=8)
    np.testing.assert_allclose(frames[2][24, 16], (255, 0, 0), atol=30)


def test_size_rate_and_length_of_a_video(film):
    assert image_size_of(film) == (64, 48)
    assert frame_count(film) == 5
    assert video_rate(film) == pytest.approx(15)
    assert duration(film) == pytest.approx(1 / 3)


def test_an_image_is_one_frame_without_a_rate(tmp_path):
    path = tmp_path / "one.png"
    cv2.imwrite(str(path), np.full((30, 20, 3), (1, 2, 3), np.uint8))
    ((number, frame),) = numbered_frames(path)
    assert number == 0
    np.testing.assert_array_equal(frame, np.full((30, 20, 3), (3, 2, 1)))
    assert image_size_of(path) == (20, 30)
    assert video_rate(path) is None
    assert duration(path) == 0


@pytest.mark.parametrize("content", [b"", b"no film", b"\x89PNG\r\n\x1a\n broken"])
def test_a_file_that_is_neither_is_one_clear_line(tmp_path, content):
    path = tmp_path / "file.mp4"
    path.write_bytes(content)
    for function in (image_size_of, video_rate, lambda p: list(numbered_frames(p))):
        with pytest.raises(UserError, match=r"file\.mp4.*neither as an image nor as a video"):
            function(path)


def test_a_video_whose_index_is_cut_off_is_one_clear_line(film):
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    with pytest.raises(UserError, match=r"film\.mp4.*neither as an image nor as a video"):
        list(numbered_frames(film))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(UserError, match="no such file"):
            image_size_of(path)


def test_a_clip_has_the_numbers_of_the_whole_video(film):
    assert [number for number, _ in numbered_frames(film, clip=(1 / 15, 3.1 / 15))] == [1, 2, 3]


def test_frames_at_uneven_times_are_numbered_by_their_times(tmp_path):
    path = tmp_path / "uneven.gif"
    images = [Image.fromarray(np.full((48, 64, 3), 40 * i, np.uint8)) for i in range(6)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=[100, 100, 300, 100, 40, 100])
    reading = Reading()
    frames = dict(numbered_frames(path, reading=reading))
    assert video_rate(path) == pytest.approx(10)
    assert list(frames) == [0, 1, 2, 5, 6]  # 0.64 s is number 6 again
    assert frames[5].mean() == pytest.approx(120, abs=4)
    assert reading.doubled == 1
    assert (
        "frames come at uneven times; each is placed at its time (2 gaps or doubles, 1 skipped)"
        in reading.notes("v")[0]
    )


def test_pixels_that_are_not_square_are_stretched(film):
    """The `pasp` box of an .mp4 says how wide a pixel is: 3 to 2 makes 64 columns 96."""
    content = bytearray(film.read_bytes())
    entry = content.index(b"mp4v", content.index(b"stsd")) - 4
    box = b"\0\0\0\x10pasp" + (3).to_bytes(4, "big") + (2).to_bytes(4, "big")
    end = entry + int.from_bytes(content[entry : entry + 4], "big")
    content[end:end] = box
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"mp4v"):
        start = entry if name == b"mp4v" else content.index(name) - 4
        content[start : start + 4] = (int.from_bytes(content[start : start + 4], "big") + len(box)).to_bytes(4, "big")
    film.write_bytes(content)
    assert image_size_of(film) == (96, 48)
    _, frame = next(numbered_frames(film))
    np.testing.assert_allclose(frame[24, 40], (255, 0, 0), atol=30)
    np.testing.assert_allclose(frame[24, 56], (0, 0, 0), atol=30)


def test_frames_without_times_and_rate_are_counted(film, monkeypatch):
    monkeypatch.setattr("lib.lifting.detectors.video.video_rate", lambda path: None)
    assert [number for number, _ in numbered_frames(film)] == [0, 1, 2, 3, 4]


def test_an_even_video_needs_no_note(film):
    reading = Reading()
    list(numbered_frames(film, reading=reading))
    assert reading == Reading(frames=5, expected=5)
    assert reading.notes("film") == []


def test_a_video_with_a_rotation_flag_comes_upright(film):
    content = bytearray(film.read_bytes())
    matrix = content.index(b"tkhd") + 44
    turned = [0, 0x10000, 0, -0x10000 & 0xFFFFFFFF, 0, 0, 48 << 16, 0, 0x40000000]  # a quarter to the right
    content[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big") for value in turned)
    film.write_bytes(content)
    _, frame = next(numbered_frames(film))
    assert frame.shape == (64, 48, 3)
    assert image_size_of(film) == (48, 64)
    np.testing.assert_allclose(frame[16, 24], (255, 0, 0), atol=30)  # left has become the top


def test_a_photo_with_a_rotation_flag_comes_upright(tmp_path):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right
    photo = np.zeros((48, 64, 3), np.uint8)
    photo[:, :32] = (255, 0, 0)
    Image.fromarray(photo).save(path, exif=exif, quality=95)
    ((_, frame),) = numbered_frames(path)
    assert frame.shape == (64, 48, 3)
    np.testing.assert_allclose(frame[16, 24], (255, 0, 0), atol=30)


def test_a_video_that_ends_early_is_told():
    assert (
        "only 60 of 100 frames can be read; the file is damaged" in Reading(frames=60, expected=100).notes("v.mp4")[0]
    )


def test_a_video_damaged_in_the_middle_is_used_as_far_as_it_can_be_read(tmp_path, repository):
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(40)]
    path = write_film(tmp_path / "damaged.mp4", images, 15.0)
    content = bytearray(path.read_bytes())
    begin, end = (content.index(b"mdat") + int(part * len(content)) for part in (0.3, 0.5))
    content[begin:end] = noise.integers(0, 255, end - begin, np.uint8).tobytes()
    path.write_bytes(content)
    reading = Reading()
    numbers = [number for number, _ in numbered_frames(path, reading=reading)]
    assert 20 < len(numbers) < 40
    assert numbers[:5] == [0, 1, 2, 3, 4]
    assert numbers[-20:] == list(range(20, 40))  # what comes after the damage keeps its time
    (note,) = reading.notes("v.mp4")
    assert f"only {len(numbers)} of 40 frames can be read; the file is damaged" in note
    program = f"from lib.lifting.detectors.video import numbered_frames\nfor _ in numbered_frames({str(path)!r}): pass"
    done = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")  # not one of the decoder's lines
