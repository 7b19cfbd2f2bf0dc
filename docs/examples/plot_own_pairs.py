"""
How do I score methods on my own pairs?
=======================================

Put the blurred pictures into a folder ``blur`` and the sharp ones, under
the same names, into a folder ``sharp`` beside it;
:func:`deblurlib.data.open_pairs` opens what holds the two. From a video of
many frames a second, :func:`deblurlib.video.write_pairs` makes such
folders: the mean of some frames is the blurred picture, the middle one the
sharp.
"""

import tempfile
from pathlib import Path

from deblurlib import evaluation, images, plots, video
from deblurlib.data import open_images, open_pairs
from deblurlib.restoration import find_method

folder = Path(tempfile.mkdtemp())

# %%
# A video in place of yours: a camera that pans over a photograph, a pixel a
# frame.

photo = images.to_array(open_images("sample", "test")[1])  # uint8
frames = [photo[100:292, left : left + 256] for left in range(200, 245)]
video.write_video(folder / "pan.mp4", frames, size=(256, 192), rate=240)

# %%
# Nine frames at a time make a pair. What was averaged is noted in
# ``frames.csv``; a motion of more than 2 pixels from frame to frame would
# show as copies in the mean.

test = folder / "mine" / "test"
made = video.write_pairs(folder / "pan.mp4", test, window=9)
for path in sorted(made.rglob("*.png")):
    print(path.relative_to(folder))
print((made / "frames.csv").read_text())

# %%
# Opened by its path, and scored. The same on the command line: ``deblur
# evaluate --method srn --pairs mine=PATH``.

pairs = open_pairs(f"mine={folder / 'mine'}", "test")
methods = [find_method("unsharp-mask"), find_method("srn")]
rows = evaluation.evaluate(methods, evaluation.cases_of_pairs(pairs))
print(evaluation.table(rows))

# %%
# What to see: the network takes most of the pan back; the unsharp mask
# raises contrast alone.

y, x = pairs[0]
shown = {m.name: m(y[None])[0] for m in methods}
fig = plots.show({"sharp": x, "blurred": y, **shown}, columns=2)
Path("own_pairs.png").write_bytes(plots.png(fig))
