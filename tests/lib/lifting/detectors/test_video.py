import cv2
import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.detectors.video import image_size_of, read_frames, video_rate


@pytest.fixture
def film(tmp_path):
    """Five frames of 64 x 48 at 15 Hz, every one a grey of its own, with a red left half."""
    path = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 15.0, (64, 48))
    for level in range(5):
        frame = np.full((48, 64, 3), 40 * level, np.uint8)
        frame[:, :32] = (0, 0, 255)  # OpenCV's order: blue, green, red
        writer.write(frame)
    writer.release()
    return path


def test_frames_come_in_order_upright_and_in_rgb(film):
    frames = list(read_frames(film))
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 5
    np.testing.assert_allclose([frame[24, 48].mean() for frame in frames], [0, 40, 80, 120, 160], atol=8)
    np.testing.assert_allclose(frames[2][24, 16], (255, 0, 0), atol=30)


def test_size_and_rate_of_a_video(film):
    assert image_size_of(film) == (64, 48)
    assert video_rate(film) == pytest.approx(15)


def test_a_picture_is_one_frame_without_a_rate(tmp_path):
    path = tmp_path / "one.png"
    cv2.imwrite(str(path), np.full((30, 20, 3), (1, 2, 3), np.uint8))
    (frame,) = read_frames(path)
    np.testing.assert_array_equal(frame, np.full((30, 20, 3), (3, 2, 1)))
    assert image_size_of(path) == (20, 30)
    assert video_rate(path) is None


@pytest.mark.parametrize("content", [b"", b"no film", b"\x89PNG\r\n\x1a\n broken"])
def test_a_file_that_is_neither_is_one_clear_line(tmp_path, content):
    path = tmp_path / "file.mp4"
    path.write_bytes(content)
    for function in (image_size_of, video_rate, lambda p: list(read_frames(p))):
        with pytest.raises(UserError, match=r"file\.mp4.*neither as a picture nor as a video"):
            function(path)


def test_a_video_whose_index_is_cut_off_is_one_clear_line(film):
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    with pytest.raises(UserError, match=r"film\.mp4.*neither as a picture nor as a video"):
        list(read_frames(film))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(UserError, match="no such file"):
            image_size_of(path)
