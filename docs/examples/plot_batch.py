"""
How do I restore a batch on a GPU?
==================================

Give :func:`deblurlib.restore <deblurlib.restoration.restore>` a tensor
``(B, C, H, W)`` that lies on the GPU: the network is put there, the batch
goes through at once, and what comes back lies there, too. With
``device="auto"`` the same lines run on a processor where there is no GPU.
"""

from pathlib import Path

import torch

import deblurlib
from deblurlib import degrade, evaluation, machine, metrics, plots
from deblurlib.data import open_images
from deblurlib.restoration import find_method

device = machine.device("auto")
print(device)

# %%
# A batch of three, each blurred by a shaken camera of its own:
# ``degrade.sample`` draws blur and noise from the seed and the image's
# index, not from the batch that it is in.

sharp = open_images("sample", "test")
x = torch.stack([sharp[i][:, 60:252, 190:382] for i in range(3)]).to(device)
pair = degrade.sample(x, degrade.SETTINGS["shake"], seed=5, index=[0, 1, 2])

# %%
# Restored at once. A tensor stays on its device, and is of floats within
# [0, 1].

x_hat = deblurlib.restore(pair.y, "srn")
print(tuple(x_hat.shape), x_hat.device)
one = deblurlib.restore(pair.y[:1], "srn")
apart = (one - x_hat[:1]).abs().max()
print(f"alone or in the batch: {apart:.0e} apart at most")

# %%
# Scores, one an image, and their table with doing nothing first.

gains = metrics.psnr(x_hat, pair.x) - metrics.psnr(pair.y, pair.x)
print("gains:", ", ".join(f"{gain:+.2f} dB" for gain in gains.tolist()))
images = zip(sharp.names, pair.y.split(1), pair.x.split(1), strict=True)
cases = [evaluation.Case(name, name, y, x, None) for name, y, x in images]
srn = find_method("srn", device)
print(evaluation.table(evaluation.evaluate([srn], cases, device=device)))

# %%
# What to see: above the blurred pictures, below the restored ones.

shown = {f"blurred {i}": pair.y[i] for i in range(3)}
shown |= {f"restored {i}": x_hat[i] for i in range(3)}
fig = plots.show(shown, columns=3)
Path("batch.png").write_bytes(plots.png(fig))
