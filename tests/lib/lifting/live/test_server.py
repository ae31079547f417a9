import http.client
import json
import queue
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lib.errors import UserError
from lib.lifting.live import server as server_module
from lib.lifting.live.board import Board, Shown
from lib.lifting.live.capture import Captured
from lib.lifting.live.live_lifter import LivePerson
from lib.lifting.live.live_page import live_page
from lib.lifting.live.server import MAX_REQUEST, LiveServer
from tests.waving_person import make_sequence

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1200,700"),
    "--remote-debugging-port=0",
)
FACES = make_sequence(1).faces


def person(number=0, place=(0.0, 0.0, 0.0), shift=0.0) -> LivePerson:
    s = make_sequence(1)
    place = np.array(place)
    return LivePerson(number, s.pose2d[0] + [shift, 0], s.imputed[0], s.pose3d[0] + place, s.meshes[-1][0] + place)


def shown(number, people=(), lines=()) -> Shown:
    image = np.full((480, 640, 3), (200, 220, 240), np.uint8)
    return Shown(Captured(number, image, time.time()), list(people), list(lines), 0.01, 0.02, 0.03, 25.0, 12.5, 7)


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def server(board):
    with LiveServer(live_page("film.mp4", FACES), board) as server:
        yield server


@pytest.fixture
def get(server):
    """(path, headers..., method) -> status, headers, body; a path without / is below the token."""
    port, token = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/([\w-]{22})/", server.address).groups()

    def get(path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
        headers = {name.replace("_", "-"): value.replace("PORT", port) for name, value in headers.items()}
        connection.request(method, path if path.startswith("/") else f"/{token}/{path}", body, headers)
        answer = connection.getresponse()
        result = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return result

    get.port, get.token = int(port), token
    return get


def test_the_page_needs_nothing_from_elsewhere_and_no_other_site_may_use_it(get):
    status, headers, body = get("")
    text = body.decode()
    assert status == 200
    assert "<title>Live: film.mp4</title>" in text
    assert not re.search(r"https?:|url\(|@import|\{\{|XMLHttpRequest|<link(?! rel=\"icon\" href=\"data:,\")", text)
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", headers["Content-Security-Policy"])[1]
    assert re.findall(r"<(?:script|style)([^>]*)>", text) == [
        f' nonce="{nonce}"',
        ' id="data" type="application/json"',
        f' nonce="{nonce}"',
    ]
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert not any(name.lower().startswith("access-control") for name in headers)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/wrong/", {}),
        ("/TOKEN", {}),
        ("/TOKENx/", {}),
        ("/%c3%a9/", {}),
        ("/frame?after=-1", {}),
        ("/TOKEN/", {"Host": "evil.example:PORT"}),
        ("/TOKEN/", {"Host": "evil.example"}),
        ("/TOKEN/frame?after=-1", {"Host": "127.0.0.1"}),
    ],
)
def test_without_the_token_or_with_another_host_nothing_is_answered(get, board, path, headers):
    board.publish(shown(0))
    status, _, body = get(path.replace("TOKEN", get.token), **headers)
    assert (status, body) == (403, b"")
    assert get("", Host="localhost:PORT")[0] == 200


@pytest.mark.parametrize(
    "path", ["page.html", "../README.md", "frame", "frame?after=x", "frame?after=1&a=2", "?x", "frame/"]
)
def test_there_are_two_answers_and_no_files(get, path):
    assert get(path)[::2] == (404, b"")


def test_other_methods_bodies_and_large_requests_are_refused(get):
    assert get("", method="POST", body=b"x")[0] == 501
    assert get("", body=b"x" * 10)[0] == 400
    assert get("", Cookie="x" * (MAX_REQUEST - 1000))[0] == 200
    assert get("", Cookie="x" * MAX_REQUEST)[0] == 431
    assert get("?" + "x" * MAX_REQUEST)[0] == 431
    assert get("")[0] == 200


def test_only_this_machine_is_listened_to(get):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", get.port), timeout=5)


def test_a_reader_gets_every_newer_frame_once_and_waits_for_the_next(get, board):
    board.publish(shown(3, [person(5)], ["person 6: too few joints are seen"]))
    message = json.loads(get("frame?after=-1")[2])
    assert message["number"] == 3
    assert message["people"][0]["person"] == 5
    assert message["people"][0]["pose3d"][16 * 3 :] == [-330, -940, -60]
    assert message["people"][0]["imputed"] == [13]
    assert (message["lines"], message["imageSize"]) == (["person 6: too few joints are seen"], [640, 480])
    assert (message["waited"], message["detected"], message["lifted"]) == pytest.approx((10, 20, 30))
    found = []
    readers = [threading.Thread(target=lambda: found.append(json.loads(get("frame?after=3")[2]))) for _ in range(2)]
    for reader in readers:
        reader.start()
    assert found == []
    board.publish(shown(8))
    for reader in readers:
        reader.join(20)
    assert [message["number"] for message in found] == [8, 8]


def test_a_slow_reader_skips_frames(get, board):
    for number in range(5):
        board.publish(shown(number))
    assert json.loads(get("frame?after=0")[2])["number"] == 4


def test_without_a_new_frame_the_answer_is_empty(get, board, monkeypatch):
    monkeypatch.setattr(server_module, "LONGEST_POLL", 0.01)
    assert get("frame?after=-1")[::2] == (204, b"")


def test_the_end_comes_after_the_last_frame(get, board):
    board.publish(shown(1))
    board.end("film.mp4: the file ended")
    assert json.loads(get("frame?after=0")[2])["number"] == 1
    assert json.loads(get("frame?after=1")[2]) == {"ended": "film.mp4: the file ended"}


def test_pages_that_are_open_hear_of_the_end_before_the_server_goes(board, monkeypatch):
    heard = []

    def ask(_):
        with urllib.request.urlopen(f"{server.address}frame?after=1", timeout=20) as answer:
            heard.append(json.loads(answer.read()))

    monkeypatch.setattr(server_module, "time", SimpleNamespace(sleep=ask))
    with LiveServer(live_page("film.mp4", FACES), board) as server:
        board.publish(shown(1))
        assert board.newer(0, 0) is not None
        board.end("over")
    assert heard == [{"ended": "over"}]


def test_one_connection_carries_many_requests(get, board):
    connection = http.client.HTTPConnection("127.0.0.1", get.port, timeout=20)
    for number in range(3):
        board.publish(shown(number))
        connection.request("GET", f"/{get.token}/frame?after={number - 1}")
        assert json.loads(connection.getresponse().read())["number"] == number
    connection.close()


def test_a_browser_that_goes_away_is_no_error_and_may_come_back(get, board, capfd):
    gone = socket.create_connection(("127.0.0.1", get.port))
    gone.sendall(f"GET /{get.token}/frame?after=-1 HTTP/1.1\r\nHost: 127.0.0.1:{get.port}\r\n\r\n".encode())
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # closes with a reset
    gone.close()
    board.publish(shown(0))
    assert json.loads(get("frame?after=-1")[2])["number"] == 0
    assert capfd.readouterr() == ("", "")


def test_too_many_connections_are_closed_and_none_is_lost_for_good(board, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 2)
    with LiveServer(live_page("film.mp4", FACES), board) as server:
        port = int(server.address.split(":")[2].split("/")[0])
        held = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(2)]
        for connection in held:  # an answer shows that the connection has its thread
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[:10])
        third = socket.create_connection(("127.0.0.1", port), timeout=20)
        assert third.recv(10) == b""
        for connection in held:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[10:])
            assert connection.recv(100).startswith(b"HTTP/1.1 403")
            connection.close()
        deadline = time.monotonic() + 20
        answer = b""
        while not answer and time.monotonic() < deadline:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as again:
                again.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = again.recv(100)
        assert answer.startswith(b"HTTP/1.1 403")


def test_a_port_that_is_taken_is_one_line(board):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"^--port {port}: cannot be used \(Address already in use\); omit --port"):
            LiveServer(live_page("film.mp4", FACES), board, port)


def test_every_session_has_a_token_of_its_own(board):
    servers = [LiveServer(live_page("film.mp4", FACES), board) for _ in range(2)]
    tokens = {server.address.split("/")[3] for server in servers}
    for server in servers:
        with server:
            pass
    assert len(tokens) == 2


PROBE = """
// once the session has ended, asks for an address in which what is on the page is written
const by = (id) => document.getElementById(id);
// middle x and topmost y of the pixels of one side's colour between two parts of the width
function look(id, [r, g, b], from, to) {
  const { width, height } = by(id), data = by(id).getContext("2d").getImageData(0, 0, width, height).data;
  let count = 0, sum = 0, top = height;
  for (let i = 0; i < data.length; i += 4) {
    const x = i / 4 % width, y = Math.floor(i / 4 / width);
    if (x < from * width || x >= to * width) continue;
    if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) > 60) continue;
    count += 1; sum += x; top = Math.min(top, y);
  }
  return { count, x: sum / count, top };
}
const half = (id, from, to) => ({ right: look(id, [209, 73, 91], from, to), left: look(id, [34, 116, 165], from, to) });
const halves = (id) => [half(id, 0, 0.5), half(id, 0.5, 1)];
const timer = setInterval(() => {
  if (!by("state").textContent.startsWith("ended")) return;
  clearInterval(timer);
  const report = { state: by("state").textContent, timing: by("timing").textContent };
  report.flat = halves("view2d");
  const { width, height } = by("view2d");
  report.image = [...by("view2d").getContext("2d").getImageData(width / 2, height / 2, 1, 1).data];
  report.start = halves("view3d");
  by("view3d").dispatchEvent(new PointerEvent("pointermove", { buttons: 1, movementX: 314 }));
  report.behind = halves("view3d");
  by("mesh").click();
  by("skeleton").click();
  report.empty = half("view3d", 0, 1);
  fetch(`report?${encodeURIComponent(JSON.stringify(report))}`);
}, 50);
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (apt-get install chromium)")
def test_a_browser_shows_image_2d_and_3d_and_how_late_they_are(board, tmp_path, monkeypatch):
    asked = queue.Queue()
    monkeypatch.setattr(server_module._Handler, "log_message", lambda *arguments: asked.put(str(arguments[2])))
    page = live_page("film.mp4", FACES)
    nonce = re.search(r"nonce-([\w-]+)", page.policy)[1]
    page = replace(page, html=page.html.replace("</body>", f'<script nonce="{nonce}">{PROBE}</script></body>'))
    board.publish(shown(4, [person(3, shift=-120), person(5, (1.2, 0, 0), shift=120)]))
    board.end("film.mp4: the file ended")
    with LiveServer(page, board) as server:
        command = [CHROMIUM, *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", server.address]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                while "/report?" not in (line := asked.get(timeout=120)):
                    pass
            finally:
                browser.terminate()
    report = json.loads(urllib.parse.unquote(line.split("?")[1].split()[0]))

    assert report["state"] == "ended: film.mp4: the file ended"
    assert re.fullmatch(
        r"latency \d+ ms \(waited 10 ms, found in 20 ms, lifted in 30 ms, sent and drawn in \d+ ms\), "
        r"12\.5 of 25 frames per second, 7 dropped, frame 4",
        report["timing"],
    )
    assert report["image"] == pytest.approx([200, 220, 240, 255], abs=3)  # RGB as it was published
    for someone in (*report["flat"], *report["start"]):  # right at the left and raised, as the camera sees it
        assert someone["right"]["x"] < someone["left"]["x"]
        assert someone["right"]["top"] < someone["left"]["top"]
    for someone in report["behind"]:
        assert someone["right"]["x"] > someone["left"]["x"]
    assert report["empty"]["right"]["count"] == report["empty"]["left"]["count"] == 0
