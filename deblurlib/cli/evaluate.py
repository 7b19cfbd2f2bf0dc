"""``deblur evaluate``: a method's scores beside those of doing nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Annotated

import typer
from rich.table import Table

from .. import names
from ..errors import InputError, require
from ..places import register
from ..progress import counted
from .command import (
    STDOUT,
    TRAINING,
    Device,
    Seed,
    Settings,
    app,
    check_json,
    check_method,
    choose_device,
    parse_settings,
    propose_data,
    propose_methods,
    propose_protocols,
    propose_settings,
    show,
)


@app.command(rich_help_panel=TRAINING)
def evaluate(
    method: Annotated[
        str,
        typer.Option(help="A method's name: see deblur methods.", autocompletion=propose_methods),
    ],
    pairs: Annotated[
        str | None,
        typer.Option(
            help="Score on pairs: a folder with blur/ and sharp/, or a name.",
            autocompletion=propose_data,
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            help="Score on these sharp images, with --degradation.", autocompletion=propose_data
        ),
    ] = None,
    degradation: Annotated[
        str | None,
        typer.Option(
            help="How they are blurred: a setting, such as s1-motion.",
            autocompletion=propose_settings,
        ),
    ] = None,
    seed: Seed = 0,
    split: Annotated[
        str | None, typer.Option(help="train or test; by default test, or all where there is none.")
    ] = None,
    settings: Settings = None,
    ssim: Annotated[
        str, typer.Option(help="The SSIM's protocol.", autocompletion=propose_protocols)
    ] = "gaussian-rgb",
    align: Annotated[
        int,
        typer.Option(
            help="Score after the best shift of up to so many pixels, with as many left out along "
            "each side: for methods that find the kernel."
        ),
    ] = 0,
    device: Device = "auto",
    json_file: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write all scores there, each image's too; -: to stdout, and nothing else there.",
        ),
    ] = None,
) -> None:
    """Score a method beside the identity, on pairs or on images that are blurred for it."""
    if (pairs is None) == (images is None) or (images is None) != (degradation is None):
        raise InputError("give either --pairs DIR or --images DIR with --degradation NAME")
    require(align >= 0, f"--align needs 0 pixels or more, not {align}")
    check_method(method)
    check_json(json_file)
    tables = (
        (degradation, names.SettingName, "degradation"),
        (ssim, names.Protocol, "SSIM protocol"),
    )
    for given, kind, what in tables:
        if given is not None and given not in names.known(kind):
            raise names.unknown_name(what, given, names.known(kind))
    source, values = register(pairs or images), parse_settings(settings)
    from .. import evaluation, machine, restoration
    from ..data import open_images, open_pairs
    from ..files import write_whole

    on = choose_device(device)
    chosen = restoration.find_method(method, on).with_settings(**values)
    if pairs is not None:
        scored = _open(open_pairs, source, split)
        cases, degradation, drawn = evaluation.cases_of_pairs(scored), "recorded", None
    else:
        scored = _open(open_images, source, split)
        cases, drawn = evaluation.cases_of_images(scored, degradation, seed), seed
    cases = counted(cases, "scoring", len(scored))
    rows = evaluation.evaluate([chosen], cases, (ssim,), on, align=align)
    line = evaluation.summary(rows, ssim)[-1]
    results = line | {"run": chosen.run.id if chosen.run else None}
    results |= {"settings": {name: s.value for name, s in chosen.settings.items()}}
    results |= {"data": scored.name, "split": scored.split, "fingerprint": scored.fingerprint}
    results |= {"contaminated": chosen.has_seen(scored.name)}
    results |= {
        "degradation": degradation,
        "seed": drawn,
        "align": align,
        "versions": machine.versions(),
    }
    results |= {"device": machine.device_name(on), "images": _by_image(rows, ssim)}
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    if json_file == STDOUT:
        print(text, end="")
        return
    if json_file is not None:
        write_whole(json_file, text)
    _print(results, chosen)


def _open(opened: Callable, source: str, split: str | None):
    """Open a set's split; by default its test part, or all of a set that is not split."""
    from ..data import splits

    if split is None:
        parts = splits(source)
        if parts == {"train"}:
            raise InputError(
                f"{source}: has train/ but no test/; --split train scores on what is for training"
            )
        split = "test" if parts else None
    return opened(source, split)


def _by_image(rows: list[dict], protocol: str) -> list[dict]:
    """One entry an image: the method's scores, and the identity's beside them."""
    # the identity alone may have been evaluated
    method_rows = [r for r in rows if r["method"] != "identity"] or rows
    identity = {r["image"]: r for r in rows if r["method"] == "identity"}
    return [
        {
            "image": r["image"],
            "scene": r["scene"],
            "psnr": _finite(r["psnr"]),
            "ssim": _finite(r[f"ssim_{protocol}"]),
            "identity_psnr": _finite(identity[r["image"]]["psnr"]),
            "identity_ssim": _finite(identity[r["image"]][f"ssim_{protocol}"]),
            "seconds": r["seconds"],
        }
        for r in method_rows
    ]


def _finite(value: float | None) -> float | None:
    """The value, or ``None`` if it is infinite, as of a perfect image: JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _left_out(results: dict) -> str:
    """A sentence on the images that the mean PSNR leaves out, because a score is infinite."""
    text = f"the identity is perfect on {results['identity_perfect']} of {results['n']} images"
    if results["method"] != "identity":
        text += f", {results['method']} on {results['perfect']}"
    return f"{text}; these are left out of the mean PSNR"


def _print(results: dict, method) -> None:
    from .. import runs

    table = Table()
    for column in (
        "method",
        "n",
        "PSNR",
        f"SSIM {results['ssim_protocol']}",
        "win rate",
        "s/image",
    ):
        table.add_column(column, justify="left" if column == "method" else "right")

    def text(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    n = str(results["n"])
    identity_scores = (text(results["identity_psnr"]), text(results["identity_ssim"]))
    table.add_row("identity", n, *identity_scores, "", "")
    if results["method"] != "identity":
        scores = (text(results["psnr"]), text(results["ssim"]))
        share = f"{results['win_rate']:.0%}"
        table.add_row(results["method"], n, *scores, share, f"{results['seconds']:.3g}")
    show(table)
    if results["perfect"] or results["identity_perfect"]:
        print(_left_out(results))
    standing = "same code" if method.run is None else runs.standing(method.run)
    if standing.startswith("other"):
        print(f"run {method.run.id} was made with {standing}: deblur train says if it still stands")
    if results["contaminated"]:
        print(f"{method.name} was trained on such images of {results['data']}: this is no test")
    if results["align"]:
        print(f"after the best shift of up to {results['align']} pixels; as many left out at edges")
    part = f", {results['split'] or 'all'}"
    seed = "" if results["seed"] is None else f", seed {results['seed']}"
    print(f"{results['data']}{part}; {results['degradation']}{seed}; on {results['device']}")
