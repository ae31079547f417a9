import cv2
import numpy as np
import pytest

from lib.lifting.footage import Footage
from tests.films import grey, write_film


@pytest.fixture
def film(tmp_path):
    """Six frames of 64 x 48, each a grey of its own."""
    return write_film(tmp_path / "film.mp4", [grey(40 * t) for t in range(6)])


def test_every_frame_number_gets_its_own_image(film):
    images = list(Footage(film).images(np.array([1, 2, 5])))
    np.testing.assert_allclose([image.mean() for image in images], [40, 80, 200], atol=6)


def test_frames_that_the_file_lacks_have_no_image(film):
    first, *rest = Footage(film).images(np.array([5, 6, 900]))
    assert first.shape == (48, 64, 3)
    assert rest == [None, None]


def test_an_image_file_is_frame_0(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((30, 20, 3), 7, np.uint8))
    (image,) = Footage(tmp_path / "a.png").images(np.array([0]))
    assert (image == 7).all()
