"""The page: what a visitor sees and does, on Gradio."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from ..errors import InputError, require
from ..restoration import METHODS, WITH_KERNEL
from . import parts
from .desk import Desk, Word, said
from .examples import make_examples
from .workers import Busy, Died, Stopped

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # it is read as Gradio is loaded
import gradio as gr

HERE = Path(__file__).parent
DOORS = ("itself", "known", "found")
KINDS = [
    ("out of focus", "focus"),
    ("moved in a line", "motion"),
    ("Gaussian", "gaussian"),
    ("a kernel from a file", "file"),
    ("a point of light shows it", "lamp"),
]
#: methods that use a kernel and answer at once, and the setting of each that smooths
SMOOTHS = {WITH_KERNEL: "tv", "wiener": "factor", "tikhonov": "weight"}
SIZES = [("as it is", 0), ("2000", 2000), ("1000", 1000)]
FAILURES = (InputError, Busy, Stopped, Died)
#: on a phone the result is far below the button
SHOW_RESULT = """() => {
  const page = document.querySelector("#results iframe");
  if (page) document.querySelector("#results").scrollIntoView({behavior: "smooth"});
}"""
FONTS = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")  # of the visitor's own machine


def _upload(**options: Any) -> gr.File:
    """A file that was uploaded, and no other: Gradio's own would fetch addresses, too."""
    part = gr.File(**options)
    move = part.async_move_resource_to_block_cache

    async def moved(url_or_file_path: str | Path | None) -> str | None:
        if "://" in str(url_or_file_path):
            raise gr.Error("a file is uploaded, not fetched")
        return await move(url_or_file_path)

    part.async_move_resource_to_block_cache = moved
    return part


def mount(app: FastAPI, desk: Desk, root_path: str) -> FastAPI:
    """Put the page at the app's root."""
    os.environ["GRADIO_TEMP_DIR"] = str(desk.visits.uploads)  # where uploads are put
    sans, mono = FONTS
    return gr.mount_gradio_app(
        app,
        build(desk),
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
    folder = desk.visits.root / "examples"
    folder.mkdir()
    examples = make_examples(folder)
    with gr.Blocks(title="Deblur a photo", analytics_enabled=False) as page:
        seen, done, door = gr.State({}), gr.State({}), gr.State(DOORS[0])
        gr.Markdown(parts.heading(desk.limits))
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                opener = parts.opener(desk.limits)
                tried = parts.examples(examples)
                state = gr.HTML(elem_classes="state")
                with gr.Tabs():
                    itself = _by_itself(desk.networks)
                    known = _known()
                    found = _found()
                with gr.Group(visible=False) as kernels:
                    method = gr.Radio([*SMOOTHS], value=WITH_KERNEL, label="Method")
                    smoothing = gr.Slider(
                        -1.5, 1.5, 0, step=0.1, label="Smoothing: more for a noisy photo"
                    )
                with gr.Row():
                    go = gr.Button("Restore", variant="primary", elem_id="restore")
                    halt = gr.Button("Stop", elem_id="stop")
                progress = gr.HTML(elem_classes="state", elem_id="progress")
            with gr.Column(scale=3, min_width=300):
                picker = parts.picker()
                preview = gr.HTML(elem_id="preview")
                results = gr.HTML(elem_classes="results", elem_id="results")
                ask = gr.Button("Where does it contradict the photo?", visible=False)
                trust = gr.HTML(elem_classes="results", elem_id="trust")
        with gr.Accordion("What deblurring can and cannot give back", open=False):
            gr.Markdown((HERE / "words.md").read_text("utf-8"))
        blur = [*known[1:6], method, smoothing]
        actions = _Actions(desk, [example.path for example in examples])
        _for_clients(actions)  # the first, which has the plain name
        slow = {"api_visibility": "private", "show_progress": "hidden"}
        # answered at once: one that follows another closely can be lost in Gradio's queue
        quick = {**slow, "queue": False}
        entered = [seen, state, picker, preview, results, ask, trust, progress]
        live = {"fn": actions.preview, "inputs": [seen, door, *blur], "outputs": preview}
        sliders = [part.change for part in (*known[1:6], method, smoothing)]
        gr.on(sliders, **live, **quick, trigger_mode="always_last")
        done_first = [
            opener.upload(actions.open, [opener], entered, **quick),
            tried.select(actions.try_out, None, entered, **quick),
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
        known[1].change(_fields, known[1], known[2:], **quick)
        asked = [seen, door, *itself[1:], *blur]
        shown = [done, progress, preview, results, ask, trust]
        go.click(actions.restore, asked, shown, **slow).then(None, js=SHOW_RESULT)
        ask.click(actions.trust, [seen, done], [progress, trust], **slow)
        halt.click(actions.stop, None, None, **quick)
        page.unload(actions.leave)
    return page.queue(default_concurrency_limit=None, max_size=20 * desk.limits.waiting)


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
        strength = gr.Slider(0, 1, 1, step=0.05, label="How much of the change is made")
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
        sigma = gr.Slider(0.3, 10, 1.5, step=0.1, label="Sigma, pixels", visible=False)
        file = _upload(
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
    """Which numbers a kind of blur has."""
    shown = {"focus": (0,), "motion": (1, 2), "gaussian": (3,), "file": (4,), "lamp": (5,)}[kind]
    return [gr.update(visible=i in shown) for i in range(6)]


def blur_of(seen: Mapping[str, Any], door: str, kind: str, *numbers: float) -> dict[str, Any]:
    """The blur that the page says: a file in the visitor's folder, or numbers."""
    radius, length, angle, sigma = numbers
    own = "found" if door == "found" else kind if kind in ("file", "lamp") else None
    if own is not None:
        missing = {
            "found": "find the blur first",
            "file": "choose the kernel's file first",
            "lamp": "draw a box round a point of light first",
        }
        require(own in seen.get("kernels", {}), missing[own])
        return {"file": seen["kernels"][own]}
    told = {"focus": [radius], "motion": [length, angle], "gaussian": [sigma]}
    return {"kind": kind, "numbers": told[kind]}


def settings_of(method: str, smoothing: float) -> dict[str, float]:
    """The method's setting that smooths, by powers of ten of its default."""
    name = SMOOTHS[method]
    setting = METHODS[method].settings[name]
    value = setting.value * 10**smoothing
    return {name: float(f"{min(max(value, setting.least), setting.most):.3g}")}


class _Actions:
    """What the page does, for one visitor at a time; ``seen`` is what is known of the picture."""

    def __init__(self, desk: Desk, examples: list[Path]):
        self.desk, self.examples = desk, examples

    async def open(self, value: dict[str, Any], request: gr.Request) -> tuple:
        """A picture that was uploaded."""
        try:
            require(isinstance(value, dict) and "path" in value, "no picture came")
            token, name = self.desk.visits.take(value["path"])
        except InputError as error:
            return self._entered({}, parts.wrong(error))
        return await self._look(token, name, request)

    async def try_out(self, event: gr.EventData, request: gr.Request) -> tuple:
        """One of the examples."""
        path = self.examples[int(event.index) % len(self.examples)]
        token = self.desk.visits.new()
        name = self.desk.visits.put(token, path.name, path.read_bytes())
        return await self._look(token, name, request)

    async def _look(self, token: str, name: str, request: gr.Request) -> tuple:
        visits, line = self.desk.visits, self.desk.looking
        asked = "look", visits.folder(token), name, self.desk.limits.pixels
        try:
            found, _ = await self.desk.answer(line, *asked, visitor=request.session_hash)
        except FAILURES as error:
            visits.delete(token)
            return self._entered({}, parts.wrong(said(error)))
        times = {name: self.desk.seconds(name, *found["size"]) for name in self.desk.networks}
        return self._entered({"token": token, "kernels": {}, **found}, parts.seen(found, times))

    def _entered(self, seen: dict[str, Any], state: str) -> tuple:
        return seen, state, parts.pickable(seen), "", "", gr.update(visible=False), "", ""

    async def preview(
        self, request: gr.Request, seen: dict, door: str, kind: str, *rest: Any
    ) -> str:
        """The detail before and after, as the sliders are."""
        if not seen or door == "itself":
            return ""
        *numbers, method, smoothing = rest
        try:
            blur, settings = blur_of(seen, door, kind, *numbers), settings_of(method, smoothing)
            asked = seen["name"], self.desk.limits.pixels, tuple(seen["detail"])
            folder = self.desk.visits.folder(seen["token"])
            done, notes = await self.desk.answer(
                self.desk.looking,
                "preview",
                folder,
                *asked,
                blur,
                method,
                settings,
                visitor=request.session_hash,
            )
        except FAILURES as error:
            return parts.hint(said(error))
        self.desk.rates[method] = done["rate"]
        seconds = self.desk.seconds(method, *seen["size"])
        return parts.preview(done, f"{method}, {_words(settings)}", seconds, notes)

    async def load(self, seen: dict, path: str | None) -> tuple[dict, str]:
        """A kernel's file."""
        try:
            require(bool(seen), "choose a photo first")
            require(path is not None, "no file came")
            data = Path(path).read_bytes()
            name = self.desk.visits.put(seen["token"], Path(path).name, data)
        except FAILURES as error:
            return seen, parts.wrong(said(error))
        return _with_kernel(seen, "file", name), ""

    async def point(
        self, seen: dict, picked: dict[str, Any], kind: str, request: gr.Request
    ) -> tuple[dict, str]:
        """A place for the detail, or a box round a point of light."""
        try:
            require(bool(seen), "choose a photo first")
            place, box = parts.picked(picked, seen["size"])
            seen = {**seen, "detail": place}
            if box is None or kind != "lamp" or box == seen.get("box"):
                return seen, ""
            seen["box"] = box
            folder = self.desk.visits.folder(seen["token"])
            asked = "cut", folder, seen["name"], self.desk.limits.pixels, box
            found, notes = await self.desk.answer(
                self.desk.looking, *asked, visitor=request.session_hash
            )
        except FAILURES as error:
            return seen, parts.wrong(said(error))
        words = parts.found(seen["token"], found, notes)
        return _with_kernel(seen, "lamp", found["numbers"]), words

    async def find(
        self, seen: dict, size: float, request: gr.Request
    ) -> AsyncIterator[tuple[dict, str, str]]:
        """The kernel of the picture."""
        try:
            require(bool(seen), "choose a photo first")
            folder = self.desk.visits.folder(seen["token"])
            asked = "find", folder, seen["name"], self.desk.limits.pixels, int(size)
            words = self.desk.do(self.desk.restoring, *asked, visitor=request.session_hash)
            async with aclosing(words):
                async for word in words:
                    if isinstance(word, Word):
                        yield seen, parts.looking(word), ""
                    else:
                        found, notes = word
            kept = _with_kernel(seen, "found", found["numbers"])
            yield kept, "", parts.found(seen["token"], found, notes)
        except FAILURES as error:
            yield seen, parts.wrong(said(error)), ""

    async def restore(
        self, request: gr.Request, seen: dict, door: str, *asked: Any
    ) -> AsyncIterator[tuple]:
        """The whole picture; what is asked are the values of the parts that say how."""
        nothing = {}, "", gr.skip(), "", gr.update(visible=False), ""
        try:
            require(bool(seen), "choose a photo first, or try one of the examples")
            options = _options(seen, door, *asked)
            token, name = seen["token"], seen["name"]
            size = _reduced(seen["size"], options.get("size"))
            guess = self.desk.seconds(options["method"], *size)
            words = self.desk.restore(token, name, options, request.session_hash)
            async with aclosing(words):
                async for word in words:
                    if isinstance(word, Word):
                        yield _with(nothing, parts.restoring(word, guess))
                    else:
                        result, notes = word
            if result["sharp"]:
                why = "this photo is sharp already, so it was left alone; a tick above restores it"
                yield _with(nothing, parts.hint(why))
                return
            done = {"target": result["target"], "size": options.get("size")}
            yield done, "", "", parts.result(token, result, notes), gr.update(visible=True), ""
        except FAILURES as error:
            yield _with(nothing, parts.wrong(said(error)))

    async def trust(
        self, seen: dict, done: dict, request: gr.Request
    ) -> AsyncIterator[tuple[str, str]]:
        """Where the result contradicts the picture."""
        try:
            require(bool(seen and done), "restore a photo first")
            folder, limit = self.desk.visits.folder(seen["token"]), self.desk.limits.pixels
            asked = "compare_trust", folder, seen["name"], limit, done["target"], done["size"]
            words = self.desk.do(self.desk.restoring, *asked, visitor=request.session_hash)
            async with aclosing(words):
                async for word in words:
                    if isinstance(word, Word):
                        yield parts.looking(word), ""
                    else:
                        found, _ = word
            yield "", parts.trust(seen["token"], found)
        except FAILURES as error:
            yield parts.wrong(said(error)), ""

    def stop(self, request: gr.Request) -> None:
        """End what the visitor waits for."""
        self.desk.stop(request.session_hash)

    def leave(self, request: gr.Request) -> None:
        """The visitor has closed the page."""
        self.desk.stop(request.session_hash)

    async def served(
        self,
        photo: str,
        method: str,
        kernel: str | None,
        settings: str,
        size: float,
        strength: float,
        even_if_sharp: bool,
    ) -> str:
        """Restore one photo. ``settings`` are such as ``"iterations=20 tv=0.001"``."""
        try:
            require(photo is not None, "no photo came")
            token, name = self.desk.visits.take(photo)
            said_so = (part.partition("=")[::2] for part in settings.split())
            options = {"method": method, "settings": dict(said_so), "strength": strength}
            options |= {"size": int(size) or None, "even_if_sharp": even_if_sharp}
            if kernel is not None:
                data = Path(kernel).read_bytes()
                own = self.desk.visits.put(token, Path(kernel).name, data)
                options["blur"] = {"file": own}
            async for word in self.desk.restore(token, name, options, token):
                result = word
            require(not result[0]["sharp"], "sharp already: even_if_sharp=True restores it")
        except FAILURES as error:
            raise gr.Error(said(error)) from None
        return str(self.desk.visits.file(token, result[0]["target"]))


def _options(
    seen: Mapping[str, Any],
    door: str,
    network: str,
    size: int,
    strength: float,
    sharp: bool,
    kind: str,
    *rest: Any,
) -> dict[str, Any]:
    """What :func:`deblurlib.app.tasks.restore` is asked, of the values of the page's parts."""
    if door == "itself":
        asked = {"method": network, "size": int(size) or None, "strength": strength}
        return asked | {"even_if_sharp": bool(sharp), "compare": True}
    *numbers, method, smoothing = rest
    blur, settings = blur_of(seen, door, kind, *numbers), settings_of(method, smoothing)
    return {"method": method, "blur": blur, "settings": settings, "compare": True}


def _reduced(size: list[int], side: int | None) -> list[int]:
    """The size of a picture after it was reduced."""
    factor = 1 if side is None else min(side / max(size), 1)
    return [max(round(n * factor), 1) for n in size]


def _with(outputs: tuple, progress: str) -> tuple:
    return (outputs[0], progress, *outputs[2:])


def _with_kernel(seen: dict, which: str, name: str) -> dict:
    return {**seen, "kernels": {**seen["kernels"], which: name}}


def _words(settings: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in settings.items())


def _for_clients(actions: _Actions) -> None:
    """What Gradio's client may call: ``/restore``."""
    given = [
        _upload(label="photo", visible=False),
        gr.Textbox("srn", label="method", visible=False),
        _upload(label="kernel", visible=False),
        gr.Textbox("", label="settings", visible=False),
        gr.Number(0, label="size", visible=False),
        gr.Number(1.0, label="strength", visible=False),
        gr.Checkbox(label="even_if_sharp", visible=False),
    ]
    button, out = gr.Button(visible=False), gr.File(label="restored", visible=False)
    button.click(actions.served, given, out, api_name="restore")
