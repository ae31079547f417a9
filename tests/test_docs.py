"""Documents that name things of the code name all of them."""

import dataclasses
import re
from typing import get_type_hints

from lib.config import Config


def test_every_key_of_the_configuration_is_documented(repository):
    text = (repository / "docs" / "configuration.md").read_text()
    named = set()
    for cell in re.findall(r"^\| ([A-Z]+\.[^|]+) \|", text, flags=re.M):
        section, _, keys = cell.replace(" +", "").partition(".")
        named |= {f"{section}.{key.strip().removeprefix(section + '.')}" for key in keys.split(",")}
    known = {
        f"{section}.{field.name}"
        for section, kind in get_type_hints(Config).items()
        for field in dataclasses.fields(kind)
    }
    assert named == known


def test_every_document_and_folder_that_the_documents_link_to_exists(repository):
    for document in (repository / "README.md", *(repository / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
