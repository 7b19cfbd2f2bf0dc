"""What an edge map costs a DeblurNet: steps of training, and restorations, with and without one."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from deblurlib import models

from . import timing

TITLE = "Edge maps"
ABOUT = (
    "DeblurNet as in chapter 03, {plain} parameters, on colour pictures of 32 x 32 pixels: a step "
    "of training on 8 (forward, backward, Adam), {trained} pictures a second, and the restoration "
    "of 64, {restored} pictures a second; with zeros as fourth channel (`deblurlib`), and with "
    "Canny's edges, with those of an EdgeNet that stays as it is, and with an EdgeNet that is "
    "trained, too, {both} parameters together. The values differ, of course: the ratio is what the "
    "edges cost."
)
PACKAGES = ("opencv-python-headless",)
SIDE = 32
CHANNELS = {
    timing.OURS: {"fourth": "zero"},
    "Canny": {"fourth": "sharp"},
    "EdgeNet": {"fourth": "predicted", "edges": {}},
    "EdgeNet, trained": {"fourth": "predicted", "edges": {}},
}


def run(rounds: int, quick: bool) -> tuple[str, list[dict]]:
    """Time a step and a restoration; ``quick``: fewer pictures.

    Returns:
        what is compared, in words, and the cases' results.
    """
    seconds = 0 if quick else timing.SECONDS
    networks = {name: models.build("deblurnet", given, 0) for name, given in CHANNELS.items()}
    networks["EdgeNet"].edges.requires_grad_(False)
    sizes = {"training": 2 if quick else 8, "restoration": 4 if quick else 64}
    cases = []
    for name, count in sizes.items():
        x = torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
        make = _step if name == "training" else _restoration
        contenders = {who: make(network, x) for who, network in networks.items()}
        cases.append(timing.run_case(name, contenders, _shape, rounds, seconds))
    about = ABOUT.format(
        plain=f"{models.parameter_count(networks[timing.OURS]):,}",
        both=f"{models.parameter_count(networks['EdgeNet, trained']):,}",
        trained=round(1000 * sizes["training"] / cases[0]["ours_ms"]),
        restored=round(1000 * sizes["restoration"] / cases[1]["ours_ms"]),
    )
    return about, cases


def _step(network: torch.nn.Module, x: torch.Tensor):
    learning = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(learning, lr=1e-4)

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        x_hat = network(x, x)
        F.mse_loss(x_hat, x).backward()
        optimiser.step()
        return x_hat

    return step


def _restoration(network: torch.nn.Module, x: torch.Tensor):
    def restore() -> torch.Tensor:
        with torch.inference_mode():
            return network(x, x)

    return restore


def _shape(x_hat: torch.Tensor) -> torch.Tensor:
    """All that the contenders have in common."""
    return torch.tensor(x_hat.shape)
