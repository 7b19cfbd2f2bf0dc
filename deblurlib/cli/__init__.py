"""The ``deblur`` command. What a user got wrong is one sentence and exit code 2."""

from . import chapters, confirm, photos, scores, sets, trainings  # noqa: F401  (each adds its commands)
from .command import app, main

__all__ = ["app", "main"]
