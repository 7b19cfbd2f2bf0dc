"""Explorers: controls that answer a question, live in JupyterLab, as a flip book on a page.

An explorer is one output with three faces. JupyterLab shows live ipywidgets. A rendered page, where
no kernel runs, shows a few positions drawn beforehand, and a slider or buttons that go through them
without any network. Where not even scripts run, a strip shows some positions side by side.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import ipywidgets
import torch
from IPython.display import display
from matplotlib.figure import Figure

from . import images, plots

__all__ = ["explorer"]

Panels = tuple[Mapping[str, torch.Tensor], str]
HEIGHT = 256  # pixels; smaller panels are enlarged by whole numbers
STRIP = 4  # positions at most, side by side, so that they are seen
QUALITY = 85  # of a flip book's JPEGs
PRESSED = "rgba(127,127,127,.35)"  # a button, on a light page as on a dark one


@dataclass(frozen=True)
class Frame:
    """One position, drawn."""

    name: str
    panels: Mapping[str, torch.Tensor]  # caption -> image
    text: str


def explorer(
    draw: Callable[..., Panels],
    controls: Mapping[str, ipywidgets.ValueWidget],
    positions: Sequence[Mapping[str, object]] | Mapping[str, Mapping[str, object]],
    question: str,
    alt: str,
    label: str = "",
) -> None:
    """Show panels that follow some controls; each control can be moved with the keyboard.

    Args:
        draw: called with the controls' values by name; returns panels, caption -> image
            ``(C, H, W)`` in [0, 1], and a line of text for below them. A panel that is always the
            same, such as the sharp image, stays where it is.
        controls: name -> ipywidgets slider, drop-down or the like.
        positions: for the rendered page: the control values to draw beforehand, in order; or
            name -> these. By default a position's name says the values that are not always the
            same. If that is one control's, the page has a slider, otherwise buttons.
        question: what the reader should find out by moving them.
        alt: what the strip shows, for a reader who cannot see it.
        label: what the page's slider or buttons change, in words; by default the name of the
            control that is not always the same.
    """
    names, varying = _names(positions)
    places = list(positions.values()) if isinstance(positions, Mapping) else positions
    frames = [Frame(name, *draw(**place)) for name, place in zip(names, places, strict=True)]
    label = label or (varying[0] if len(varying) == 1 else "")
    bundle = dict(_live(draw, controls, question)._repr_mimebundle_())
    bundle["text/plain"] = f"[explorer: {question}]"
    bundle["text/html"] = _flip_book(frames, question, label, slider=len(varying) == 1)
    strip = _strip(frames, label)
    bundle["image/png"] = base64.b64encode(plots.png(strip)).decode()
    metadata = {"deblurlib": {"artefact": "explorer"}, "image/png": plots.described(strip, alt)}
    display(bundle, raw=True, metadata=metadata)


def _names(
    positions: Sequence[Mapping[str, object]] | Mapping[str, Mapping[str, object]],
) -> tuple[list[str], list[str]]:
    """What the positions are called, and the controls whose values are not always the same."""
    named = list(positions) if isinstance(positions, Mapping) else None
    places = list(positions.values() if isinstance(positions, Mapping) else positions)
    varying = [name for name in places[0] if any(p[name] != places[0][name] for p in places)]
    if named is not None:
        return named, varying
    if len(varying) == 1:
        return [str(place[varying[0]]) for place in places], varying
    shown = varying or list(places[0])
    return [", ".join(f"{name} {place[name]}" for name in shown) for place in places], varying


def _columns(n: int) -> str:
    """CSS of a grid for ``n`` panels: two or three in a row, on a phone one below the other."""
    most = 2 if n in (2, 4) else min(n, 3)
    least = f"max(min(12em, 100%), (100% - {most - 1} * 8px) / {most})"
    return f"repeat(auto-fit, minmax({least}, 1fr))"


def _live(
    draw: Callable[..., Panels], controls: Mapping[str, ipywidgets.ValueWidget], question: str
) -> ipywidgets.VBox:
    row, line = ipywidgets.GridBox(), ipywidgets.HTML()  # HTML wraps
    pictures: dict[str, ipywidgets.Image] = {}

    def update(_change: object = None) -> None:
        panels, text = draw(**{name: control.value for name, control in controls.items()})
        if list(panels) != list(pictures):
            pictures.clear()
            pictures.update({c: ipywidgets.Image(format="png") for c in panels})
            row.layout = {"grid_template_columns": _columns(len(panels)), "grid_gap": "8px"}
            row.children = [
                ipywidgets.VBox([ipywidgets.Label(c), picture]) for c, picture in pictures.items()
            ]
        for caption, x in panels.items():
            pictures[caption].value = _encode(x, ".png")
        line.value = html.escape(text)

    for name, control in controls.items():
        control.description = control.description or name
        control.observe(update, names="value")
    update()
    asked = ipywidgets.HTML(f"<strong>{html.escape(question)}</strong>")
    return ipywidgets.VBox([asked, *controls.values(), line, row])


def _encode(x: torch.Tensor, suffix: str) -> bytes:
    array = images.to_array(x.unsqueeze(0) if x.ndim == 2 else x)
    factor = max(HEIGHT // array.shape[0], 1)
    if factor > 1:
        array = array.repeat(factor, 0).repeat(factor, 1)
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if suffix == ".jpg" else []
    return cv2.imencode(suffix, array[..., ::-1], options)[1].tobytes()


def _said(frame: Frame, label: str) -> str:
    return f"{label}: {frame.name}" if label else frame.name


def _strip(frames: Sequence[Frame], label: str) -> Figure:
    """Evenly chosen positions as columns, their panels as rows; above each, its name and text."""
    count = min(STRIP, len(frames))
    columns = [frames[i * (len(frames) - 1) // max(count - 1, 1)] for i in range(count)]
    captions = list(columns[0].panels)
    fig, axes = plots.figure(len(captions), len(columns))
    for column, frame in enumerate(columns):
        for row, caption in enumerate(captions):
            head = f"{_said(frame, label)}\n{frame.text}\n" if row == 0 else ""
            plots.picture(axes[row, column], frame.panels[caption], head + caption)
    return fig


def _flip_book(frames: Sequence[Frame], question: str, label: str, slider: bool) -> str:
    """Self-contained HTML: the positions' pictures, what to move, and what it does."""
    pictures: dict[str, int] = {}  # each once, though a sharp image is in every frame
    books = []
    for frame in frames:
        encoded = [base64.b64encode(_encode(x, ".jpg")).decode() for x in frame.panels.values()]
        numbers = [pictures.setdefault(text, len(pictures)) for text in encoded]
        about: dict[str, Any] = {"name": frame.name, "said": _said(frame, label)}
        about |= {"text": frame.text, "captions": list(frame.panels)}
        books.append(about | {"pictures": numbers})
    first, sources = books[0], list(pictures)
    panels = "".join(
        f'<figure style="margin:0;max-width:{1.5 * HEIGHT:.0f}px">'
        f'<img data-n="{n}" src="data:image/jpeg;base64,{sources[n]}" style="width:100%" '
        f'alt="{html.escape(caption + ", " + first["said"])}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for caption, n in zip(first["captions"], first["pictures"], strict=True)
    )
    # what the page shows at first is in it already
    later = [None if i in first["pictures"] else text for i, text in enumerate(sources)]
    data = {"frames": books, "pictures": later}
    return _PAGE.format(
        question=html.escape(question),
        control=_slider(frames, label) if slider else _buttons(frames, label),
        columns=_columns(len(first["captions"])),
        panels=panels,
        text=html.escape(first["text"]),
        pressed=PRESSED,
        data=json.dumps(data).replace("</", "<\\/"),
    )


def _slider(frames: Sequence[Frame], label: str) -> str:
    return (
        f'<label>{html.escape(label)} <input type="range" min="0" max="{len(frames) - 1}" '
        'value="0" step="1" style="width:min(20em,70%);vertical-align:middle"> '
        f"<output><strong>{html.escape(frames[0].name)}</strong></output></label>"
    )


def _buttons(frames: Sequence[Frame], label: str) -> str:
    look = "margin:0 6px 6px 0;padding:4px 10px;border:1px solid;border-radius:6px;color:inherit"
    buttons = "".join(
        f'<button type="button" aria-pressed="{"false" if i else "true"}" style="{look};'
        f'background:{"none" if i else PRESSED}">{html.escape(frame.name)}</button>'
        for i, frame in enumerate(frames)
    )
    said = html.escape(label)
    return f'<div role="group" aria-label="{said}">{said}{": " if label else ""}{buttons}</div>'


_PAGE = """<div class="deblurlib-explorer"><p><strong>{question}</strong></p>
{control}
<p class="line" aria-live="polite">{text}</p>
<div class="panels" style="display:grid;gap:8px;grid-template-columns:{columns}">{panels}</div>
<script type="application/json">{data}</script>
<script>(function () {{
  const root = document.currentScript.parentElement;
  const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
  const sources = data.pictures.map((text) => "data:image/jpeg;base64," + text);
  const images = root.querySelectorAll("img"), buttons = root.querySelectorAll("button");
  images.forEach((image) => {{ sources[image.dataset.n] = image.src; }});
  function show(number) {{
    const frame = data.frames[number];
    root.querySelector(".line").textContent = frame.text;
    images.forEach(function (image, i) {{
      image.src = sources[frame.pictures[i]];
      image.alt = frame.captions[i] + ", " + frame.said;
      image.nextElementSibling.textContent = frame.captions[i];
    }});
    buttons.forEach(function (button, i) {{
      button.setAttribute("aria-pressed", i === number);
      button.style.background = i === number ? "{pressed}" : "none";
    }});
  }}
  buttons.forEach((button, i) => button.addEventListener("click", () => show(i)));
  const slider = root.querySelector("input");
  if (slider) slider.addEventListener("input", function () {{
    show(Number(slider.value));
    const name = data.frames[slider.value].name;
    root.querySelector("output strong").textContent = name;
    slider.setAttribute("aria-valuetext", name);
  }});
}})();</script></div>"""
