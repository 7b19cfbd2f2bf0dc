"""
How do I score the output of another tool?
==========================================

Give it the same blurred pictures, let it write its results into a folder,
and score that with :func:`deblurlib.evaluation.score_results`. Its rows are
added to those of :func:`deblurlib.evaluation.evaluate`, so that one table
has the tool, ours, and doing nothing.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from skimage import io
from skimage.restoration import richardson_lucy

from deblurlib import evaluation, files, plots
from deblurlib.data import open_images
from deblurlib.restoration import find_method

blurred, theirs = (Path(tempfile.mkdtemp()) for _ in range(2))

# %%
# The blurred pictures, as files. A case holds a picture's name, blurred and
# sharp image, and its kernel: here a Gaussian with a standard deviation of
# 3 pixels. The files are rounded to 8 bits, and so are the cases, so that
# both start from the same. To save time, a part of each is enough.

test = open_images("sample", "test")
whole = evaluation.cases_of_images(test, "s1-gaussian", seed=0)
part = (..., slice(200), slice(180, 420))
cases = [replace(case, y=case.y[part], x=case.x[part]) for case in whole]
for case in cases:
    files.write_image(blurred / f"{Path(case.image).stem}.png", case.y[0])

# %%
# The other tool: thirty steps of scikit-image's Richardson-Lucy, told the
# same kernel. Whatever yours is, all that counts is that a result has the
# stem of the picture that it was made from.

psf = cases[0].kernel.numpy()
for path in sorted(blurred.iterdir()):
    y = io.imread(path) / 255
    colours = [richardson_lucy(y[..., i], psf, 30) for i in range(3)]
    pixels = np.rint(255 * np.stack(colours, axis=-1)).astype(np.uint8)
    io.imsave(theirs / path.name, pixels, check_contrast=False)

# %%
# One table. Near the edges methods differ in what they take to lie beyond,
# so 12 pixels along each side are not scored; of both, and of the identity.

ours = find_method("richardson-lucy-tv")
rows = evaluation.evaluate([ours], cases, border=12)
rows += evaluation.score_results("scikit-image", theirs, cases, border=12)
print(evaluation.table(rows))

# %%
# What to see: both have the petals' edges back; along the frame
# scikit-image's result has waves, for it takes what lies beyond to be
# black.

case, tool = cases[1], files.read_image(sorted(theirs.iterdir())[1])
x_hat = ours(case.y, case.kernel)[0].clamp(0, 1)
shown = {"sharp": case.x[0], "blurred": case.y[0]}
fig = plots.show(shown | {"scikit-image": tool, "ours": x_hat}, columns=2)
Path("score_results.png").write_bytes(plots.png(fig))
