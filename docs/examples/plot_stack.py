"""
How do I restore a stack of microscope planes?
==============================================

:func:`deblurlib.restoration.restore_files` restores a TIFF of several
planes, of 8 or 16 bits or of float32, into another, plane by plane; on the
command line that is ``deblur restore stack.tif --kernel psf.npy``. It is no
deconvolution in three dimensions: light that came from other planes stays.
"""

import tempfile
from pathlib import Path

import tifffile
import torch

from deblurlib import degrade, files, images, metrics, plots, psf
from deblurlib.restoration import Request, find_method, restore_files

folder = Path(tempfile.mkdtemp())

# %%
# A specimen: each of four planes holds a few bent filaments. The microscope
# blurs it, and few photons make it noisy.


def plane(number):
    paths = (
        psf.trajectory(degrade.generator(number, i), 500, anxiety=0.01)
        for i in range(6)
    )
    drawn = sum(psf.from_path(path, 191) for path in paths)
    return (drawn / drawn.max() * 4).clamp(0, 1)[None]  # (1, H, W)


x = torch.stack([plane(number) for number in range(4)])
kernel = psf.gaussian(2.0)
y = degrade.convolve(x, kernel, "zero")
y = degrade.add_shot_noise(y, photons=400, seed=0, index=range(4))

# %%
# The stack as ImageJ writes it, of 16 bits, restored with the kernel that
# all planes share. One of ``(planes, h, w)`` would be a kernel for each.

stack, target = folder / "stack.tif", folder / "restored.tif"
pixels = (y[:, 0].clamp(0, 1) * 65535).round().numpy().astype("uint16")
tifffile.imwrite(stack, pixels, imagej=True)
request = Request(find_method("richardson-lucy-tv"), kernel=kernel)
(outcome,) = restore_files(stack, request, target)
print(f"{outcome.target.name}: {outcome.frames} planes of {outcome.size}")
print("what went wrong:", outcome.error)

# %%
# Scores, in dB, one a plane, and those of doing nothing.

for name, file in {"identity": stack, "restored": target}.items():
    photos = files.read_planes(file)
    held = torch.stack([images.to_tensor(p.pixels) for p in photos])
    print(f"{name:9}", metrics.psnr(held, x))

# %%
# What to see: filaments are thin again, though noise has broken them into
# beads; where many cross, they are not apart.

shown = {"specimen": x[1], "plane 2": y[1], "restored": held[1]}
fig = plots.show(shown)
Path("stack.png").write_bytes(plots.png(fig))
