"""Explorers: sliders that answer a question, live in JupyterLab, as a flip book on a page.

An explorer is one output with three faces. JupyterLab shows live ipywidgets. A rendered page, where
no kernel runs, shows a few positions drawn beforehand, and a slider through them that works
without any network. Where not even scripts run, a strip shows the positions side by side.
"""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Callable, Mapping, Sequence

import cv2
import ipywidgets
import torch
from IPython.display import display
from matplotlib.figure import Figure

from . import images, plots

Panels = tuple[Mapping[str, torch.Tensor], str]
HEIGHT = 256  # pixels; smaller panels are enlarged by whole numbers
STRIP = 7  # positions at most, side by side


def explorer(
    draw: Callable[..., Panels],
    controls: Mapping[str, ipywidgets.ValueWidget],
    positions: Sequence[Mapping[str, object]],
    question: str,
    alt: str,
) -> None:
    """Show panels that follow some controls; each control can be moved with the keyboard.

    Args:
        draw: called with the controls' values by name; returns panels, caption -> image
            ``(C, H, W)`` in [0, 1], and a line of text for below them.
        controls: name -> ipywidgets slider, drop-down or the like.
        positions: for the rendered page: the control values to draw beforehand, in order.
        question: what the reader should find out by moving them.
        alt: what the strip shows, for a reader who cannot see it.
    """
    drawn = [(_label(position), *draw(**position)) for position in positions]
    bundle = dict(_live(draw, controls, question)._repr_mimebundle_())
    bundle["text/plain"] = f"[explorer: {question}]"
    bundle["text/html"] = _flip_book(drawn, question)
    bundle["image/png"] = base64.b64encode(plots.png(_strip(drawn))).decode()
    metadata = {"deblurlib": {"artefact": "explorer"}, "image/png": {"alt": alt}}
    display(bundle, raw=True, metadata=metadata)


def _live(
    draw: Callable[..., Panels], controls: Mapping[str, ipywidgets.ValueWidget], question: str
) -> ipywidgets.VBox:
    row, line = ipywidgets.HBox(layout={"flex_flow": "row wrap"}), ipywidgets.HTML()  # HTML wraps
    pictures: dict[str, ipywidgets.Image] = {}

    def update(_change: object = None) -> None:
        panels, text = draw(**{name: control.value for name, control in controls.items()})
        if list(panels) != list(pictures):
            pictures.clear()
            pictures.update({c: ipywidgets.Image(format="png") for c in panels})
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
    return cv2.imencode(suffix, array[..., ::-1])[1].tobytes()


def _label(position: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in position.items())


def _strip(drawn: Sequence[tuple[str, Mapping[str, torch.Tensor], str]]) -> Figure:
    """Evenly chosen positions as columns, their panels as rows, their text below."""
    step = math.ceil(len(drawn) / STRIP)
    columns = drawn[::step]
    captions = list(columns[0][1])
    lines = len(columns[0][0].split(", "))
    height = len(captions) * (plots.WIDTH / len(columns) + 0.1) + 0.15 * lines + 0.3  # of all rows
    fig, axes = plots.figure(len(captions), len(columns), height / len(captions))
    for column, (label, panels, text) in enumerate(columns):
        for row, caption in enumerate(captions):
            title = label.replace(", ", "\n") if row == 0 else ""
            plots.picture(axes[row, column], panels[caption])
            axes[row, column].set_title(title, size=8)
        axes[-1, column].text(
            0.5,
            -0.05,
            text.replace(", ", "\n"),
            ha="center",
            va="top",
            size=7,
            transform=axes[-1, column].transAxes,
        )
    for ax, caption in zip(axes[:, 0], captions, strict=True):
        ax.text(-0.08, 0.5, caption, rotation=90, ha="right", va="center", transform=ax.transAxes)
    return fig


def _flip_book(drawn: Sequence[tuple[str, Mapping[str, torch.Tensor], str]], question: str) -> str:
    """Self-contained HTML: the positions' pictures, a range input, and what to do when it moves."""
    frames = []
    for label, panels, text in drawn:
        sources = [
            "data:image/jpeg;base64," + base64.b64encode(_encode(x, ".jpg")).decode()
            for x in panels.values()
        ]
        frames.append({"label": label, "text": text, "captions": list(panels), "sources": sources})
    first = frames[0]
    panels = "".join(
        f'<figure style="margin:0 8px 8px 0;padding:0;max-width:{HEIGHT}px">'
        f'<img src="{source}" alt="{html.escape(caption + ", " + first["label"])}" '
        f'style="width:100%"><figcaption>{html.escape(caption)}</figcaption></figure>'
        for caption, source in zip(first["captions"], first["sources"], strict=True)
    )
    return _PAGE.format(
        question=html.escape(question),
        last=len(frames) - 1,
        label=html.escape(first["label"]),
        panels=panels,
        text=html.escape(first["text"]),
        frames=json.dumps(frames).replace("</", "<\\/"),
    )


_PAGE = """<div class="deblurlib-explorer"><p><strong>{question}</strong></p>
<label>Position <input type="range" min="0" max="{last}" value="0" step="1"
 style="width:min(24em,90%)"> <output>{label}</output></label>
<p class="line">{text}</p>
<div class="panels" style="display:flex;flex-wrap:wrap">{panels}</div>
<script type="application/json">{frames}</script>
<script>(function () {{
  const root = document.currentScript.parentElement;
  const frames = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
  root.querySelector("input").addEventListener("input", function (event) {{
    const frame = frames[event.target.value];
    root.querySelector("output").textContent = frame.label;
    root.querySelector(".line").textContent = frame.text;
    root.querySelectorAll("figure").forEach(function (figure, i) {{
      figure.querySelector("img").src = frame.sources[i];
      figure.querySelector("img").alt = frame.captions[i] + ", " + frame.label;
      figure.querySelector("figcaption").textContent = frame.captions[i];
    }});
  }});
}})();</script></div>"""
