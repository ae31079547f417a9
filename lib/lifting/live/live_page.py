"""The live page, and the messages that it asks for."""

import html
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.evaluation.style import GRID, SIDE_COLOURS, bone_sides
from lib.joints import HUMAN36M_17
from lib.lifting.live.board import Shown
from lib.lifting.live.live_lifter import LivePerson
from lib.lifting.writers.web_page import fill_page, integers, jpeg_text

TEMPLATE = Path(__file__).with_name("page.html")

IMAGE_SIDE = 640
"""Longer side, in pixels, of the images that are sent."""

JPEG_QUALITY = 70


@dataclass(frozen=True)
class Page:
    """A page and the content security policy that it needs: its own scripts and styles, nothing from elsewhere."""

    html: str
    policy: str


def live_page(name: str, faces: Sequence[np.ndarray]) -> Page:
    """The page of a source with this name; faces (F, 3) of each mesh of the network."""
    nonce = secrets.token_urlsafe(16)
    setup = {
        "bones": HUMAN36M_17.bones,
        "colours": [SIDE_COLOURS[side] for side in bone_sides(HUMAN36M_17)],
        "sideColours": SIDE_COLOURS,
        "grid": round(GRID * 1000),
        "faces": np.asarray(faces[-1]).tolist() if len(faces) else [],
    }
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    text = fill_page(TEMPLATE, title=html.escape(f"Live: {name}"), data=json.dumps(setup), nonce=nonce)
    return Page(text, policy)


def frame_message(shown: Shown) -> bytes:
    """JSON of a frame: 3D in whole millimetres, 2D in tenths of a pixel, times in milliseconds."""
    image = shown.captured.image
    height, width = image.shape[:2]
    return _json(
        {
            "number": shown.captured.number,
            "captured": shown.captured.time * 1000,
            "imageSize": [width, height],
            "image": jpeg_text(image, min(1.0, IMAGE_SIDE / max(image.shape[:2])), JPEG_QUALITY),
            "people": [_person(person) for person in shown.people],
            "lines": shown.lines,
            "waited": shown.waited * 1000,
            "detected": shown.detected * 1000,
            "lifted": shown.lifted * 1000,
            "sourceRate": shown.source_rate,
            "rate": shown.rate,
            "dropped": shown.dropped,
        }
    )


def end_message(why: str) -> bytes:
    """JSON that says that no more will come."""
    return _json({"ended": why})


def _json(content: dict) -> bytes:
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def _person(person: LivePerson) -> dict:
    return {
        "person": person.person,
        "pose2d": integers(person.pose2d.ravel(), 10),
        "imputed": np.flatnonzero(person.imputed).tolist(),
        "pose3d": integers(person.pose3d.ravel(), 1000),
        "mesh": None if person.mesh is None else integers(person.mesh.ravel(), 1000),
    }
