"""The page's own parts, as HTML: everything that a visitor or a file says is escaped here."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import gradio as gr

from .. import images
from ..errors import require
from ..files import read_image
from .desk import Limits, Word, said
from .examples import Example
from .tasks import DETAIL, SHOWN
from .workers import Stopped

HERE = Path(__file__).parent
FORMATS = ".jpg,.jpeg,.jfif,.png,.webp,.tif,.tiff,.bmp"
FIRST = (" first", "try one of the examples")  # ends of sentences on what is to be done
THUMB = 240  # width of an example's picture, pixels
CHOOSE = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-index]");
  if (button) trigger("select", {index: Number(button.dataset.index)});
});
"""


def heading(limits: Limits) -> str:
    """What the page is."""
    return (
        "# Deblur a photo\n"
        "It is restored by the computer that shows you this page, and sent nowhere else. What you "
        f"upload and what comes of it is deleted after {_minutes(limits.keep)}."
    )


def opener(limits: Limits) -> gr.HTML:
    """Where a photo is chosen, dropped, pasted or taken."""
    return gr.HTML(
        value={},
        html_template=_file("opener.html"),
        js_on_load=_file("opener.js"),
        limit=limits.bytes,
        formats=FORMATS,
        megabytes=f"{limits.bytes / 1e6:g}",
        megapixels=f"{limits.pixels / 1e6:g}",
        elem_id="opener",
    )


def examples(found: Sequence[Example]) -> gr.HTML:
    """Pictures to try."""
    buttons = []
    for index, example in enumerate(found):
        pixels = images.to_array(read_image(example.path))
        height = THUMB * pixels.shape[0] // pixels.shape[1]
        small = cv2.resize(pixels, (THUMB, height), interpolation=cv2.INTER_AREA)
        _, code = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        buttons.append(
            f'<button type="button" data-index="{index}"><img alt="" src="'
            f'{_data(code.tobytes(), "jpeg")}"><b>{example.title}</b>'
            f"<span>{example.describes}</span></button>"
        )
    text = f'<p>Or try one:</p><div class="examples">{"".join(buttons)}</div>'
    return gr.HTML(text, js_on_load=CHOOSE, elem_id="examples")


def picker() -> gr.HTML:
    """The photo, in which a detail and a point of light are picked."""
    return gr.HTML(
        value=None,
        html_template=_file("picker.html"),
        js_on_load=_file("picker.js"),
        detail=DETAIL,
        elem_id="picker",
    )


def pickable(seen: Mapping[str, Any]) -> dict[str, Any] | None:
    """The value of :func:`picker`."""
    if not seen:
        return None
    url = _url(seen["token"], SHOWN)
    alt = f"{seen['name']}, as it was uploaded"
    return {"url": url, "alt": alt, "size": seen["size"], "place": seen["detail"], "box": None}


def picked(value: Any, size: Sequence[int]) -> tuple[list[int], tuple[int, ...] | None]:
    """The place and the box, or none, of what :func:`picker` says, inside of the photo."""
    require(isinstance(value, dict), "nothing is picked")
    numbers = [value.get("place"), value.get("box") or [0, 0, 0, 0]]
    fits = all(
        isinstance(part, list)
        and len(part) == n
        and all(isinstance(v, int | float) and math.isfinite(v) for v in part)
        for part, n in zip(numbers, (2, 4), strict=True)
    )
    require(fits, "nothing is picked")
    place = [int(min(max(v, 0), n - 1)) for v, n in zip(numbers[0], size, strict=True)]
    box = tuple(int(v) for v in value["box"]) if value.get("box") else None
    return place, box


def wrong(text: object) -> str:
    """What could not be done, and why."""
    return f'<p class="wrong" role="alert">{html.escape(_upper(str(text)))}.</p>'


def failed(error: Exception) -> str:
    """What a visitor is told of an error; what is still to be done, or was asked for, is none."""
    if isinstance(error, Stopped) or str(error).endswith(FIRST):
        return hint(str(error))
    return wrong(said(error))


def hint(text: str) -> str:
    """What is to be done first."""
    return f'<p role="status">{html.escape(_upper(text).rstrip("."))}.</p>'


def seen(found: Mapping[str, Any], times: Mapping[str, float | None]) -> str:
    """What was uploaded, and how long it would take."""
    width, height = found["size"]
    text = f"<b>{html.escape(found['name'])}</b>, {width} x {height} pixels."
    if found["sharp"]:
        text += " It is sharp already: there is nothing to restore."
    else:
        for seconds in times.values():
            if seconds is not None:
                text += f" By itself: about {_time(seconds)}."
    return f'<p role="status">{text}</p>'


def restoring(word: Word, guess: float | None) -> str:
    """How far it is."""
    if word.before:
        return _waiting(word.before)
    left = None if guess is None else guess * (1 - word.share)
    text = f"Restoring: {word.share:.0%}" + ("" if left is None else f", about {_time(left)} left")
    bar = f'<progress aria-label="done" max="1" value="{word.share:.3f}"></progress>'
    return f'<p role="status">{text}</p>{bar}'


def looking(word: Word) -> str:
    """That it is being looked for, which tells nothing of how far it is."""
    if word.before:
        return _waiting(word.before)
    return '<p role="status">Looking closely …</p><progress aria-label="at work"></progress>'


def _waiting(before: int) -> str:
    others = "one other photo" if before == 1 else f"{before} other photos"
    return (
        f'<p role="status">Waiting: {others} first.</p><progress aria-label="waiting"></progress>'
    )


def preview(
    done: Mapping[str, bytes], how: str, seconds: float | None, notes: Iterable[str]
) -> str:
    """The detail before and after, and the kernel."""
    parts = (
        _figure(done["before"], "before", "The detail, before"),
        _figure(done["after"], f"after: {how}", "The detail, restored"),
        _figure(done["kernel"], "the kernel", "The kernel: what a point of light became", "kernel"),
    )
    told = "" if seconds is None else f"The whole photo takes about {_time(seconds)}."
    text = html.escape(" ".join([told, *notes]))
    return f'<div class="pair">{"".join(parts)}</div><p>{text}</p>'


def _figure(png: bytes, words: str, alt: str, kind: str = "") -> str:
    image = f'<img src="{_data(png, "png")}" alt="{html.escape(alt)}">'
    return f'<figure class="{kind}">{image}<figcaption>{html.escape(words)}</figcaption></figure>'


def found(token: str, kernel: Mapping[str, str], notes: Iterable[str], cut: bool = False) -> str:
    """A kernel that was found or, from a streak, cut."""
    picture = f'<img src="{_url(token, kernel["picture"])}" alt="The kernel that was found">'
    sure = kernel["certainty"] if cut else f"how sure it is: {kernel['certainty']}"
    words = f"{_upper(sure)}. The kernel: {kernel['spread']}"
    words = ". ".join([words, *notes])
    place = f"{_url(token, kernel['numbers'])}?download={quote(kernel['title'])}"
    link = f'<a href="{place}" download>as a file</a>'
    return (
        f'<div class="pair"><figure class="kernel">{picture}</figure>'
        f"<p>{html.escape(words)} ({link}).</p></div>"
    )


def result(token: str, done: Mapping[str, Any], blur: str, notes: Iterable[str]) -> str:
    """The restored photo: before and after, how long it took and of which blur, and the file."""
    page = next(name for name in done["beside"] if name.endswith(".html"))
    width, height = done["size"]
    how = f"{done['title']} {blur}".rstrip()
    told = [f"{width} x {height} pixels, in {_time(done['seconds'])}, by {how}."]
    told += [f"Its kind of file cannot hold {', '.join(done['lost'])}."] if done["lost"] else []
    told += [f"{_upper(note)}." for note in notes]
    link = f"{_url(token, done['target'])}?download={quote(done['target'])}"
    return (
        f'<p role="status"><a class="act" href="{link}" download>Download '
        f"{html.escape(done['target'])}</a></p><p>{html.escape(' '.join(told))}</p>"
        f'<iframe src="{_url(token, page)}" sandbox="allow-scripts" '
        f'title="Before and after, with a slider between them"></iframe>'
    )


def trust(token: str, found: Mapping[str, Any]) -> str:
    """The map of where a result contradicts the photo."""
    share = f"{found['flagged']:.1%} of the {found['answered']:.0%} that could be checked"
    text = (
        f"{share} contradict the photo: no blur of what is marked is what you uploaded. What is "
        "not marked may be right or invented; this cannot tell."
    )
    alt = f"The restored photo in grey; {share} are marked"
    image = f'<img class="map" src="{_url(token, found["map"])}" alt="{alt}">'
    return f'<p role="status">{text}</p>{image}'


def _file(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def _url(token: str, name: str) -> str:
    return f"pictures/{token}/{quote(name)}"


def _data(code: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(code).decode()}"


def _upper(text: str) -> str:
    name = "." in text.partition(" ")[0]  # of a file, which stays as it is
    return text if name else text[:1].upper() + text[1:]


def _minutes(seconds: float) -> str:
    minutes = max(round(seconds / 60), 1)
    return "an hour" if minutes == 60 else f"{minutes} minutes" if minutes > 1 else "a minute"


def _time(seconds: float) -> str:
    if seconds < 10:
        return f"{max(seconds, 0.1):.1f} seconds"
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
