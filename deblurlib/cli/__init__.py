"""``deblur``, a file for each command. What a user got wrong is one sentence and exit code 2."""

# each adds its command
from . import (  # noqa: F401
    confirm,
    data,
    evaluate,
    methods,
    pairs,
    publish,
    report,
    restore,
    runs,
    study,
    train,
)
from .command import app, main

__all__ = ["app", "main"]
