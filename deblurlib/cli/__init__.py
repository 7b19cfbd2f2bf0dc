"""The program ``deblur``, with a file for each of its commands.

What a user got wrong is reported in one sentence, with exit code 2.
"""

# each adds its command
from . import (  # noqa: F401
    claims,
    confirm,
    data,
    evaluate,
    kernel,
    lab,
    methods,
    pairs,
    publish,
    report,
    restore,
    runs,
    serving,
    study,
    suggest,
    train,
)
from .command import app, main

__all__ = ["app", "main"]
