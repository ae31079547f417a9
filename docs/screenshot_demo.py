"""Take the screenshot of main/demo.py in README.md: python docs/screenshot_demo.py [--example NAME] [--output FILE]

Needs `sh requirements.sh video demo`, `pip install playwright` and Chromium (apt-get install chromium). The person is rendered
(docs/rendered_people.py).
"""

import argparse
import shutil
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SIZE = {"width": 1280, "height": 900}

COLOURS = 128

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the screenshot of main/demo.py in README.md.")
    parser.add_argument("--example", default="a video (rendered)", metavar="NAME", help="which example is pressed")
    parser.add_argument("--frame", type=int, default=17, metavar="N", help="which of its frames is shown (default 17)")
    parser.add_argument("--output", type=Path, default=ROOT / "asset" / "media" / "demo.png", metavar="FILE")
    args = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "main" / "demo.py"), "--port", str(port)]
    demo = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        if "open http" not in (line := demo.stderr.readline()):
            sys.exit(line + demo.stderr.read())
        take(f"http://127.0.0.1:{port}", args.example, args.frame, args.output)
    finally:
        demo.terminate()
        demo.wait()
    print(f"{args.output}: {args.output.stat().st_size / 1e3:.0f} kB")


def take(address: str, example: str, frame: int, path: Path) -> None:
    """Press an example, wait for the result, go to a frame, and store the page with few colours."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport=SIZE)
        page.goto(address)
        page.get_by_text(example, exact=True).click(timeout=120_000)
        frame_of_page = page.wait_for_selector("iframe.hgn-page", timeout=600_000).content_frame()
        frame_of_page.wait_for_selector("#slider")
        frame_of_page.evaluate(
            "(frame) => { const slider = document.getElementById('slider'); slider.value = frame;"
            " slider.dispatchEvent(new Event('input')); }",
            frame,
        )
        page.wait_for_timeout(1500)
        page.screenshot(path=path)
        chromium.close()
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
