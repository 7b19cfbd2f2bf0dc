"""Recipes, and the store of the runs they lead to. Taught in chapter 02."""

from .drive import changes, train_or_load
from .recipe import Recipe
from .run import Run
from .store import find, listed, remove, root

__all__ = ["Recipe", "Run", "changes", "find", "listed", "remove", "root", "train_or_load"]
