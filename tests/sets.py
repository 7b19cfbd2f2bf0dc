"""Small sets of images and of pairs that several test files write."""

import numpy as np
import torch

from deblurlib import degrade, files, psf


def write_set(folder, names, height=24, width=30):
    """A set of sharp images, each another noise; returns the folder's path as text."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        x = torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))
        files.write_image(folder / name, x)
    return str(folder)


def write_pairs(folder, scenes=("a", "b"), kernels=(0,), split="test", size=(20, 26)):
    """A set of pairs, two a scene; those of the numbers in ``kernels`` have a kernel."""
    for number in range(2 * len(scenes)):
        scene, stem = folder / split / scenes[number // 2], str(number)
        sharp = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(number))
        kernel = psf.gaussian(0.5 + number)
        for side, image in (("blur", degrade.convolve(sharp, kernel)), ("sharp", sharp)):
            (scene / side).mkdir(parents=True, exist_ok=True)
            files.write_image(scene / side / f"{stem}.png", image[0])
        if number in kernels:
            (scene / "kernel").mkdir(exist_ok=True)
            np.save(scene / "kernel" / f"{stem}.npy", kernel.numpy())
    return str(folder)
