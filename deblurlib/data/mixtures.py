"""Several sets as one, each seen as often as it is worth. Taught in chapter 05."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from .. import fingerprint, places
from ..errors import InputError
from ..names import Split
from .names import as_bytes
from .opening import holds_pairs, open_images, open_pairs
from .sets import ImageSet, PairSet
from .splitting import hold_out

#: Scenes that two sets show, as a set names its own -> as the other one does.
SAME_SCENE = {
    "gopro_patches/train": "gopro_scenes/square",
    "gopro_more/square": "gopro_scenes/square",
    "gopro_more/tree_trunks": "gopro_scenes/tree-trunks",
    "gopro_more/pillars": "gopro_scenes/park-wall",
    "gopro_more/shopping_street": "gopro_scenes/shopping-street",
    "gopro_more/garden": "gopro_scenes/garden",
}


@dataclass(frozen=True)
class MixedSet:
    """Sets of sharp images and of pairs, one after the other; each image is in one of them."""

    name: str
    split: str | None
    parts: tuple[ImageSet | PairSet, ...]
    weights: tuple[float, ...]  # how often the images of each are seen, together

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[torch.Tensor | tuple[torch.Tensor, torch.Tensor]]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        for part in self.parts:
            if i < len(part):
                return part[i]
            i -= len(part)
        raise IndexError(i)

    def first(self, n: int | None) -> MixedSet:
        """The first ``n`` images as a mixture of their own; all of them for ``None``."""
        return self if n is None else self.take(range(len(self))[:n])

    def take(self, places: Sequence[int]) -> MixedSet:
        """Some of the images; those of each set stay together, and its weight stays what it is."""
        wanted, begin, kept = set(places), 0, []
        for part, weight in zip(self.parts, self.weights, strict=True):
            inside = [i for i in range(len(part)) if begin + i in wanted]
            begin += len(part)
            if inside:
                kept.append((part.take(inside), weight))
        parts, weights = zip(*kept, strict=True) if kept else ((), ())
        return replace(self, parts=parts, weights=weights)

    @property
    def chances(self) -> list[float]:
        """How often each image is seen: the weight of its set, shared out among its images."""
        return [w / len(p) for p, w in zip(self.parts, self.weights, strict=True) for _ in p.names]

    @property
    def names(self) -> list[str]:
        """Each image's set, and its path within it."""
        return [f"{part.name}/{name}" for part in self.parts for name in part.names]

    @property
    def keys(self) -> list[int]:
        """As of :class:`ImageSet`: of an image, that of its own set."""
        return [key for part in self.parts for key in part.keys]

    @property
    def scenes(self) -> list[str]:
        """Each image's scene; equal where two sets show one, see :data:`SAME_SCENE`."""
        named = [f"{part.name}/{scene}" for part in self.parts for scene in part.scenes]
        return [SAME_SCENE.get(scene, scene) for scene in named]

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of all names, contents, scenes and weights, in order."""
        contents = [part.fingerprint.encode() for part in self.parts]
        weights = repr([float(w) for w in self.weights]).encode()
        return fingerprint.of_bytes(*contents, *map(as_bytes, self.scenes), weights)

    def held_out(self, share: float, seed: int) -> tuple[MixedSet, MixedSet]:
        """As :func:`deblurlib.data.hold_out`, for each set of two scenes or more by itself.

        What shows a scene that another set has set aside goes with it.
        """
        scenes, begin = self.scenes, 0
        aside: set[str] = set()
        for part in self.parts:
            own = scenes[begin : begin + len(part)]
            begin += len(part)
            if len(set(part.scenes)) > 1:
                chosen = set(hold_out(part, share, seed)[1].names)
                aside |= {s for s, name in zip(own, part.names, strict=True) if name in chosen}
        kept = [i for i, scene in enumerate(scenes) if scene not in aside]
        validation = [i for i, scene in enumerate(scenes) if scene in aside]
        if not kept or not validation:
            raise InputError(f"{self.name}: a share of {share:g} of its scenes cannot be set aside")
        return self.take(kept), self.take(validation)


#: A set of any kind.
AnySet = ImageSet | PairSet | MixedSet


def open_mixture(name: str, split: Split = "train") -> MixedSet:
    """Open a mixture of :data:`deblurlib.places.MIXTURES`; a set that is not split is used whole.

    Raises:
        InputError: one of its sets is not here, or a mixture's other split is asked for.
    """
    if split != "train":
        raise InputError(f"{name} is a mixture to train on; score on sets of its own kind apart")
    return MixedSet(name, split, *zip(*_opened(name, split), strict=True))


def _opened(name: str, split: str) -> Iterator[tuple[ImageSet | PairSet, float]]:
    for source, weight in places.MIXTURES[name].items():
        opened = open_pairs if holds_pairs(source) else open_images
        part = opened(source)
        inside = [i for i, path in enumerate(part.names) if path.lower().startswith(f"{split}/")]
        yield (opened(source, split) if inside else part), weight
