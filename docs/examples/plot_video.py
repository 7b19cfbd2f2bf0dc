"""
How do I restore a video, or a frame of one?
============================================

:func:`deblurlib.restoration.restore_files` restores a whole video into
another, frame by frame; on the command line that is ``deblur restore
clip.mp4``. A single frame is an array of
:func:`deblurlib.video.read_frames` that :func:`deblurlib.restore
<deblurlib.restoration.restore>` takes.
"""

import tempfile
from itertools import islice
from pathlib import Path

import torch

import deblurlib
from deblurlib import degrade, images, metrics, plots, video
from deblurlib.data import open_images
from deblurlib.restoration import Request, find_method, restore_files

folder = Path(tempfile.mkdtemp())

# %%
# A tiny video: a camera that pans over a photograph, and is 9 pixels
# further when its shutter closes than when it opened. Each frame is the
# mean of what it saw on the way.

photo = images.to_array(open_images("sample", "test")[0])  # uint8


def view(left):
    return images.to_tensor(photo[60:204, left : left + 192])


sharp = [view(100 + 12 * n) for n in range(4)]
ways = [range(96 + 12 * n, 105 + 12 * n) for n in range(4)]
blurred = [degrade.expose(map(view, way), "light") for way in ways]
frames = [images.to_array(frame) for frame in blurred]
video.write_video(folder / "clip.mp4", frames, size=(192, 144), rate=25)

# %%
# All of it. Of each file there comes an outcome, which says what went
# wrong, if anything.

request = Request(find_method("srn"))
clip, target = folder / "clip.mp4", folder / "restored.mp4"
(outcome,) = restore_files(clip, request, target)
print(f"{outcome.target.name}: {outcome.frames} frames of {outcome.size}")
print("what went wrong:", outcome.error)

# %%
# One frame, and the scores of all four. PSNR in dB, of the frames as the
# two videos hold them.

second = next(islice(video.read_frames(clip), 1, None))
restored = deblurlib.restore(second)  # uint8, as it came
x = torch.stack(sharp)
for name, file in {"identity": clip, "srn": target}.items():
    held = [images.to_tensor(frame) for frame in video.read_frames(file)]
    print(f"{name:9}", metrics.psnr(torch.stack(held), x))

# %%
# What to see: the cat's eyes have a rim again, and its fur has hairs.

shown = {"sharp": sharp[1], "frame 1": blurred[1]}
fig = plots.show(shown | {"restored": images.to_tensor(restored)})
Path("video.png").write_bytes(plots.png(fig))
