"""The web server of the live page: for this machine alone, and for who knows its address alone.

It listens on 127.0.0.1. The address holds a random token, without which nothing is answered. The Host header must name this
machine, so that a page of another site, whose name was made to point here (DNS rebinding), is refused. No header
allows other sites to read an answer. There are two answers, the page and the newest frame; no file is read.
"""

import os
import re
import secrets
import socketserver
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lib.errors import UserError
from lib.lifting.live.board import Board
from lib.lifting.live.live_page import Page, end_message, frame_message

HOST = "127.0.0.1"

MAX_REQUEST = 16 * 1024
"""Bytes of a request's line and headers; browsers send less than 2 KiB."""

MAX_CONNECTIONS = 32
"""At once; a browser keeps one or two open."""

IDLE = 30.0
"""Seconds after which a silent connection is closed."""

LONGEST_POLL = 10.0
"""Seconds after which a request is answered although there is no new frame."""

GOODBYE = 0.5
"""Seconds for which a server goes on after the end of its board, so that open pages hear of it."""

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class LiveServer:
    """Serves a page and the frames of a board from a thread of its own, while it is entered. UserError where the port
    cannot be had. port: 0 for any that is free."""

    def __init__(self, page: Page, board: Board, port: int = 0):
        self._token = secrets.token_urlsafe(16)
        try:
            self._server = _Server(page, board, self._token, port)
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a port"
            raise UserError(f"--port {port}: cannot be used ({why}); omit --port for a free one") from None
        # a short interval: it is how long closing takes
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://{HOST}:{self._server.server_port}/{self._token}/"

    def __enter__(self) -> "LiveServer":
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        board = self._server.board
        if board.ended and board.asked:
            time.sleep(GOODBYE)
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # there it would share a port that is taken

    def __init__(self, page: Page, board: Board, token: str, port: int):
        self.page, self.board, self.token = page, board, token
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__((HOST, port), _Handler)

    def server_bind(self) -> None:
        """Without the look-up of this machine's name, which takes seconds where there is no network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request, client_address) -> None:
        """On a thread of its own; closed at once where there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request, client_address) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request, client_address) -> None:
        """A browser that goes away is no error."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _TooLarge(Exception):
    """A request of more than MAX_REQUEST bytes."""


class _Limited:
    """The lines of a request, MAX_REQUEST bytes at most."""

    def __init__(self, file):
        self._file = file
        self._left = MAX_REQUEST

    def renew(self) -> None:
        """A new request begins."""
        self._left = MAX_REQUEST

    def readline(self, size: int) -> bytes:
        line = self._file.readline(min(size, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise _TooLarge
        return line

    def close(self) -> None:
        self._file.close()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"  # connections are kept: a frame costs no new one
    server_version, sys_version = "hgn", ""
    disable_nagle_algorithm = True
    timeout = IDLE

    def setup(self) -> None:
        super().setup()
        self.rfile = _Limited(self.rfile)  # type: ignore[assignment]

    def handle_one_request(self) -> None:
        self.rfile.renew()  # type: ignore[attr-defined]
        try:
            super().handle_one_request()
        except _TooLarge:
            self.requestline, self.request_version, self.command = "", self.protocol_version, ""
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def do_GET(self) -> None:
        """The page, or the newest frame after a number; the token comes first."""
        path, _, query = self.path.partition("?")
        parts = path.split("/", 2)
        token = parts[1] if len(parts) == 3 else ""
        if self.headers.get("Host") not in self._hosts() or not secrets.compare_digest(
            token.encode(), self.server.token.encode()
        ):
            self._refuse(HTTPStatus.FORBIDDEN)
        elif "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self._refuse(HTTPStatus.BAD_REQUEST)  # a body, which nobody reads
        elif parts[2] == "" and not query:
            self._answer(self.server.page.html.encode(), "text/html; charset=utf-8", self.server.page.policy)
        elif parts[2] == "frame" and (after := re.fullmatch(r"after=(-1|\d{1,15})", query, re.ASCII)):
            self._answer_frame(int(after[1]))
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def _hosts(self) -> tuple[str, ...]:
        return tuple(f"{name}:{self.server.server_port}" for name in (HOST, "localhost"))

    def _answer_frame(self, after: int) -> None:
        board = self.server.board
        shown = board.newer(after, LONGEST_POLL)
        if shown is not None:
            self._answer(frame_message(shown), "application/json")
        elif board.ended:
            self._answer(end_message(board.ended), "application/json")
        else:
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

    def _answer(self, body: bytes, kind: str, policy: str = "default-src 'none'") -> None:
        self.send_response(HTTPStatus.OK)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": policy}
        for name, value in (HEADERS | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *arguments) -> None:
        """Nothing: the address, which is secret, would be in it."""
