"""MPI-INF-3DHP's joint orders and cameras as positions, and the network's 17 joints among them."""

HUMAN36M_FROM_TRAINING = (4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16)
"""Position among the 28 joints of annot.mat of each of the 17 (Human3.6M order); the nose takes `head`, the head `head_top`."""

HUMAN36M_FROM_TEST = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)
"""The same among the 17 joints of annot_data.mat and of P-STMO's npz."""

TRAINING_JOINTS, TEST_JOINTS = 28, 17

USUAL_CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)
"""The cameras that published work trains on: those at the height of a person, and two wide ones."""

PUBLISHED_FRAMES = {
    (1, 1): 6416, (1, 2): 12430, (2, 1): 6502, (2, 2): 6081, (3, 1): 12488, (3, 2): 12283, (4, 1): 6171, (4, 2): 6675,
    (5, 1): 12820, (5, 2): 12312, (6, 1): 6188, (6, 2): 6145, (7, 1): 6239, (7, 2): 6320, (8, 1): 6468, (8, 2): 6054,
}  # fmt: skip
"""(subject, sequence) to the frames of its published videos; annotations beyond them are cut."""

TEST_SEQUENCES = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")

ACTIVITIES = (
    "Standing/Walking", "Exercising", "Sitting", "Reaching/Crouching", "On The Floor", "Sports", "Miscellaneous",
)  # fmt: skip
"""Names of activity_annotation 1 to 7."""

STUDIO_SIZE = (2048, 2048)


def image_size_of_test(sequence: str) -> tuple[int, int]:
    """(w, h) px of the test images: TS5 and TS6 were taken outdoors by another camera."""
    return (1920, 1080) if sequence in ("TS5", "TS6") else STUDIO_SIZE
