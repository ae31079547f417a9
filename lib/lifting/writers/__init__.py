"""Predictions as files for people's own programs; the ending of the file name chooses the format."""

from pathlib import Path
from typing import Any

from lib.errors import UserError
from lib.lifting.footage import Footage
from lib.lifting.pose_sequence import PoseSequence
from lib.lifting.writers.amass import write_amass
from lib.lifting.writers.angles import write_angles
from lib.lifting.writers.bvh import write_bvh
from lib.lifting.writers.glb import write_glb
from lib.lifting.writers.html import write_html
from lib.lifting.writers.obj import write_obj
from lib.lifting.writers.png import write_png
from lib.lifting.writers.skin import BODY, MESHES, shown_mesh
from lib.lifting.writers.tables import write_csv, write_json, write_npz
from lib.lifting.writers.trc import write_trc
from lib.lifting.writers.usd import check_usd, write_usd
from lib.lifting.writers.video import write_gif, write_mp4

__all__ = ["BODY", "MESHES", "NEED_BODY", "WRITERS", "check_output", "ending_of", "write_poses"]

WRITERS = {
    ".npz": write_npz,
    "_poses.npz": write_amass,
    ".json": write_json,
    ".csv": write_csv,
    "_angles.csv": write_angles,
    ".trc": write_trc,
    ".bvh": write_bvh,
    ".obj": write_obj,
    ".glb": write_glb,
    ".usd": write_usd,
    ".usda": write_usd,
    ".usdc": write_usd,
    ".png": write_png,
    ".gif": write_gif,
    ".mp4": write_mp4,
    ".html": write_html,
}
"""Ending of the file name -> function(path, sequences) that returns the paths of the files it wrote; the longest counts."""

NEED_BODY = ("_poses.npz", "_angles.csv", ".usd", ".usda", ".usdc")
"""Those that can only be written where a body was fitted."""

SHOWS_IMAGES = (".png", ".gif", ".mp4", ".html")
"""The endings whose function also takes the images that people were found in: function(path, sequences, footage=footage)."""

SHOWS_MESHES = (*SHOWS_IMAGES, ".glb", ".obj")
"""The endings whose function also takes which mesh to show: function(path, sequences, mesh=mesh)."""


def ending_of(path: str | Path) -> str | None:
    """The key of WRITERS by which the file is written; None where there is none."""
    name = Path(path).name.lower()
    return max((ending for ending in WRITERS if name.endswith(ending) and name != ending), key=len, default=None)


def check_output(path: str | Path) -> Path:
    """The path, if its ending is one that can be written; UserError otherwise. For use before long computations."""
    path, ending = Path(path), ending_of(path)
    if ending is None:
        raise UserError(f"{path}: unknown ending '{path.suffix}' for an output; use one of {', '.join(WRITERS)}")
    if WRITERS[ending] is write_usd:
        check_usd(path)
    return path


def write_poses(
    path: str | Path, sequences: list[PoseSequence], footage: Footage | None = None, mesh: str | None = None
) -> list[Path]:
    """Write the persons' sequences in the format that the ending of `path` names; returns the files written.

    footage: the images that they were found in, for formats that show them (SHOWS_IMAGES). mesh: "coarse" or "body", for
    those in SHOWS_MESHES; None: the body where one was fitted. All sequences have one joint set, fps and image size. Some
    formats write several files beside `path`: .obj one per frame, .bvh and .trc one per person.
    UserError for an unknown ending, nothing to write, or a place that cannot be written.
    """
    path = check_output(path)
    if not sequences:
        raise UserError(f"{path}: there is no person to write; check that the input has detections")
    ending = ending_of(path)
    assert ending is not None  # check_output has refused unknown ones
    more: dict[str, Any] = {"mesh": shown_mesh(sequences, mesh, path)} if ending in SHOWS_MESHES else {}
    if footage is not None and ending in SHOWS_IMAGES:
        more["footage"] = footage
    try:
        return WRITERS[ending](path, sequences, **more)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error
