"""Who is who in files without identities, which people are kept, and what is said about the others."""

import json
import os

import numpy as np
import pytest

from lib.errors import UserError
from lib.joints import BODY_25, COCO_17
from lib.lifting.keypoints.readers import read_keypoints, strongest
from tests.stick_person import coco_results, detections, openpose_frame

COCO = detections(COCO_17)


def saved(folder, content):
    path = folder / "a.json"
    path.write_text(json.dumps(content))
    return path


def folder_of(folder, frames: dict[str, dict]):
    for name, content in frames.items():
        (folder / f"{name}_keypoints.json").write_text(json.dumps(content))
    return folder


def ghost(frame: int, values: np.ndarray, score: float = 0.9) -> dict:
    """A detection of four joints where the person is."""
    few = values[frame].copy()
    few[4:] = 0
    few[:4, 2] = score
    return {"image_id": frame, "category_id": 1, "keypoints": few.ravel().tolist()}


def test_a_ghost_with_four_joints_does_not_take_the_person_over(tmp_path):
    content = coco_results(COCO[:1]) + [ghost(t, COCO[0]) for t in range(3, 30, 4)]
    person, *others = read_keypoints(saved(tmp_path, content))
    assert person.frames.tolist() == list(range(30))
    assert np.isfinite(person.xy[..., 0]).all()
    assert sum(len(k.frames) for k in others) == len(range(3, 30, 4))


def test_a_fast_dancer_with_missed_frames_and_ghosts_stays_one_person(tmp_path):
    dancer = np.concatenate([COCO[0], COCO[0, ::-1], COCO[0]])  # to and fro
    t = np.arange(len(dancer))
    dancer[..., 0] += (120 * np.sin(t / 4))[:, None]  # up to 30 px a frame, of a box 390 px tall
    kept = [i for i in t if i % 11 not in (3, 4, 5)]
    content = coco_results(dancer[None])
    content = [content[i] for i in kept] + [ghost(i, dancer) for i in range(0, len(dancer), 7)]
    people = read_keypoints(saved(tmp_path, content))
    assert set(kept) <= set(people[0].frames.tolist())
    assert sum(np.isfinite(k.xy[..., 0]).all(1).any() for k in people) == 1


def test_one_person_takes_the_best_detection_of_every_frame_and_counts_the_rest(tmp_path):
    content = coco_results(COCO)
    for t in range(0, 30, 2):  # the second person is surer in even frames
        content[2 * t + 1]["keypoints"][2::3] = [1.0] * 17
    notes = []
    (k,) = read_keypoints(saved(tmp_path, content), one_person=True, notes=notes)
    assert k.frames.tolist() == list(range(30))
    known = np.isfinite(k.xy[..., 0])
    assert known.sum() > 500
    for best, rows in ((1, slice(0, None, 2)), (0, slice(1, None, 2))):
        assert (k.xy[rows] == COCO[best, rows, :, :2])[known[rows]].all()
    assert "30 of 60 detections are not the best of their frame: skipped" in notes[0]


def test_the_strongest_are_kept_and_the_frames_of_the_others_named(tmp_path):
    content = coco_results(COCO) + [ghost(t, COCO[0] + [400, 0, 0]) for t in range(5, 10)]
    people, notes = read_keypoints(saved(tmp_path, content)), []
    assert len(people) == 3
    assert [k.person for k in strongest(people, 2, notes)] == [0, 1]
    assert notes == ["skipped: person 2, frames 5-9: not one of the 2 seen most"]
    assert strongest(people, 5, []) == people


def test_frames_of_every_tenth_image_are_followed_as_if_they_were_neighbours(tmp_path):
    content = coco_results(COCO)
    for entry in content:
        entry["image_id"] *= 10
    assert [len(k.frames) for k in read_keypoints(saved(tmp_path, content))] == [30, 30]


def test_the_rate_says_how_long_a_pause_is(tmp_path):
    content = [e for e in coco_results(COCO) if not 10 <= e["image_id"] < 20]
    path = saved(tmp_path, content)
    assert len(read_keypoints(path)) == 2  # 0.4 s at 25 frames per second
    assert len(read_keypoints(path, rate=5)) == 4  # 2 s


def test_two_clips_in_one_folder_are_told_apart_by_prefix(tmp_path):
    values = detections(BODY_25)
    frames = {f"walk_{t:06d}": openpose_frame(values[:1, t]) for t in range(12)}
    frames |= {f"run_{t:06d}": openpose_frame(values[1:, t]) for t in range(10)}
    notes = []
    run, walk = read_keypoints(folder_of(tmp_path, frames), notes=notes)
    assert (run.frames.tolist(), walk.frames.tolist()) == (list(range(10)), list(range(12)))
    np.testing.assert_allclose(walk.xy, values[0, :12, :, :2], atol=0.01)
    assert [n.split(": ", 1)[1] for n in notes] == [
        "the clip run_: persons 0 to 0",
        "the clip walk_: persons 1 to 1",
    ]


def test_single_frames_with_a_joint_too_many_or_too_few_are_skipped_and_counted(tmp_path):
    values = detections(BODY_25)[0]
    frames = {f"a_{t:03d}": openpose_frame(values[None, t]) for t in range(30)}
    frames["a_004"] = openpose_frame(np.concatenate([values[4], [[1, 1, 1]]])[None])
    frames["a_017"] = openpose_frame(values[None, 17, :-1])
    notes = []
    (k,) = read_keypoints(folder_of(tmp_path, frames), "body25", notes=notes)
    assert k.frames.tolist() == [t for t in range(30) if t not in (4, 17)]
    assert notes == [f"{tmp_path}: skipped 2 detections with 24 or 26 joints instead of 25, in frames 4, 17"]


def test_many_frames_with_other_joints_are_still_refused(tmp_path):
    content = coco_results(COCO[:1, :10])
    for entry in content[:3]:
        entry["keypoints"] += [1, 1, 1]
    with pytest.raises(UserError, match="people with 17 and 18 joints in one file"):
        read_keypoints(saved(tmp_path, content))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_pipes_and_devices_are_called_what_they_are(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(UserError, match=r"neither a file nor a folder .a pipe or a device"):
            read_keypoints(path)
