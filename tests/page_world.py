"""The pictures, kernels, videos and sets that the pages speak of, small."""

import numpy as np
import tifffile
import torch
from PIL import Image
from sets import write_pairs, write_set
from test_levin import save_npz, stored_kernel
from test_video import pan, save_video

from deblurlib import degrade, files, images, psf
from deblurlib.data import open_images

IMAGES = ("bsds500", "anime-faces", "imagenet_sample", "classic", "photos_mixed")
PAIRS = ("mine", "levin09", "gopro_scenes", "gopro_patches", "gopro_pairs", "gopro_more")
PAIRS += ("reds_small", "imublur_two")


def write_world(folder):
    """Write them into a folder, under the names that the pages give them."""
    pictures = ("holiday.jpg", "photo.jpg", "photo.png", "scan.png", "phone/1.jpg", "scans/2.png")
    write_set(folder, pictures, 48, 60)
    write_set(folder, ["wide.png"], 260, 260)
    for name in IMAGES:
        size = (126, 130) if name == "bsds500" else (72, 90)  # a crop, and what a wide blur takes
        write_set(folder / name, ["train/0.png", "train/1.png", "test/2.png"], *size)
    for name in PAIRS:
        size = (40, 52) if name == "levin09" else (20, 26)  # larger than a kernel to be found
        write_pairs(folder / name, ("a", "b"), range(4), "train", size)
        write_pairs(folder / name, ("z",), range(2), "test", size)
    for name in ("clip.mp4", "street.mp4", "holiday.mp4"):
        save_video(folder / name, pan(30), "mp4v")
    x = images.centre_crop(open_images("sample", "test")[2], 200, 300)[None]
    files.write_image(folder / "photo.jpg", degrade.convolve(x, psf.motion(11, -50))[0])
    lamp = torch.full((1, 1, 300, 700), 0.01)
    lamp[..., 240, 612] = 6
    files.write_image(folder / "night.jpg", degrade.convolve(lamp, psf.motion(13, 30))[0])
    planes = np.random.default_rng(0).random((5, 40, 52), np.float32) * 200 + 100
    tifffile.imwrite(folder / "cells.tif", planes, imagej=True)
    kernels = np.stack([psf.gaussian(sigma, 9).numpy() for sigma in (1.5, 1.2, 0.9, 1.2, 1.5)])
    tifffile.imwrite(folder / "psf.tif", kernels, photometric="minisblack")
    kernel = psf.gaussian(1.5).numpy()
    np.save(folder / "kernel.npy", kernel)
    Image.fromarray(np.round(255 * kernel / kernel.max()).astype(np.uint8)).save(folder / "psf.png")
    x, stored = np.random.default_rng(0).random((90, 90)), stored_kernel(0)
    k = torch.from_numpy(stored[::-1, ::-1].copy())
    y = degrade.convolve(torch.from_numpy(x)[None, None].float(), k.float())[0, 0].numpy()
    save_npz(folder / "levin.npz", [(x, y, stored)])
