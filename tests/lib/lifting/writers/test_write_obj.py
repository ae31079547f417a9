import numpy as np

from lib.evaluation.wavefront import save_obj, save_skeleton_obj
from lib.joints import HUMAN36M_17
from lib.lifting.writers.obj import write_obj
from tests.waving_person import make_sequence


def read_obj(path):
    """Own reader: vertices (N, 3), and per object its elements as tuples of indices counted from 1."""
    vertices, objects = [], {}
    for line in path.read_text().splitlines():
        kind, *rest = line.split()
        if kind == "o":
            current = objects.setdefault(rest[0], [])
        elif kind == "v":
            vertices.append([float(x) for x in rest])
        elif kind in "fl":
            current.append((kind, *map(int, rest)))
    return np.array(vertices), objects


def volume(vertices, faces):
    a, b, c = vertices[np.asarray(faces)].transpose(1, 0, 2)
    return np.einsum("fi,fi->", a, np.cross(b, c)) / 6


def test_obj_is_y_up_in_metres_and_counts_from_one(tmp_path):
    save_obj(tmp_path / "a.obj", np.array([[0.1, 0.2, 0.3], [1, 0, 0], [0, 1, 0]]), np.array([[0, 2, 1]]))
    vertices, objects = read_obj(tmp_path / "a.obj")
    assert vertices[0].tolist() == [0.1, -0.2, -0.3]
    assert objects == {"mesh": [("f", 1, 3, 2)]}


def test_skeleton_is_lines_between_the_joints_of_each_bone(tmp_path):
    pose = make_sequence(1).pose3d[0]
    save_skeleton_obj(tmp_path / "a.obj", pose, HUMAN36M_17.bones)
    vertices, objects = read_obj(tmp_path / "a.obj")
    assert objects["skeleton"] == [("l", a + 1, b + 1) for a, b in HUMAN36M_17.bones]
    # right wrist, (-0.33, -0.94, -0.06) in camera axes: at the picture's left, highest, nearest
    assert vertices[16].tolist() == [-0.33, 0.94, 0.06]
    assert vertices[:, 1].argmax() == 16


def test_normals_still_point_outwards(tmp_path):
    write_obj(tmp_path / "a.obj", [make_sequence(1)])
    vertices, objects = read_obj(tmp_path / "a.obj")
    faces = np.array([face[1:] for face in objects["person_0"]]) - 1
    assert volume(vertices, faces) > 0.001


def test_frames_become_files_named_by_their_number(tmp_path):
    sequence = make_sequence(3)
    write_obj(tmp_path / "walk.obj", [sequence])
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"walk_00000{i}.obj" for i in range(3)]
    vertices, _ = read_obj(tmp_path / "walk_000002.obj")
    np.testing.assert_allclose(vertices, sequence.meshes[-1][2] * [1, -1, -1], atol=1e-5)


def test_second_person_has_own_vertices_and_a_skeleton_without_mesh(tmp_path):
    first, second = make_sequence(1, 1, (-1, 0, 4)), make_sequence(1, 2, (1, 0, 4), mesh=False)
    write_obj(tmp_path / "a.obj", [first, second])
    vertices, objects = read_obj(tmp_path / "a.obj")
    assert list(objects) == ["person_1", "person_2"]
    assert min(min(line[1:]) for line in objects["person_2"]) == 97  # after the 96 vertices of person 1
    np.testing.assert_allclose(vertices[96], [1, 0, -4])
