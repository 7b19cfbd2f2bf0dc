"""Recipes, and the store of the runs they lead to. Taught in chapter 02."""

from .provenance import standing, standings
from .recipe import Recipe, Rival
from .run import Run
from .store import find, is_training, listed, remove, root
from .train import train_or_load

__all__ = [
    "Recipe",
    "Rival",
    "Run",
    "find",
    "is_training",
    "listed",
    "remove",
    "root",
    "standing",
    "standings",
    "train_or_load",
]
