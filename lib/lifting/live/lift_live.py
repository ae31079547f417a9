"""From a request with --live to a page that shows people as they move, and then to files."""

from collections.abc import Callable

from lib.lifting.detectors.people import PeopleFinder
from lib.lifting.lift_file import Lifted, Stopwatch, detector_of, lift_people, open_lifter
from lib.lifting.live.board import Board
from lib.lifting.live.interrupt import stop_on_signals
from lib.lifting.live.live_lifter import LiveLifter
from lib.lifting.live.live_page import live_page
from lib.lifting.live.run import run_live
from lib.lifting.live.server import LiveServer
from lib.lifting.live.sources import open_source
from lib.lifting.request import Request


def lift_live(request: Request, log: Callable[[str], None]) -> Lifted:
    """Show the people of --video as they come until it ends or Ctrl-C is pressed, then write the files of --output.

    What is written is lifted anew from the 2D joints that were kept, as from a file: with the frames after each frame.
    log: takes the page's address and how the session ended, at once. For the main thread. UserError as in `lift_file`, and
    where the camera or the port cannot be had.
    """
    source, lifter, board = open_source(str(request.video)), open_lifter(request), Board()
    finder = PeopleFinder(detector_of(request), source.name, source.rate, request.one_person, keep=bool(request.output))
    live = LiveLifter(
        lifter, source.rate, request.camera, request.min_joints, request.max_persons, smooth=request.smooth is not None
    )
    with (
        stop_on_signals() as stop,
        LiveServer(live_page(source.name, lifter.faces), board, request.port or 0) as server,
    ):
        log(f"live: {server.address} (this computer only; Ctrl-C ends)")
        session = run_live(source, finder, live, board, stop)
    for line in (*session.notes, str(session)):
        log(line)
    if not request.output:
        return Lifted([], [], [])
    return lift_people(request, lifter, finder.people(), source.rate, [], Stopwatch())
