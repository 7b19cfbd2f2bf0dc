"""Recipes, and the store of the runs they lead to. Taught in chapter 02."""

from .drive import train_or_load
from .recipe import Recipe
from .run import Run
from .staleness import all_changes, changes
from .store import find, is_training, listed, remove, root

__all__ = [
    "Recipe",
    "Run",
    "all_changes",
    "changes",
    "find",
    "is_training",
    "listed",
    "remove",
    "root",
    "train_or_load",
]
