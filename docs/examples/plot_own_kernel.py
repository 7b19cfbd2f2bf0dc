"""
How do I use my own kernel?
===========================

Read it with :func:`deblurlib.files.read_kernel`, from a ``.npy``, ``.mat``,
text or picture file, and give it to :func:`deblurlib.restore
<deblurlib.restoration.restore>` with the name of a method that uses it,
such as ``richardson-lucy-tv``. A kernel is the picture of one point of
light, in pixels of the photograph.
"""

import tempfile
from pathlib import Path

import deblurlib
from deblurlib import degrade, evaluation, files, plots, psf
from deblurlib.data import open_images
from deblurlib.restoration import find_method

folder = Path(tempfile.mkdtemp())

# %%
# In place of a measurement: the path of a shaken hand, stored as a picture,
# as of a lamp. What is read has odd sides and sums to 1, or is mended with
# a warning that says so.

shaken = psf.shake(degrade.generator(seed=4, index=0), length=24)
files.write_kernel(folder / "lamp.png", shaken)
kernel = files.read_kernel(folder / "lamp.png")
print(f"{tuple(kernel.shape)}, sum {kernel.sum():.3f}")

# %%
# The photograph that was blurred by it, with a little noise, restored: once
# with that kernel and once by a network, which is not told any kernel.

photo = open_images("sample", "test")[0]  # (3, H, W) in [0, 1]
x = photo[None, :, 40:296, 40:296]
y = degrade.convolve(x, shaken, "reflect")
y = degrade.add_noise(y, sigma=0.005, seed=0, index=[0])
x_hat = deblurlib.restore(y, "richardson-lucy-tv", kernel=kernel)

case = evaluation.Case("chelsea", "chelsea", y, x, kernel)
methods = [find_method("richardson-lucy-tv"), find_method("srn")]
print(evaluation.table(evaluation.evaluate(methods, [case])))

# %%
# What to see: the whiskers, gone in the blurred picture, are single lines
# again; the grain beside them is noise that was sharpened, too.

shown = {"sharp": x[0], "blurred": y[0], "with the kernel": x_hat[0]}
fig = plots.show(shown, zoom=(90, 50, 110))
Path("own_kernel.png").write_bytes(plots.png(fig))
