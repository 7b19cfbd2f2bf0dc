"""
How do I train my own network?
==============================

Any ``torch.nn.Module`` from images to images goes into the course's loop,
:func:`deblurlib.training.fit`, as a :class:`deblurlib.training.Player` with
a loss and an optimiser. To be scored beside others it becomes a
:class:`deblurlib.restoration.Method`, a function of the blurred image.
"""

from pathlib import Path

import torch

from deblurlib import degrade, evaluation, losses, models, plots, training
from deblurlib.data import batches, open_images
from deblurlib.restoration import Method

held = batches.hold(open_images("sample", "train"))  # four photographs
fabric = training.start_fabric()  # a GPU, if there is one
blur = degrade.SETTINGS["s1-gaussian"]  # its sigma is 3 pixels


def batch_of(turn):
    return batches.training_batch(
        held, blur, turn, batch=8, crop=48, seed=0, device=fabric.device
    )


# %%
# The network: three layers that add to the blurred image what it lacks. One
# of :data:`deblurlib.models.MODELS` that takes colour would do, too, such
# as ``unet``; :func:`deblurlib.restoration.of_model` pads images for it.


class Residual(torch.nn.Module):
    def __init__(self, width=16):
        super().__init__()
        conv, relu = torch.nn.Conv2d, torch.nn.ReLU()
        first = conv(3, width, 5, padding=2)
        second = conv(width, width, 5, padding=2)
        last = conv(width, 3, 5, padding=2)
        self.layers = torch.nn.Sequential(first, relu, second, relu, last)

    def forward(self, y):
        return y + 0.1 * self.layers(y)


torch.manual_seed(0)
model = Residual()
print(f"{models.parameter_count(model):,} parameters")
objective = training.supervised(losses.OBJECTIVES["mse"])
player = training.Player(model, objective, {"name": "adam", "lr": 2e-3})
players = {"model": player}
for state in training.fit(players, batch_of, 150, every=50, fabric=fabric):
    print(f"step {state.step}: loss {state.losses['loss']:.5f}")

# %%
# Scored on three photographs that it has not seen; doing nothing, the
# identity, stands first.

mine = Method("mine", lambda y, kernel: model(y).detach(), "three layers")
test = open_images("sample", "test")
cases = [*evaluation.cases_of_images(test, "s1-gaussian", seed=0)]
rows = evaluation.evaluate([mine], cases, device=fabric.device)
print(evaluation.table(rows))

# %%
# What to see: contours are steeper, and fine texture is not back, for five
# seconds of training are little and a Gaussian leaves little.

y, x = cases[1].y, cases[1].x
x_hat = mine(y.to(fabric.device)).cpu()
shown = {"sharp": x[0], "blurred": y[0], "mine": x_hat[0]}
fig = plots.show(shown, zoom=(130, 220, 150))
Path("own_network.png").write_bytes(plots.png(fig))
