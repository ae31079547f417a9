import json
import re

import pytest

from docs.make_media import DRAWINGS, MEDIA, RECORD, ROOT, digest


@pytest.mark.parametrize("name", DRAWINGS)
def test_an_image_is_there_and_drawn_from_the_files_as_they_are(name):
    assert (MEDIA / name).stat().st_size <= 2_000_000
    assert json.loads(RECORD.read_text())[name] == digest(DRAWINGS[name][1]), f"run python docs/make_media.py {name}"


def test_every_image_of_the_pages_is_made_by_a_command():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {target for page in pages for target in re.findall(r"asset/media/([\w.]+)", page.read_text())}
    assert shown <= set(DRAWINGS)
