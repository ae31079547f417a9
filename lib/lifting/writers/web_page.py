"""Pages from their templates: all share one style and one way to draw people, and load nothing from elsewhere."""

import base64
import re
from pathlib import Path

import cv2
import numpy as np

STYLE, DRAWING = (Path(__file__).with_name(name) for name in ("page.css", "drawing.js"))


def fill_page(template: Path, **values: str) -> str:
    """The page of a template, with each {{name}} replaced by the value of that name.

    {{style}} and {{drawing}} are the CSS and the JavaScript that all pages share. Values are HTML; KeyError where one is
    missing.
    """
    values |= {"style": STYLE.read_text(encoding="utf-8"), "drawing": DRAWING.read_text(encoding="utf-8")}
    return re.sub(r"\{\{(\w+)\}\}", lambda name: values[name[1]], template.read_text(encoding="utf-8"))


def jpeg_text(image: np.ndarray, scale: float, quality: int) -> str:
    """A copy of an image (H, W, 3) uint8 RGB, `scale` times as large, as base64 text of a JPEG; quality: 0 to 100."""
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return base64.b64encode(data.tobytes()).decode("ascii")


def integers(values: np.ndarray, scale: float) -> list:
    """The values times `scale` as nested lists of whole numbers, which take a third of the room of decimals."""
    return np.round(values * scale).astype(int).tolist()
