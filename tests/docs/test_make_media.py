import json
import re

import pytest

from docs.make_media import DRAWINGS, MEDIA, RECORD, ROOT, SCREENSHOTS, digest
from docs.run_folder_figure import files_of, tree_rows


@pytest.mark.parametrize("name", DRAWINGS)
def test_an_image_is_there_and_drawn_from_the_files_as_they_are(name):
    assert (MEDIA / name).stat().st_size <= 2_000_000
    assert json.loads(RECORD.read_text())[name] == digest(DRAWINGS[name][1]), f"run python docs/make_media.py {name}"


def test_every_image_of_the_pages_is_made_by_a_command():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {target for page in pages for target in re.findall(r"asset/media/([\w.]+)", page.read_text())}
    assert shown <= {*DRAWINGS, *SCREENSHOTS}


@pytest.mark.parametrize("name", SCREENSHOTS)
def test_a_screenshot_is_there_small_and_taken_by_a_script(name):
    assert (MEDIA / name).stat().st_size <= 200_000
    assert (ROOT / SCREENSHOTS[name]).is_file()


def test_a_file_of_a_run_folder_that_has_no_line_in_its_picture_is_an_error(tmp_path):
    for name in ("graph/loss.png", "vis/a_pose.png", "vis/b_pose.png", ".lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = files_of(tmp_path)
    assert {name: len(files) for name, files in found.items() if files} == {"graph/loss.png": 1, "vis/*_pose.png": 2}
    names = [row.name for row in tree_rows("exp", found)]
    assert names[:5] == ["exp/", "checkpoint/", "last.pth.tar", "best.pth.tar", "previous.pth.tar"]
    assert "2 …_pose.png" in names
    (tmp_path / "vis" / "other.txt").touch()
    with pytest.raises(ValueError, match=r"other\.txt: no line in CONTENTS"):
        files_of(tmp_path)


def test_the_table_of_results_has_the_numbers_of_its_plot():
    lines = (ROOT / "docs" / "results.md").read_text().splitlines()
    for row in json.loads((ROOT / "docs" / "results.json").read_text()):
        (line,) = (line for line in lines if line.startswith(f"| {row['network']} |"))
        for errors in (row["cmu83"], row["hdm05"]):
            assert f"| {errors[0]:.1f} / {errors[1]:.1f} |" in line
