"""The page: what a visitor sees and does, on Gradio."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from ..restoration import WITH_KERNEL
from . import parts
from .desk import Desk
from .examples import make_examples

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # it is read as Gradio is loaded
import gradio as gr

from .actions import Actions

HERE = Path(__file__).parent
DOORS = ("itself", "known", "found")
KINDS = [
    ("out of focus", "focus"),
    ("moved in a line", "motion"),
    ("Gaussian", "gaussian"),
    ("a kernel from a file", "file"),
    ("a point of light shows it", "lamp"),
]
SIZES = [("as it is", 0), ("2000", 2000), ("1000", 1000)]
METHODS = [  # with what is said of each
    (f"{WITH_KERNEL}: the best, as a rule", WITH_KERNEL),
    ("wiener: the quickest", "wiener"),
    ("tikhonov: as quick, smooth", "tikhonov"),
]
#: on a phone what a button leads to is far away
SHOW = """() => {{
  const part = document.querySelector("{part}");
  if (({narrow}) && part && part.innerText.trim()) part.scrollIntoView({{behavior: "smooth"}});
}}"""
SESSIONS = 200  # of visitors, whose state Gradio keeps
FONTS = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")  # of the visitor's own machine


async def _refuse(*_: Any, **__: Any) -> str:
    raise gr.Error("a file is uploaded, not fetched")


def _close_ways(page: gr.Blocks) -> None:
    """Close two ways that Gradio leaves open where it is mounted in another app.

    It would take any file of the server for an upload, until it is told that it is served; and
    fetch any address that it is given for one.
    """
    page.has_launched = True
    page.state_session_capacity = SESSIONS
    gr.processing_utils.async_ssrf_protected_download = _refuse


def mount(app: FastAPI, desk: Desk, root_path: str) -> FastAPI:
    """Put the page at the app's root."""
    os.environ["GRADIO_TEMP_DIR"] = str(desk.visits.uploads)  # where uploads are put
    sans, mono = FONTS
    page = build(desk)
    _close_ways(page)
    return gr.mount_gradio_app(
        app,
        page,
        path="/",
        root_path=root_path or None,
        footer_links=[],
        run_history=False,
        max_file_size=desk.limits.bytes,
        theme=gr.themes.Default(primary_hue="blue", font=sans, font_mono=mono),
        css=(HERE / "page.css").read_text("utf-8"),
        show_error=True,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )


def build(desk: Desk) -> gr.Blocks:
    """The page's parts, and what they do."""
    examples = make_examples(desk.visits.root / "examples")
    with gr.Blocks(title="Deblur a photo", analytics_enabled=False) as page:
        seen, done, door = gr.State({}), gr.State({}), gr.State(DOORS[0])
        gr.Markdown(parts.heading(desk.limits))
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                opener = parts.opener(desk.limits)
                tried = parts.examples(examples)
                state = gr.HTML(elem_classes="state", elem_id="state")
                with gr.Tabs():
                    itself = _by_itself(desk.networks)
                    known = _known()
                    found = _found()
                kernels, method, smoothing = _methods()
                with gr.Row():
                    go = gr.Button("Restore", variant="primary", elem_id="restore")
                    halt = gr.Button("Stop", elem_id="stop")
                progress = gr.HTML(elem_classes="state", elem_id="progress")
            with gr.Column(scale=3, min_width=300):
                picker, preview, results, ask, trust = _pictures()
        with gr.Accordion("What deblurring can and cannot give back", open=False):
            gr.Markdown((HERE / "words.md").read_text("utf-8"))
        blur = [*known[1:6], method, smoothing]
        actions = Actions(desk, examples)
        _for_clients(actions)  # the first, which has the plain name
        slow: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        # answered at once: one that follows another closely can be lost in Gradio's queue
        quick = {**slow, "queue": False}
        entered = [seen, done, state, picker, found[3], preview, results, ask, trust, progress]
        live = {"fn": actions.preview, "inputs": [seen, door, *blur], "outputs": preview}
        sliders = [part.change for part in (*known[1:6], method, smoothing)]
        gr.on(sliders, **live, **quick, trigger_mode="always_last")
        done_first = [
            opener.upload(actions.open, [opener], entered, **quick),
            tried.select(actions.try_out, None, [*entered, *known[1:5]], **quick),
            known[6].upload(actions.load, [seen, known[6]], [seen, progress], **quick),
            picker.input(actions.point, [seen, picker, known[1]], [seen, progress], **quick),
            found[2].click(actions.find, [seen, found[1]], [seen, progress, found[3]], **slow),
        ]
        for tab, name in zip((itself[0], known[0], found[0]), DOORS, strict=True):
            needed = gr.update(visible=name != DOORS[0])
            chosen = tab.select(lambda n=name, v=needed: (n, v), None, [door, kernels], **quick)
            done_first.append(chosen)
        for event in done_first:
            event.then(**live, **quick)
        for event in done_first[:2]:
            event.then(None, js=SHOW.format(part="#state", narrow="innerWidth < 640"))
        known[1].change(_fields, known[1], [*known[2:], progress], **quick)
        asked = [seen, door, *itself[1:], *blur]
        shown = [done, progress, preview, results, ask, trust]
        at_result = SHOW.format(part="#results", narrow="innerWidth < 640")
        go.click(actions.restore, asked, shown, **slow).then(None, js=at_result)
        at_map = SHOW.format(part="#trust", narrow="true")
        ask.click(actions.trust, [seen, done], trust, **slow).then(None, js=at_map)
        halt.click(actions.stop, None, None, **quick)
        page.unload(actions.stop)
    return page.queue(default_concurrency_limit=None, max_size=20 * desk.limits.waiting)


def _pictures() -> list:
    return [
        parts.picker(),
        gr.HTML(elem_id="preview"),
        gr.HTML(elem_classes="results", elem_id="results"),
        gr.Button("Where does it contradict the photo?", visible=False),
        gr.HTML(elem_classes="results", elem_id="trust"),
    ]


def _methods() -> list:
    with gr.Group(visible=False) as kernels:
        method = gr.Radio(METHODS, value=WITH_KERNEL, label="Method")
        smoothing = gr.Slider(-1.5, 1.5, 0, step=0.1, label="Smoothing: more for a noisy photo")
    return [kernels, method, smoothing]


def _by_itself(networks: list[str]) -> list:
    with gr.Tab("By itself", id="itself") as tab:
        gr.Markdown(
            "**Try this first.** A network, trained on blur of cameras and things that moved, "
            "finds out by itself what is blurred and how. There is nothing to set."
        )
        network = gr.Radio(networks, value=networks[0], label="Network", visible=len(networks) > 1)
        size = gr.Radio(
            SIZES,
            value=0,
            label="Longer side, pixels: a smaller copy is faster, and clearer where "
            "the blur is long",
        )
        strength = gr.Slider(0, 1, 1, step=0.05, label="Strength: 1 makes the whole change, 0 none")
        sharp = gr.Checkbox(label="Restore it even if it is sharp already")
    return [tab, network, size, strength, sharp]


def _known() -> list:
    with gr.Tab("I know the blur", id="known") as tab:
        gr.Markdown(
            "**When the whole photo is blurred alike and you know how.** Change the sliders until "
            "the detail is clear: too much of them shows as rings beside edges."
        )
        kind = gr.Radio(KINDS, value="focus", label="What blurred it?")
        radius = gr.Slider(0.5, 20, 3, step=0.1, label="Radius of the disk, pixels")
        length = gr.Slider(1, 60, 10, step=0.5, label="Length of the line, pixels", visible=False)
        angle = gr.Slider(
            -90,
            90,
            0,
            step=1,
            label="Angle of the line, degrees: 0 is level, 90 upright",
            visible=False,
        )
        sigma = gr.Slider(
            0.3, 10, 1.5, step=0.1, label="Sigma, its standard deviation, pixels", visible=False
        )
        file = gr.File(
            label="Kernel: .npy, .mat, a grey PNG or TIFF, numbers as text",
            visible=False,
            height=120,
        )
        lamp = gr.Markdown(
            "Draw a box round the streak that a lamp, a star or a glint left in the photo. With "
            "the keyboard: move the frame there with the arrow keys, then Enter.",
            visible=False,
        )
    return [tab, kind, radius, length, angle, sigma, file, lamp]


def _found() -> list:
    with gr.Tab("Find the blur", id="found") as tab:
        gr.Markdown(
            "**When the whole photo is blurred alike, as by a shaken hand, and you do not know "
            "how.** The blur is looked for in the photo's edges. It takes up to a minute, and does "
            "not always succeed."
        )
        size = gr.Slider(
            3,
            99,
            31,
            step=2,
            label="Side of the kernel, pixels: somewhat more than the blur is long",
        )
        go = gr.Button("Find the blur", elem_id="find")
        kernel = gr.HTML(elem_id="kernel")
    return [tab, size, go, kernel]


def _fields(kind: str) -> list:
    """Which numbers a kind of blur has; and nothing more of what went wrong before."""
    shown = {"focus": (0,), "motion": (1, 2), "gaussian": (3,), "file": (4,), "lamp": (5,)}[kind]
    return [*[gr.update(visible=i in shown) for i in range(6)], ""]


def _for_clients(actions: Actions) -> None:
    """What Gradio's client may call: ``/restore``."""
    given = [
        gr.File(label="photo", visible=False),
        gr.Textbox("srn", label="method", visible=False),
        gr.File(label="kernel", visible=False),
        gr.Textbox("", label="settings", visible=False),
        gr.Number(0, label="size", visible=False),
        gr.Number(1.0, label="strength", visible=False),
        gr.Checkbox(label="even_if_sharp", visible=False),
    ]
    button, out = gr.Button(visible=False), gr.File(label="restored", visible=False)
    button.click(actions.served, given, out, api_name="restore")
