"""Data: what there is, by name, and what is drawn from it.

``sources``: where a set lies, and its files. ``contents``: one of these files, and its checksum.
``archives``: zips and arrays. ``cifar``: CIFAR's own files, and its classes. ``celeba``: CelebA's
own files. ``names``: what a file's name says. ``pairing``: which files are partners. ``scenes``:
which scene they show. ``sets``: images and pairs in order. ``opening``: sets opened by the names of
their sources. ``splitting``: train, test, and what is held out. ``mixtures``: several sets as one.
``crops``: which part of which image a sample shows. ``samples``: pairs made of them. ``batches``:
what a training sees. ``drawn``: a scene that is in no set. Taught in chapter 01.
"""

from ..places import register
from .cifar import classes
from .drawn import street
from .mixtures import AnySet, MixedSet, open_mixture
from .opening import holds_pairs, open_images, open_pairs
from .sets import ImageSet, PairSet, reduced_name
from .splitting import DRAWN, hold_out, splits

__all__ = [
    "DRAWN",
    "AnySet",
    "ImageSet",
    "MixedSet",
    "PairSet",
    "classes",
    "hold_out",
    "holds_pairs",
    "open_images",
    "open_mixture",
    "open_pairs",
    "reduced_name",
    "register",
    "splits",
    "street",
]
