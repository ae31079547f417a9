"""AMASS's .npz layout of SMPL+H motions (Mahmood et al., ICCV 2019), for tools that read AMASS: one file per person.

Its readers, `prepare_data.py amass` among them, know a motion by the end of its name, _poses.npz.
"""

from pathlib import Path

import numpy as np

from lib.files import replacing
from lib.joints import SMPL_24
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.body_motion import Z_UP, body_motion, body_of
from lib.lifting.writers.geometry import placements
from lib.lifting.writers.person_files import person_files

BODY_JOINTS = tuple(k for k, name in enumerate(SMPL_24.names) if not name.endswith("_Hand"))
"""SMPL's joints that SMPL+H has too, in the same order."""

POSES, BETAS, SOFT = 156, 16, 8
"""Columns of SMPL+H's poses, the body's joints first and the fingers after them, of betas and of dmpls."""


def write_amass(path: Path, sequences: list[PoseSequence]) -> list[Path]:
    """Write `path`, or `name_person_N_poses.npz` for each of several persons; float64, metres, radians, Z up.

    trans is SMPL's translation: without a known camera it is only how the body turns about its pelvis. Missing frames in
    between are interpolated. Fingers are at rest; betas beyond those of the body are 0.
    """
    files = person_files(path, sequences, "_poses.npz")
    for target, sequence, offset in zip(files, sequences, placements(sequences), strict=True):
        body = body_of(sequence, path)
        motion = body_motion(sequence, offset, Z_UP)
        poses = np.zeros((len(motion.root), POSES))
        poses[:, : 3 * len(BODY_JOINTS)] = motion.vectors[:, BODY_JOINTS].reshape(len(poses), -1)
        betas = np.zeros(BETAS)
        count = min(BETAS, len(body.betas))
        betas[:count] = body.betas[:count]
        with replacing(target) as temporary, open(temporary, "wb") as file:
            np.savez(
                file,
                poses=poses,
                betas=betas,
                trans=motion.root - body.rest_joints[0],
                dmpls=np.zeros((len(poses), SOFT)),
                gender=np.array("neutral"),
                mocap_framerate=np.float64(motion.rate),
            )
    return files
