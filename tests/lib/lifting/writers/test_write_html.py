import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from lib.lifting.quality import Quality
from lib.lifting.writers.html import write_html
from tests.waving_person import make_sequence

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1200,700"),
    *("--virtual-time-budget=500", "--dump-dom"),
)

PROBE = """
<pre id="probe"></pre><script>
const report = {}, by = (id) => document.getElementById(id);
const fire = (id, kind, more) => by(id).dispatchEvent(new PointerEvent(kind, more));
// middle x and topmost y of the pixels of one side's colour, and their number
function look(id, [r, g, b]) {
  const canvas = by(id), data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0, sum = 0, top = canvas.height;
  for (let i = 0; i < data.length; i += 4) {
    if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) > 60) continue;
    count += 1; sum += i / 4 % canvas.width; top = Math.min(top, Math.floor(i / 4 / canvas.width));
  }
  return { count, x: sum / count, top };
}
const both = (id) => ({ right: look(id, [209, 73, 91]), left: look(id, [34, 116, 165]), where: by("where").textContent });
function change(id, key, value) { by(id)[key] = value; by(id).dispatchEvent(new Event("change")); }
report.flat = both("view2d");
report.conditions = by("conditions").textContent;
report.quality = by("quality").textContent;
report.start = both("view3d");
fire("view3d", "pointermove", { buttons: 1, movementX: 314 });
report.behind = both("view3d");
fire("view3d", "dblclick");
report.back = both("view3d");
const plain = by("view3d").toDataURL();
change("mesh", "checked", false);
report.meshChanges = plain !== by("view3d").toDataURL();
change("skeleton", "checked", false);
report.empty = both("view3d");
change("skeleton", "checked", true);
by("slider").value = 7;
by("slider").dispatchEvent(new Event("input"));
report.slid = both("view3d");
report.people = [...by("person").options].map((option) => option.text);
change("person", "value", "1");
report.second = both("view3d");
change("person", "value", "all");
by("slider").value = 0;
by("slider").dispatchEvent(new Event("input"));
// the test's own clock: the browser's frames are handed out by hand
let next, clock = 1000;
window.requestAnimationFrame = (tick) => { next = tick; };
performance.now = () => clock;
const frameAfter = (ms) => { next(clock += ms); return +by("where").textContent.split(" ")[1]; };
by("play").click();
report.playLabel = by("play").textContent;
report.played = [10, 250, 500, 250].map(frameAfter);
change("speed", "value", "0.5");
report.slow = frameAfter(500);
by("play").click();
report.paused = frameAfter(200);
by("probe").textContent = JSON.stringify(report);
</script>
"""


def embedded(path):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', path.read_text())[1])


def test_page_loads_nothing_from_elsewhere_and_holds_the_data(tmp_path):
    sequence = make_sequence(3)
    write_html(tmp_path / "a<b.html", [sequence])
    text = (tmp_path / "a<b.html").read_text()
    assert not re.search(r"https?:|src=|href=|@import|url\(|fetch\(|XMLHttpRequest|\{\{", text)
    assert "<title>a&lt;b</title>" in text
    person = embedded(tmp_path / "a<b.html")["persons"][0]
    assert person["pose3d"][0][16 * 3 :] == [-330, -940, -60]
    np.testing.assert_allclose(np.reshape(person["mesh"], (3, -1, 3)) / 1000, sequence.meshes[1], atol=5.1e-4)
    assert person["imputed"][0] == [13]


def test_a_file_name_that_is_no_utf8_gives_a_page(tmp_path):
    path = tmp_path / "a\udcff.html"
    write_html(path, [make_sequence(1)])
    assert "<title>a?</title>" in path.read_text()


def test_the_page_reads_only_what_the_data_hold(tmp_path):
    """Names that the script looks up in a person are written for every person."""
    write_html(tmp_path / "a.html", [make_sequence(3)])
    text = (tmp_path / "a.html").read_text()
    used = set(re.findall(r"\bperson\.([a-zA-Z0-9]+)", text)) - {"at"}
    assert used <= set(embedded(tmp_path / "a.html")["persons"][0])
    assert {"imputed", "mesh", "faces"} <= used
    assert set(re.findall(r"(?<!\.)\bdata\.([a-zA-Z0-9]+)", text)) <= set(embedded(tmp_path / "a.html")) | {"length"}


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")
def test_page_shows_turns_switches_and_plays_in_a_browser(tmp_path):
    first = replace(make_sequence(24, 4), quality=Quality(0.9, 0.01, 0.0, 3.0, 0.0), assumed=("fps",))
    second = replace(make_sequence(4, 9, mesh=False), frames=np.arange(4))
    write_html(tmp_path / "a.html", [first, second])
    (tmp_path / "probe.html").write_text((tmp_path / "a.html").read_text().replace("</body>", PROBE + "</body>"))
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "probe.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    report = json.loads(re.search(r'<pre id="probe">(.*?)</pre>', dom)[1])

    for view in ("flat", "start", "back"):  # right at the left and raised, as the camera sees it
        assert report[view]["right"]["x"] < report[view]["left"]["x"]
        assert report[view]["right"]["top"] < report[view]["left"]["top"]
    assert report["behind"]["right"]["x"] > report["behind"]["left"]["x"]
    assert report["behind"]["right"]["top"] < report["behind"]["left"]["top"]
    assert report["meshChanges"]
    assert report["conditions"] == "image 640 x 480 px, 24 frames per second (assumed)"
    assert report["quality"].startswith(
        "person 4: limb lengths vary by 90.0%, misfit 1.0%, joints accelerate by 3.0 m/s2. Warning: limb"
    )
    assert report["empty"]["right"]["count"] == 0
    assert report["people"] == ["all", "4", "9"]
    assert report["slid"]["where"] == "frame 7 (8 of 24), 0.29 s"
    assert report["slid"]["right"]["count"] > 0
    assert report["second"]["right"]["count"] == 0  # person 9 is there in frames 0 to 3 only
    assert report["playLabel"] == "Pause"
    # 24 per second: 0.01 s, 0.26 s, 0.76 s, and 1.01 s, after which the second of the video begins anew
    assert report["played"] == [0, 6, 18, 0]
    assert report["slow"] == report["paused"] == 6  # 0.01 + 0.5 / 2 = 0.26 s
