"""What ships of a run of ``06/kernelnet``: its scores by width of blur, and its two cards.

:mod:`deblurlib.studies.classical.ship` is the command.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import cast

import torch

from ... import images, machine, metrics, models, psf
from ...data import ImageSet, batches
from ...degrade import SETTINGS, Pair
from ...files import write_whole
from ...restoration.lookup import KERNELNET
from ...runs import Run
from .recipes import GUESSING

SETTING = "s5-gaussian-uniform"
BINS = (0, 1, 2, 4, 6, 8, 10)  # pixels: bounds of the sigmas that are scored together
DRAWS = 4  # blurs of each image
DESCRIBES = "a small network guesses a Gaussian kernel; Richardson-Lucy undoes it"
ERRORS, PSNRS = ("sigma_error", "kernel_error"), ("identity_psnr", "psnr", "known_psnr")

TERMS = {
    "bsds500": """Berkeley Segmentation Data Set; P. Arbelaez and others, "Contour Detection and
  Hierarchical Image Segmentation", TPAMI 2011. Non-commercial research and education.""",
    "sample": "the photographs that come with the library; its data/README.md has their terms.",
}
LICENCE = """Licence of the weights in this folder (model.safetensors)

For research and education.

You may use, copy, change and pass on these weights for non-commercial research and for teaching, if
this text goes with them. They come without any warranty. The MIT licence of the project covers its
code, not these weights: they were learnt from the pictures below, and the terms of these go on.

Sharp photographs
- {data} (train): {terms}
"""
README = """# {name}

A small network that guesses how wide the Gaussian was that blurred an image, and accelerated Richardson-Lucy, which undoes it: S5's "CNN + RL". `{name}` takes one kernel for the whole image; `{name}-stitched` guesses one for each patch of 128 pixels.

## Scores

Grey photographs of `{scored}` ({split}, fingerprint `{fingerprint}`), each blurred {draws} times by `{setting}` and rounded to 8 bit, seeds 0 to {last}. By the sigma that blurred, in pixels: *off*, the mean absolute error of the guess, pixels; *kernel*, the squared error of the kernel, relative to its energy, after the best shift by whole pixels; PSNR in dB, borders included, of the blurred image (*identity*), of this method, and of the same deconvolution with the kernel that blurred (*known*); the means leave out images that the blur did not change after rounding, or that came back exactly.

| sigma | n | off | kernel | identity | {name} | known |
| :--- | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}

```bash
python -m deblurlib.studies.classical.ship RUN {scored}=PATH
```

writes these numbers with the weights.

## Network and training

`KernelNet({arguments})`: {parameters:,} parameters; three convolutions, of whose responses the mean over the image is taken, and three dense layers. S5 gives no sizes; they are ours.

Recipe `06/kernelnet`: {steps:,} steps of {batch} grey crops of {crop} x {crop} pixels, sigma uniform in [0, 10] in a window of 61 pixels, rounded to 8 bit; the squared difference of log(sigma + 0.3). Device: {device}; {minutes:.1f} minutes. Seed {seed}. The command, after `make install` and `source .venv/bin/activate`:

```bash
deblur train 06/kernelnet --profile {profile} --data {data}=PATH
```

## Data

`{data}`, train, fingerprint `{trained_on}`; a tenth was kept back to validate on. The weights are for research and education; `LICENSE`, beside them, has the terms.

## Limits

- The blur must be a Gaussian, alike in all directions and all over the image (or the patch): of a motion or a lens out of focus it makes a Gaussian all the same.
- Noise, JPEG and sharpening were in no image that it learnt from. What they add is detail, and detail is taken for little blur.
- An image without detail says nothing of its blur. What is guessed to be blurred by less than 0.3 pixels is left as it is, and so is an image smaller than {least} x {least} pixels.
- Where a kernel is guessed too wide, Richardson-Lucy rings.
- Patch by patch it undoes a blur of which each *pixel of the result* has its kernel; out of focus is the point that sends light, which differs where the depth jumps.
"""  # noqa: E501


def ship(run: Run, test: ImageSet, folder: Path | None = None, draws: int = DRAWS) -> dict:
    """Write the weights, ``card.json``, ``README.md`` and ``LICENSE``; return the card.

    Args:
        run: a complete run of ``06/kernelnet``.
        test: photographs that it is scored on, made grey.
        folder: where to write; by default where the method ``kernelnet-rl`` is looked for.
        draws: blurs of each photograph.
    """
    model, origin = cast(models.KernelNet, run.model().eval()), run.origin
    scores = by_width([score(model, pair) for pair in pairs(test, draws)])
    scored_on = {"name": test.name, "split": test.split, "fingerprint": test.fingerprint}
    data = origin["made_with"]["data"]["name"]
    card = origin | {
        "describes": DESCRIBES,
        "contaminated": [],  # of its sets, it has seen the train parts alone
        "tiled_psnr": None,  # each tile has a guess of its own
        "parameters": models.parameter_count(model),
        "licence": "research and education; see LICENSE",
        "scored_on": scored_on | {"degradation": SETTING, "draws": draws},
        "scores": scores,
    }
    texts = {"README.md": card_text(card, model), "LICENSE": licence(data)}
    folder = folder or models.WEIGHTS / KERNELNET
    card = models.write_shipped(model, card, folder)
    for name, text in texts.items():
        write_whole(folder / name, text)
    return card


def pairs(test: ImageSet, draws: int = DRAWS) -> Iterator[Pair]:
    """What is scored: each image, blurred so many times."""
    for draw in range(draws):
        yield from batches.evaluation_pairs(test, SETTINGS[SETTING], draw, grey=1)


@torch.inference_mode()
@machine.tf32(False)
def score(model: models.KernelNet, pair: Pair) -> dict[str, float]:
    """A guess beside the truth, and what is restored with either; of a pair of one image."""
    k_hat, k = model.kernel(pair.y), pair.kernels
    psnrs = [
        metrics.psnr(images.quantise(z), pair.x).item()
        for z in (pair.y, model.deconvolve(pair.y, k_hat), model.deconvolve(pair.y, k))
    ]
    return {
        "sigma": pair.parameters[0]["sigma"],
        "sigma_error": (psf.deviation(k_hat) - psf.deviation(k)).abs().item(),
        "kernel_error": psf.distance(k_hat, k).item(),
        **dict(zip(PSNRS, psnrs, strict=True)),
    }


def by_width(rows: Sequence[dict[str, float]]) -> list[dict]:
    """The means of the scores whose sigmas lie within the same of :data:`BINS`, and how many.

    Rounding may leave nothing of a narrow blur: means of PSNR leave out the images of which one is
    infinite (``perfect`` says how many); ``None`` if none is left.
    """
    found = []
    for low, high in pairwise(BINS):
        inside = [row for row in rows if low <= row["sigma"] < high]
        if inside:
            finite = [row for row in inside if all(math.isfinite(row[name]) for name in PSNRS)]
            counts = {"n": len(inside), "perfect": len(inside) - len(finite)}
            means = {name: _mean(inside, name) for name in ERRORS}
            means |= {name: _mean(finite, name) for name in PSNRS}
            found.append({"sigma": [low, high], **counts, **means})
    return found


def _mean(rows: Sequence[dict[str, float]], name: str) -> float | None:
    return sum(row[name] for row in rows) / len(rows) if rows else None


def card_text(card: dict, model: models.KernelNet) -> str:
    """The card for readers, of the card for the code."""
    recipe, made, scored = card["recipe"], card["made_with"], card["scored_on"]
    rows = (
        f"| {one['sigma'][0]} to {one['sigma'][1]} | {one['n']} | {one['sigma_error']:.2f} "
        f"| {one['kernel_error']:.3f} | {' | '.join(_decibels(one[name]) for name in PSNRS)} |"
        for one in card["scores"]
    )
    return README.format(
        name=KERNELNET,
        **{key: recipe[key] for key in ("steps", "batch", "crop", "seed")},
        **{key: scored[key] for key in ("split", "fingerprint", "draws")},
        scored=scored["name"],
        last=scored["draws"] - 1,
        setting=SETTING,
        profile=next((p for p, s in GUESSING.items() if s["steps"] == recipe["steps"]), "report"),
        rows="\n".join(rows),
        arguments=", ".join(f"{k}={v}" for k, v in recipe["model_args"].items()),
        parameters=card["parameters"],
        device=made["device"],
        minutes=card["training"]["seconds"] / 60,
        data=made["data"]["name"],
        trained_on=made["data"]["fingerprint"],
        least=model.least,
    )


def _decibels(psnr: float | None) -> str:
    return "" if psnr is None else f"{psnr:.2f}"


def licence(data: str) -> str:
    """The licence of weights that were learnt from the train part of a set."""
    return LICENCE.format(data=data, terms=TERMS.get(data, "see where it comes from."))
