"""What the page does: for each thing that a visitor does, what is shown then."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import InputError, require
from ..restoration import METHODS, WITH_KERNEL
from . import parts
from .desk import Desk, Word, said
from .examples import Example
from .workers import Busy, Died, Stopped

#: methods that use a kernel and answer at once, and the setting of each that smooths
SMOOTHS = {WITH_KERNEL: "tv", "wiener": "factor", "tikhonov": "weight"}
FAILURES = (InputError, Busy, Stopped, Died)


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
    value = float(setting.value) * 10**smoothing
    return {name: float(f"{min(max(value, setting.least), setting.most):.3g}")}


def _visitor(request: gr.Request) -> str:
    """Who asks; outside of a page, nobody."""
    return request.session_hash or ""


class Actions:
    """What the page does, for one visitor at a time; ``seen`` is what is known of the picture."""

    def __init__(self, desk: Desk, examples: list[Example]):
        self.desk, self.examples = desk, examples
        self._newest: dict[str, Any] = {}  # visitor -> the preview that was asked for last

    async def open(self, value: dict[str, Any], request: gr.Request) -> tuple:
        """A picture that was uploaded."""
        self.desk.stop(_visitor(request))  # what is done to the picture before
        try:
            require(isinstance(value, dict) and "path" in value, "no picture came")
            token, name = await asyncio.to_thread(self.desk.visits.take, value["path"])
        except InputError as error:
            return self._entered({}, parts.failed(error))
        return await self._look(token, name, request)

    async def try_out(self, event: gr.EventData, request: gr.Request) -> tuple:
        """One of the examples; and its blur, for the door whose visitors know it."""
        self.desk.stop(_visitor(request))
        example = self.examples[int(event.index) % len(self.examples)]
        path, blur = example.path, (*example.blur, *[gr.skip()] * 4)[:4]
        token = self.desk.visits.new()
        name = self.desk.visits.put(token, path.name, path.read_bytes())
        return (*await self._look(token, name, request), *blur)

    async def _look(self, token: str, name: str, request: gr.Request) -> tuple:
        visits, line = self.desk.visits, self.desk.looking
        asked = "look", visits.folder(token), name, self.desk.limits.pixels
        try:
            found, _ = await self.desk.answer(line, *asked, visitor=_visitor(request))
        except FAILURES as error:
            visits.delete(token)
            return self._entered({}, parts.failed(error))
        times = {name: self.desk.seconds(name, *found["size"]) for name in self.desk.networks}
        return self._entered({"token": token, "kernels": {}, **found}, parts.seen(found, times))

    def _entered(self, seen: dict[str, Any], state: str) -> tuple:
        """A new picture, or none, and nothing of the one before."""
        hidden = gr.update(visible=False)
        return seen, {}, state, parts.pickable(seen), "", "", "", hidden, "", ""

    async def preview(self, request: gr.Request, *asked: Any) -> str | dict:
        """The detail before and after, as the sliders are; nothing, if they have moved since."""
        mine, visitor = object(), _visitor(request)
        self._newest[visitor] = mine
        shown = await self._preview(visitor, *asked)
        if self._newest.get(visitor) is not mine:
            return gr.skip()
        del self._newest[visitor]
        return shown

    async def _preview(self, visitor: str, seen: dict, door: str, kind: str, *rest: Any) -> str:
        if not seen or door == "itself":
            return ""
        *numbers, method, smoothing = rest
        try:
            blur, settings = blur_of(seen, door, kind, *numbers), settings_of(method, smoothing)
            asked = seen["name"], self.desk.limits.pixels, tuple(seen["detail"])
            folder = self.desk.visits.folder(seen["token"])
            task = "preview", folder, *asked, blur, method, settings
            done, notes = await self.desk.answer(self.desk.looking, *task, visitor=visitor)
        except FAILURES as error:
            return parts.failed(error)
        self.desk.rates[method] = done["rate"]
        seconds = self.desk.seconds(method, *seen["size"])
        return parts.preview(done, f"{method}, {_words(settings)}", seconds, notes)

    async def load(self, seen: dict, path: str | None) -> tuple[dict, str]:
        """A kernel's file."""
        try:
            require(bool(seen), "choose a photo first")
            if path is None:
                raise InputError("no file came")
            name = self._kernel(seen["token"], path)
        except FAILURES as error:
            return seen, parts.failed(error)
        return _with_kernel(seen, "file", name), ""

    def _kernel(self, token: str, path: str) -> str:
        """A kernel's file that was uploaded, put beside the picture; its name."""
        return self.desk.visits.put(token, Path(path).name, self.desk.visits.read(path))

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
                self.desk.looking, *asked, visitor=_visitor(request)
            )
        except FAILURES as error:
            return seen, parts.failed(error)
        words = parts.found(seen["token"], found, notes, cut=True)
        return _with_kernel(seen, "lamp", found["numbers"]), words

    async def find(self, seen: dict, size: float, request: gr.Request) -> AsyncIterator[tuple]:
        """The kernel of the picture; what is known of it changes at the end alone."""
        try:
            require(bool(seen), "choose a photo first")
            require(isinstance(size, int | float) and math.isfinite(size), "the side is a number")
            folder = self.desk.visits.folder(seen["token"])
            asked = "find", folder, seen["name"], self.desk.limits.pixels, int(size)
            words = self.desk.do(self.desk.restoring, *asked, visitor=_visitor(request))
            async with aclosing(words):
                async for word in words:
                    if isinstance(word, Word):
                        yield gr.skip(), parts.looking(word), ""
                    else:
                        found, notes = word
            kept = _with_kernel(seen, "found", found["numbers"])
            yield kept, "", parts.found(seen["token"], found, notes)
        except FAILURES as error:
            yield gr.skip(), parts.failed(error), ""

    async def restore(
        self, request: gr.Request, seen: dict, door: str, *asked: Any
    ) -> AsyncIterator[tuple]:
        """The whole picture; what is asked are the values of the parts that say how."""
        nothing: tuple = {}, "", gr.skip(), "", gr.update(visible=False), ""
        try:
            require(bool(seen), "choose a photo first, or try one of the examples")
            options = _options(seen, door, *asked)
            token, name = seen["token"], seen["name"]
            size = _reduced(seen["size"], options.get("size"))
            guess = self.desk.seconds(options["method"], *size)
            words = self.desk.restore(token, name, options, _visitor(request))
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
            told = parts.result(token, result, _said(options.get("blur")), notes)
            yield done, "", "", told, gr.update(visible=True), ""
        except FAILURES as error:
            yield _with(nothing, parts.failed(error))

    async def trust(self, seen: dict, done: dict, request: gr.Request) -> AsyncIterator[str]:
        """Where the result contradicts the picture."""
        try:
            require(bool(seen and done), "restore a photo first")
            folder, limit = self.desk.visits.folder(seen["token"]), self.desk.limits.pixels
            asked = "compare_trust", folder, seen["name"], limit, done["target"], done["size"]
            words = self.desk.do(self.desk.restoring, *asked, visitor=_visitor(request))
            async with aclosing(words):
                async for word in words:
                    if isinstance(word, Word):
                        yield parts.looking(word)
                    else:
                        found, _ = word
            yield parts.trust(seen["token"], found)
        except FAILURES as error:
            yield parts.failed(error)

    def stop(self, request: gr.Request) -> None:
        """End what the visitor waits for, who asked for it or has closed the page."""
        self.desk.stop(_visitor(request))

    async def served(
        self,
        request: gr.Request,
        photo: str,
        method: str,
        kernel: str | None,
        settings: str,
        size: float,
        strength: float,
        even_if_sharp: bool,
    ) -> str:
        """Restore one photo. ``settings`` are such as ``"iterations=20 tv=0.001"``."""
        token = None
        try:
            require(photo is not None, "no photo came")
            token, name = await asyncio.to_thread(self.desk.visits.take, photo)
            said_so = (part.partition("=")[::2] for part in settings.split())
            options = {"method": method, "settings": dict(said_so), "strength": strength}
            options |= {"size": int(size) or None, "even_if_sharp": even_if_sharp}
            if kernel is not None:
                options["blur"] = {"file": self._kernel(token, kernel)}
            async for word in self.desk.restore(token, name, options, _visitor(request)):
                result: Any = word
            require(not result[0]["sharp"], "sharp already: even_if_sharp=True restores it")
            return str(self.desk.visits.file(token, result[0]["target"]))
        except FAILURES as error:
            if token is not None:
                self.desk.visits.delete(token)
            raise gr.Error(said(error)) from None


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
    known = {"blur": blur_of(seen, door, kind, *numbers), "compare": True}
    return known | {"method": method, "settings": settings_of(method, smoothing)}


def _reduced(size: list[int], side: int | None) -> list[int]:
    """The size of a picture after it was reduced."""
    factor = 1 if side is None else min(side / max(size), 1)
    return [max(round(n * factor), 1) for n in size]


def _with(outputs: tuple, progress: str) -> tuple:
    return (outputs[0], progress, *outputs[2:])


def _with_kernel(seen: dict, which: str, name: str) -> dict:
    return {**seen, "kernels": {**seen["kernels"], which: name}}


def _said(blur: Mapping[str, Any] | None) -> str:
    """The blur that a picture was restored of, in words."""
    if blur is None or "file" in blur:
        return "" if blur is None else "of the kernel that is shown"
    names = {"focus": "a disk of radius", "motion": "a line of", "gaussian": "a Gaussian of sigma"}
    return f"of {names[blur['kind']]} {' at '.join(f'{n:g}' for n in blur['numbers'])}"


def _words(settings: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in settings.items())
