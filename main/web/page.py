"""The demo's page: fields, button, the playing 3D, lines and files. All it does is done by `Sessions`."""

import html
from pathlib import Path
from typing import TYPE_CHECKING

from lib.errors import UserError
from lib.joints import JOINT_SETS
from lib.lifting.writers import NEED_BODY, WRITERS
from main.web.sessions import PAGE_ENDING, Choices, Result, Sessions

if TYPE_CHECKING:
    from gradio import Blocks
    from gradio.components import Component

WAITING = 8
"""Most requests in the queue; one is worked on at a time."""

REMOVED_AFTER = 24 * 3600
"""Seconds after which files are removed though their tab is still open, or was never closed."""

ASSET = Path(__file__).resolve().parents[2] / "asset"

EXAMPLES = {
    "a video (rendered)": ("media/walker.mp4", 0, 0, ""),
    "COCO, two people": ("samples/coco_dataset.json", 0, 0, ""),
    "AlphaPose": ("samples/alphapose.json", 1280, 720, ""),
    "a table (CSV)": ("samples/human36.csv", 1280, 720, "human36"),
}
"""Name -> file in asset/; width and height of its images and its joint set, where it does not have them."""

OFFERED = [ending for ending in WRITERS if ending not in (PAGE_ENDING, ".obj")]
"""Files to choose from. The page always comes; .obj, one file per frame, is for main/predict.py."""

PRESET = [".npz", ".bvh", ".glb"]

STYLE = """
.hgn-page { width: 100%; height: 640px; border: 1px solid #e5e7eb; border-radius: 8px; background: white; }
.hgn-empty { display: grid; place-items: center; height: 640px; padding: 0 15%; border: 1px dashed #9ca3af; border-radius: 8px; }
.hgn-empty { color: #6b7280; }
.hgn-error { color: #b91c1c; font-weight: 600; }
.hgn-lines { margin: 0; padding: 0; list-style: none; font-size: 13px; }
.hgn-lines li { margin: 0; }
.hgn-lines .warning { color: #b45309; }
"""

EMPTY = '<div class="hgn-empty">Drop a file on the left, or choose an example.</div>'


def open_page(sessions: Sessions, host: str, port: int, share: bool, max_upload: int) -> "Blocks":
    """The page, served; max_upload: MB of a file. UserError where the port was taken."""
    import gradio as gr

    page = build_page(sessions)
    page.queue(max_size=WAITING, default_concurrency_limit=1)
    # the fonts of Gradio's own themes come from another server
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    try:
        page.launch(
            server_name=host,
            server_port=port,
            share=share,
            max_file_size=f"{max_upload}mb",
            prevent_thread_lock=True,
            quiet=True,
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            mcp_server=False,
            footer_links=[],
            theme=theme,
            css=STYLE,
        )
    except OSError as error:
        raise UserError(f"--port {port}: cannot be used ({error}); give another one") from None
    return page


def build_page(sessions: Sessions) -> "Blocks":
    """Fields on the left, results on the right; an upload, an example and the button start a run."""
    import gradio as gr

    def run(
        request: gr.Request,
        upload,
        weights,
        width,
        height,
        joint_set,
        fps,
        endings,
        max_persons,
        one_person,
        smooth,
        fit_body,
        floor,
    ):
        width, height, fps, max_persons = (value or 0 for value in (width, height, fps, max_persons))  # None: cleared
        size = (width, height) if width or height else None
        people = (max_persons or None, one_person, smooth, fit_body, floor)
        choices = Choices(endings, weights, size, joint_set or None, fps or None, *people)
        return shown_as(sessions.run(request.session_hash or "", upload, choices))

    def end(request: gr.Request) -> None:
        sessions.end(request.session_hash or "")

    with gr.Blocks(title="HGN", analytics_enabled=False, delete_cache=(3600, REMOVED_AFTER)) as page:
        gr.Markdown(
            "## HGN: people in 3D\nDrop an image, a video or 2D keypoints. The computer that serves this page lifts it."
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                source = gr.File(label="Image, video or keypoints")
                go = gr.Button("Lift", variant="primary")
                examples_here = gr.Column()
                with gr.Accordion("Files to download", open=False):
                    endings = gr.CheckboxGroup(
                        OFFERED, value=PRESET, show_label=False, info=f"{', '.join(NEED_BODY)} need a fitted body"
                    )
                with gr.Accordion("Options: image size, people, body", open=False):
                    weights, about_images, about_people = option_fields(sessions.weights)
                fields = [source, weights, *about_images, endings, *about_people]
                with examples_here:
                    examples = gr.Examples(
                        [[str(ASSET / name), *rest] for name, *rest in EXAMPLES.values()],
                        [source, *about_images[:3]],
                        example_labels=list(EXAMPLES),
                        preload=False,
                    )
            with gr.Column(scale=3, min_width=480):
                results = [
                    gr.HTML(EMPTY),
                    gr.HTML(),
                    gr.File(label="Download", file_count="multiple", interactive=False, visible=False),
                ]
        for start in (go.click, source.upload, examples.load_input_event.then):
            start(run, fields, results, api_name="lift" if start == go.click else False, concurrency_id="lift")
        source.clear(lambda: (0, 0, ""), None, about_images[:3], api_name=False)  # the next file has others
        page.unload(end)
    sessions.keep_present_files()
    return page


def option_fields(weights: list[str]) -> "tuple[Component, list[Component], list[Component]]":
    """The field for the weights, those about the images and those about the people, in the order of `Choices`."""
    import gradio as gr

    network = gr.Dropdown(weights, value=weights[0], label="weights", visible=len(weights) > 1)
    with gr.Row():
        width = gr.Number(0, label="image width", info="--image-size W; 0: the file has it", precision=0, min_width=120)
        height = gr.Number(0, label="image height", info="--image-size H, pixels", precision=0, min_width=120)
    joint_set = gr.Dropdown(["", *JOINT_SETS], value="", label="keypoint convention", info="--joint-set")
    fps = gr.Number(0, label="frames per second", info="--fps; 0: the video's, else 25")
    persons = gr.Number(0, label="most persons", info="--max-persons; 0: all", precision=0)
    switches = [
        gr.Checkbox(label="one person", info="--one-person: the best detection of each frame"),
        gr.Checkbox(label="smooth", info="--smooth"),
        gr.Checkbox(label="fit a body", info="--fit-body: bones of constant length, joint rotations"),
        gr.Checkbox(label="on the floor", info="--floor: feet stand still; for a camera that stands still"),
    ]
    return network, [width, height, joint_set, fps], [persons, *switches]


def shown_as(result: Result) -> list:
    """What the page's three result components show: the playing 3D or the error, the lines, the files."""
    import gradio as gr

    if result.error:
        shown = f'<div class="hgn-empty hgn-error">{html.escape(result.error)}</div>'
    elif result.page:
        # scripts of the page run in a place of their own, apart from this one
        shown = f'<iframe class="hgn-page" sandbox="allow-scripts" srcdoc="{html.escape(result.page)}"></iframe>'
    else:
        shown = EMPTY
    kinds = ["warning" if line.startswith(("warning:", "skipped:")) else "" for line in result.lines]
    lines = [f'<li class="{kind}">{html.escape(line)}</li>' for kind, line in zip(kinds, result.lines, strict=True)]
    files = gr.File([str(path) for path in result.files], visible=bool(result.files))
    return [shown, f'<ul class="hgn-lines">{"".join(lines)}</ul>', files]
