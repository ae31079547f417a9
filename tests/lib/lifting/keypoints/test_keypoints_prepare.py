import numpy as np
import pytest

from lib.errors import UserError
from lib.joints import COCO_17
from lib.lifting.keypoints.prepare import prepare_people
from lib.lifting.keypoints.readers import Keypoints
from tests.stick_person import SIZE, detections


def keypoints(person=0, size=SIZE, **changes) -> Keypoints:
    values = detections(COCO_17)[0]
    fields = {
        "person": person, "frames": np.arange(len(values)), "xy": values[..., :2], "scores": values[..., 2],
        "joint_set": "coco", "image_size": size, "source": "walk.json",
    }  # fmt: skip
    return Keypoints(**{**fields, **changes})


def test_prepared_people_are_complete_and_keep_their_frames():
    k = keypoints(person=7, frames=np.arange(30) * 2 + 5)
    xy, scores = k.xy.copy(), k.scores.copy()
    xy[4, 9], scores[4, 9] = np.nan, 0  # L_Wrist
    (p,) = prepare_people([keypoints(person=7, frames=k.frames, xy=xy, scores=scores)])
    assert (p.person, p.image_size) == (7, SIZE)
    assert (p.frames == k.frames).all()
    assert np.argwhere(p.imputed).tolist() == [[4, 13]]
    assert p.scores[4, 13] == 0
    np.testing.assert_allclose(p.pixels[4, 13], (k.xy[3, 9] + k.xy[5, 9]) / 2)


def test_without_a_picture_size_the_user_is_asked_for_it():
    with pytest.raises(UserError, match=r"^walk.json: the image's size .* --image-size W H"):
        prepare_people([keypoints(size=None)])


@pytest.mark.parametrize(("scale", "shift", "shown"), [(1 / 1280, 0, "0.15..0.53"), (2 / 1280, -1, "-0.71..0.05")])
def test_normalised_coordinates_are_recognised(scale, shift, shown):
    with pytest.raises(
        UserError, match=f"person 0 .frames 0-29.: all coordinates are in {shown}, they look normalised"
    ):
        prepare_people([keypoints(xy=keypoints().xy * scale + shift)])


def test_joints_outside_the_picture_are_refused_with_their_share():
    with pytest.raises(
        UserError, match=r"100% of the joints are outside the 200 x 100 image \(x 2.*check --image-size"
    ):
        prepare_people([keypoints(size=(200, 100))])


def test_a_few_joints_just_outside_the_picture_are_normal():
    xy = keypoints().xy
    assert (xy[..., 1] > 570).any()
    prepare_people([keypoints(size=(1280, 570))])


@pytest.mark.parametrize(("excess", "accepted"), [(0.09, True), (0.11, False)])
def test_the_margin_around_the_picture_is_a_tenth_of_its_size(excess, accepted):
    xy = keypoints().xy.copy()
    xy[:, :5, 0] = SIZE[0] * (1 + excess)  # 5 of 17 joints, more than MAX_OUTSIDE
    if accepted:
        prepare_people([keypoints(xy=xy)])
    else:
        with pytest.raises(UserError, match="29% of the joints are outside the 1280 x 720 image"):
            prepare_people([keypoints(xy=xy)])


def test_all_refused_people_are_named_in_one_line():
    scores = keypoints().scores.copy()
    xy = keypoints().xy.copy()
    scores[3:, 5:], xy[3:, 5:] = 0, np.nan  # all but the face
    bad = [keypoints(person=p, xy=xy, scores=scores) for p in (1, 4)]
    with pytest.raises(UserError) as caught:
        prepare_people([keypoints(), *bad])
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("walk.json: person 1 (frames 0-29): fewer than 8 of 17 joints are seen")
    assert "| person 4 (frames 0-29): " in line
    assert "frames 3-29" in line


def test_absurd_coordinates_make_no_long_line():
    xy = keypoints().xy.copy()
    xy[:, :5] *= 1e300
    with pytest.raises(UserError, match=r"29% of the joints are outside .*e\+") as caught:
        prepare_people([keypoints(xy=xy)])
    assert len(str(caught.value)) < 300
