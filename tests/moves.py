"""Camera moves that several test files make."""

import torch


def path_of(*places):
    """Homographies (T, 3, 3) that move an image by (down, right) pixels each."""
    h = torch.eye(3, dtype=torch.float64).repeat(len(places), 1, 1)
    for matrix, (down, right) in zip(h, places, strict=True):
        matrix[0, 2], matrix[1, 2] = right, down
    return h


def shift(down, right):
    return path_of((down, right))[0]
