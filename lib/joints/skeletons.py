"""The skeletons that the method is made of: Human3.6M's 17 joints, COCO's, SMPL's."""

from lib.joints.joint_set import JointSet

HUMAN36M_17 = JointSet(
    names=(
        "Pelvis", "R_Hip", "R_Knee", "R_Ankle", "L_Hip", "L_Knee", "L_Ankle", "Torso", "Neck",
        "Nose", "Head", "L_Shoulder", "L_Elbow", "L_Wrist", "R_Shoulder", "R_Elbow", "R_Wrist",
    ),
    bones=(
        (0, 7), (7, 8), (8, 9), (9, 10), (8, 11), (11, 12), (12, 13), (8, 14), (14, 15), (15, 16),
        (0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6),
    ),
    flip_pairs=((1, 4), (2, 5), (3, 6), (14, 11), (15, 12), (16, 13)),
    root=0,
)  # fmt: skip
"""The 17 joints of Human3.6M, the network's input and output."""

COCO_17 = JointSet(
    names=(
        "Nose", "L_Eye", "R_Eye", "L_Ear", "R_Ear", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow",
        "L_Wrist", "R_Wrist", "L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle",
    ),
    bones=(
        (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
        (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
    ),
    flip_pairs=((2, 1), (4, 3), (6, 5), (8, 7), (10, 9), (12, 11), (14, 13), (16, 15)),
    root=0,
)  # fmt: skip
"""MS COCO keypoints. COCO has no pelvis; the root named here is the nose, derived sets have their own."""

COCO_19 = JointSet(
    names=(*COCO_17.names, "Pelvis", "Neck"),
    bones=(
        (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (0, 18), (18, 5), (18, 6), (5, 7), (7, 9), (6, 8), (8, 10),
        (18, 17), (17, 11), (17, 12), (11, 13), (13, 15), (12, 14), (14, 16),
    ),
    flip_pairs=COCO_17.flip_pairs,
    root=17,
)  # fmt: skip
"""COCO_17 with Pelvis = mean of the hips and Neck = mean of the shoulders."""

SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

SMPL_24 = JointSet(
    names=(
        "Pelvis", "L_Hip", "R_Hip", "Spine1", "L_Knee", "R_Knee", "Spine2", "L_Ankle", "R_Ankle", "Spine3",
        "L_Foot", "R_Foot", "Neck", "L_Collar", "R_Collar", "Head", "L_Shoulder", "R_Shoulder", "L_Elbow",
        "R_Elbow", "L_Wrist", "R_Wrist", "L_Hand", "R_Hand",
    ),
    bones=tuple((parent, child) for child, parent in enumerate(SMPL_PARENTS) if parent >= 0),
    flip_pairs=((2, 1), (5, 4), (8, 7), (11, 10), (14, 13), (17, 16), (19, 18), (21, 20), (23, 22)),
    root=0,
)  # fmt: skip
"""The kinematic tree of SMPL (Loper et al., SIGGRAPH Asia 2015)."""
