"""Phase I measured: one Gaussian all over the image, undone in every way of the chapter.

The source's setting has its sigmas, the ``"valid"`` boundary and rounding to 8 bit; around it stand
sigmas drawn uniformly, noise, clipped lamps, and a blur that mirrors the border: the inverse crime
for blind Richardson-Lucy, which mirrors it as well; the others take the border for unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from ... import classical, degrade, evaluation, machine, models, psf, restoration
from ...data import ImageSet, open_images
from ...degrade import SETTINGS
from ...evaluation import Case
from ...restoration import METHODS, Method
from ...runs import Recipe, Run
from ..archive import Archive
from ..claims import judge
from ..rows import in_order, once, rounded
from ..scoring import DRAW, label_of, rows_of
from ..study import FINAL
from . import SCORING
from .claims import BLIND, NARROW, NOISY, PLAIN, S5, STOPPED, uniform_claims
from .recipes import recipes

__all__ = [
    "cases",
    "handed_to",
    "kernel_errors",
    "measure",
    "score_classical",
    "score_networks",
    "sigmas_of",
]

ARMS = ("guess", "blind-unet", "blind-unet-residual")
#: test images by profile, and of those the ones that the settings around S5's are tried on
COUNT = {"smoke": 2, "quick": 3}
AROUND = 24
ENOUGH = 3  # seeds
UNIFORM, CLIPPED, MIRRORED = "s5-gaussian-uniform", "s5-gaussian-clipped", f"{S5}, reflect"
#: what rows call it -> its method and settings: from ones; from S5's Gaussian; from the one that
#: was best, as the iterations were, on images that the trainings kept back: :mod:`.choose_uniform`
BLINDLY: dict[str, tuple[str, dict[str, Any]]] = {
    "blind-richardson-lucy": ("blind-richardson-lucy", {"size": 5, "iterations": 3}),
    BLIND: (BLIND, {"sigma": 1.0, "iterations": 3}),
    NARROW: (BLIND, {"sigma": 0.5, "iterations": 3}),
}
CLASSICAL = ("unsharp-mask", "wiener", "richardson-lucy", PLAIN)
#: pixels: of the kernel that is handed to Richardson-Lucy without a look at the image, as the
#: source of a guess that knows nothing; the best on images kept back, see :mod:`.choose_uniform`
ALWAYS, CONSTANT = "always the same kernel", 1.0
TIMES = 10  # how many times as many iterations as were chosen are too many
#: what a guessed kernel is handed to, besides the guessing network's own deconvolution
AFTER_GUESS = ("richardson-lucy", "unrolled-rl")
Kernels = Callable[[torch.Tensor], torch.Tensor]  # of y (B, C, H, W): (B, h, w)


def measure(
    archive: Archive, profile: str, seeds: Sequence[int], data: str
) -> tuple[list[dict], list[dict], ImageSet]:
    """Rows, judged claims and the test images, as :func:`deblurlib.studies.open_study` wants them.

    At `report` that takes a processor of two cores half an hour, after the trainings.
    """
    test = open_images(data, "test").first(COUNT.get(profile))
    runs = [archive.run(recipe) for recipe in wanted(profile, seeds, data)]
    new = [run for run in runs if isinstance(run, Run)]
    in_grey = {run.id for run in new if run.recipe.grey}  # they are scored in colour, as all are
    rows = archive.score([run for run in runs if run.id not in in_grey], test, **SCORING)
    rows += rounded(score_classical(test))
    rows += rounded(score_networks(new, test))
    rows = in_order(once(with_kernels(rows, new, test)))
    final = profile in FINAL and data == "imagenet" and len(seeds) >= ENOUGH
    return rows, judge(uniform_claims(rows), final), test


def wanted(profile: str, seeds: Sequence[int], data: str) -> list[Recipe]:
    """The recipes of Phase I's study, each with all seeds."""
    names = [f"06/{arm}" for arm in ARMS]
    return [r for seed in seeds for r in recipes(profile, seed, data) if r.name in names]


def classical_methods() -> list[tuple[Method, dict]]:
    """The methods without a training, with what was chosen for them, and their rows' labels."""
    listed = [(METHODS[name], {"method": name}) for name in CLASSICAL]
    for label, (name, values) in BLINDLY.items():
        listed.append((METHODS[name].with_settings(**values), {"method": label}))
    return [*listed, (always(CONSTANT), {"method": ALWAYS})]


def always(sigma: float) -> Method:
    """Accelerated Richardson-Lucy with one Gaussian for all images, whatever blurred them."""
    kernel = psf.gaussian(sigma)

    def find(y: torch.Tensor, **settings: Any) -> torch.Tensor:
        return kernel.to(y).expand(len(y), -1, -1)

    name = f"always sigma={sigma:g}"
    return replace(METHODS[PLAIN], name=name, blind=True, find_kernel=find)


def score_classical(test: ImageSet, device: torch.device | str = "auto") -> list[dict]:
    """Rows of the methods without a training, in every setting; some of these on fewer images."""
    few = test.first(AROUND)
    listed = classical_methods()
    rows = _rows(listed, test, S5, device) + _rows(listed, few, UNIFORM, device)
    iterations = METHODS[PLAIN].settings["iterations"].value
    too_many = METHODS[PLAIN].with_settings(iterations=TIMES * iterations)
    rows += _rows([*listed, (too_many, {"method": STOPPED})], few, NOISY, device)
    rows += _rows(listed, few, CLIPPED, device) + _rows(listed, few, MIRRORED, device)
    return rows


def score_networks(
    runs: Sequence[Run], test: ImageSet, device: torch.device | str = "auto"
) -> list[dict]:
    """Rows of the guess in S5's setting, of all networks around it, and of what takes a guess.

    The settings around S5's are those of the first seed; the bridge has three, on fewer images.
    """
    if not runs:
        return []
    device, few = machine.device(device), test.first(AROUND)
    seeds = sorted({run.recipe.seed for run in runs})
    first = [run for run in runs if run.recipe.seed == seeds[0]]
    listed = [(restoration.of_run(run, device), label_of(run)) for run in first]
    guesses = [run for run in runs if run.recipe.name == "06/guess"]
    own = [(restoration.of_run(run, device), label_of(run)) for run in guesses]
    rows = _rows(own, test, S5, device)
    for setting in (UNIFORM, NOISY, CLIPPED, MIRRORED):
        rows += _rows(listed, few, setting, device)
    for run in guesses:
        if run.recipe.seed not in seeds[:ENOUGH]:
            continue
        after = [(handed_to(run, name, device), label_of(run, f", {name}")) for name in AFTER_GUESS]
        rows += _rows(after, few, S5, device)
    return rows


def handed_to(run: Run, name: str, device: torch.device | str = "cpu") -> Method:
    """The method that hands the kernel which a run of ``06/guess`` finds to another method."""
    model = cast(models.KernelNet, run.model().to(machine.device(device)))
    other = restoration.find_method(name, device)
    return replace(other, blind=True, find_kernel=lambda y, **settings: model.kernel(y.float()))


def cases(test: ImageSet, setting: str) -> Iterable[Case]:
    """The test images in a setting; ``", reflect"`` after its name mirrors them at the border."""
    name, _, boundary = setting.partition(", ")
    return evaluation.cases_of_images(test, name, DRAW, boundary=boundary or "valid")


def _rows(
    listed: Sequence[tuple[Method, Mapping]],
    test: ImageSet,
    setting: str,
    device: torch.device | str,
) -> list[dict]:
    common = {"data": test.name, "channels": "rgb", "degradation": setting, "draw": DRAW}
    return rows_of(listed, cases(test, setting), common, device, **SCORING)


def with_kernels(rows: Sequence[Mapping], runs: Sequence[Run], test: ImageSet) -> list[dict]:
    """The rows with each image's ``sigma`` and, of S5's setting, the guessed kernel's error.

    The identity's kernel is a single point. Rows that have these already keep them.
    """
    sigmas = {setting: sigmas_of(test, setting) for setting in {row["degradation"] for row in rows}}
    errors = kernel_errors(runs, test)
    found = []
    for row in rows:
        more = {"sigma": sigmas[row["degradation"]][row["image"]]}
        place = row["method"], row.get("run"), row["image"]
        if row["degradation"] == S5 and place in errors:
            more["kernel_error"] = errors[place]
        found.append(rounded([{**more, **row}])[0])
    return found


def sigmas_of(test: ImageSet, setting: str) -> dict[str, float]:
    """The sigma that each image is blurred with, pixels, by its name."""
    draw = SETTINGS[setting.partition(", ")[0]]
    drawn = [draw(degrade.generator(DRAW, key)).parameters["sigma"] for key in test.keys]
    return dict(zip(test.names, drawn, strict=True))


def kernel_errors(runs: Sequence[Run], test: ImageSet) -> dict[tuple, float]:
    """The error of each guessed kernel in S5's setting, by method, run and image."""
    point = torch.ones(1, 1, 1)
    finders: dict[tuple, Kernels] = {("identity", None): lambda y: point}
    finders[ALWAYS, None] = lambda y: psf.gaussian(CONSTANT)[None]
    for label, (name, values) in BLINDLY.items():
        finders[label, None] = blind_kernel(name, **values)
    for run in runs:
        if run.recipe.name == "06/guess":
            finders[run.recipe.name, run.id] = cast(models.KernelNet, run.model().eval()).kernel
    errors = {}
    for case in cases(test, S5):
        for which, find in finders.items():
            if case.kernel is not None:
                error = psf.distance(find(case.y), case.kernel[None])
                errors[*which, case.image] = error.item()
    return errors


def blind_kernel(name: str, iterations: int, size: int = 0, sigma: float = 1.0) -> Kernels:
    """The kernel that a blind Richardson-Lucy ends with, of the settings of its method."""
    start = psf.gaussian(sigma) if name == BLIND else torch.ones(size, size)
    return lambda y: classical.blind_richardson_lucy(y, start, iterations)[1]
