"""Documents that name things of the code name all of them."""

import re
from typing import get_type_hints

import pytest
import yaml

from lib.config import Config, config_to_dict


@pytest.fixture
def documents(repository):
    return [repository / "README.md", repository / "CONTRIBUTING.md", *(repository / "docs").glob("*.md")]


def test_every_key_of_the_configuration_is_documented_with_its_default(repository):
    text = (repository / "docs" / "configuration.md").read_text()
    stated = {}
    for section, keys, defaults in re.findall(r"^\| ([A-Z]+)\.([^|]+) \| ([^|]*)\|", text, flags=re.M):
        names = [f"{section}.{key.strip()}" for key in keys.replace(" +", "").split(",")]
        values = yaml.safe_load(f"[{defaults}]") or [None] * len(names)
        stated |= dict(zip(names, values, strict=True))
    known = {}
    for section, kind in get_type_hints(Config).items():
        defaults = config_to_dict(
            kind(*([None] * 2 if section == "DATASET" else []))
        )  # train_list and test_list have none
        known |= {f"{section}.{key}": value if value != "" else None for key, value in defaults.items()}
    assert stated == known


def test_every_document_folder_and_heading_that_the_documents_link_to_exists(documents):
    for document in documents:
        for target, _, heading in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]*))?\)", document.read_text()):
            path = document.parent / target if target else document
            assert path.exists(), f"{document.name} links to {target}"
            assert not heading or heading in anchors(path.read_text()), f"{document.name} links to {target}#{heading}"


def anchors(text: str) -> set[str]:
    """What links to the headings of a document end in."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
