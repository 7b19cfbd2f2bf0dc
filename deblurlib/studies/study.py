"""A chapter's whole study, as its page shows it: measured now, or as it is published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from ..data import ImageSet
from ..errors import InputError
from ..runs import Run
from .archive import Archive, PublishedRun
from .rows import read_rows, without_seconds

FINAL = ("report", "full")  # the profiles that measure a study; the others show what is published


@dataclass(frozen=True)
class Study:
    """What all recipes of a chapter came to; ``str()`` says where and when that was measured."""

    profile: str
    seeds: Sequence[int]
    data: str
    n_images: int  # of the test split
    rows: Sequence[Mapping]
    claims: Sequence[Mapping]
    archive: Archive
    date: str | None = None  # of the publication that it was read from; None: measured now

    @property
    def measured(self) -> bool:
        """Whether this execution measured it."""
        return self.date is None

    def __str__(self) -> str:
        seeds = ", ".join(map(str, self.seeds))
        what = f"{self.profile}, {self.data} ({self.n_images} test images), seeds {seeds}"
        return f"measured now: {what}" if self.measured else f"published {self.date}: {what}"

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long each method took for an image, s, the median; now, or as it is published."""
        if self.measured:
            return without_seconds(self.rows)[1]
        return json.loads(self.archive.timings.read_text("utf-8"))["seconds"]

    def run(self, name: str, seed: int | None = None) -> Run | PublishedRun:
        """The run of one of its recipes, by its name without the chapter; by default of the first
        seed.

        Of a published study it needs no data; a run whose history is not published is taken from
        the store or trained.
        """
        from . import find_recipe  # it lists the chapters, whose modules may import this one

        number = self.archive.chapter[:2]
        seed = self.seeds[0] if seed is None else seed
        recipe = find_recipe(f"{number}/{name}", self.profile, seed, self.data)
        published = None if self.measured else self.archive.published(recipe)
        return published or self.archive.run(recipe)

    def picture(
        self, name: str, key: str, make: Callable[[], Iterable[torch.Tensor]]
    ) -> list[torch.Tensor]:
        """See :meth:`Archive.picture`; the run is given by its name."""
        return self.archive.picture(self.run(name), key, make)


def open_study(
    archive: Archive,
    profile: str,
    seeds: Sequence[int],
    data: str,
    study: str,
    measure: Callable[[], tuple[Sequence[Mapping], Sequence[Mapping], ImageSet]],
) -> Study:
    """A chapter's study as its notebook asks for it.

    Args:
        study: ``"published"``: read it, whatever the profile; ``"anew"``: train and score all of
            it at this profile; ``"auto"``: anew at `report` and `full`, else as published. A
            chapter that is not published yet is measured.
        measure: trains and scores; returns rows, claims and the test images.

    Raises:
        InputError: ``study`` is none of the three.
    """
    if study not in ("auto", "published", "anew"):
        raise InputError(f"study is auto, published or anew, not {study!r}")
    path = archive.results
    if path.exists() and (study == "published" or (study == "auto" and profile not in FINAL)):
        stated = json.loads(path.read_text("utf-8"))
        stamp = stated["stamp"]
        test = stamp["data"][-1]
        rows = read_rows(archive.rows)
        about = (stated["profile"], stamp["seeds"], test["name"], test["n"])
        moved = stated.get("confirmed", {}).get("changed")
        date = stamp["finished"][:10] + (", whose numbers have moved since" if moved else "")
        return Study(*about, rows, stated["claims"], archive, date)
    measured, claims, test = measure()
    return Study(profile, seeds, test.name, len(test), measured, claims, archive)
