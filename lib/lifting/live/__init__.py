"""People in front of a camera, lifted as they move and shown in a browser: `run_live` in run.py puts the parts together.

sources.py -> capture.py (drops images) -> live_lifter.py (2D to 3D, causal) -> board.py (the newest result) -> server.py,
which a page (page.html) on this machine alone asks for it.
"""
