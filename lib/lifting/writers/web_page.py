"""Pages from their templates: all share one style and one way to draw people, and load nothing from elsewhere."""

import re
from pathlib import Path

STYLE, DRAWING = (Path(__file__).with_name(name) for name in ("page.css", "drawing.js"))


def fill_page(template: Path, **values: str) -> str:
    """The page of a template, with each {{name}} replaced by the value of that name.

    {{style}} and {{drawing}} are the CSS and the JavaScript that all pages share. Values are HTML; KeyError where one is
    missing.
    """
    values |= {"style": STYLE.read_text(encoding="utf-8"), "drawing": DRAWING.read_text(encoding="utf-8")}
    return re.sub(r"\{\{(\w+)\}\}", lambda name: values[name[1]], template.read_text(encoding="utf-8"))
