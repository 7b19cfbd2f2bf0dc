"""
How do I find the kernel of a photograph?
=========================================

:func:`deblurlib.classical.find_kernel` finds the one kernel that blurred a
whole picture, from its steepest edges, and says how much better than no
blur it explains them. On the command line that is ``deblur kernel
photo.jpg``; the method ``blind-edges`` finds it and deconvolves with it.
"""

from pathlib import Path

import torch

from deblurlib import classical, degrade, evaluation, plots, psf
from deblurlib.data import open_images
from deblurlib.restoration import Method, find_method

# %%
# A photograph, blurred by the path of a shaken hand, with a little noise.

true = psf.shake(degrade.generator(seed=1, index=0), length=20)
x = open_images("sample", "test")[1][None, :, 60:260, 220:420]
y = degrade.convolve(x, true, "reflect")
y = degrade.add_noise(y, sigma=0.003, seed=0, index=[0])

# %%
# The side of the kernel must hold the blur, and should not be much larger.
# The error is relative: 0 for the true kernel, 1 for no light at all. No
# blur, a single point, is the one to beat.

(found,), (gain,) = classical.find_kernel(y, size=27)
print(f"edges become fewer and steeper by {gain:.0%}")
point = torch.zeros(27, 27)
point[13, 13] = 1
for name, kernel in {"no blur": point, "found": found}.items():
    print(f"{name:8} error {psf.distance(kernel, true):.2f}")

# %%
# What it is worth: deconvolution with the found kernel and with the true
# one, in one table. As a kernel and its picture may both be moved
# unnoticed, all results are scored where they fit best.

by_kernel = find_method("richardson-lucy-tv")
blind = Method("the found one", lambda y, _: by_kernel(y, found), "")
case = evaluation.Case("flower", "flower", y, x, true)
rows = evaluation.evaluate([blind, by_kernel], [case], align=8)
print(evaluation.table(rows))

# %%
# What to see: the found kernel has the true one's shape, hook and all, and
# is darker at its ends.

shown = {"true": true / true.max(), "found": found / found.max()}
x_hat = by_kernel(y, found)[0].clamp(0, 1)
shown |= {"blurred": y[0], "with the found one": x_hat}
fig = plots.show(shown, columns=2)
Path("find_kernel.png").write_bytes(plots.png(fig))
