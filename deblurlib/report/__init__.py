"""From a notebook to a report: record results, execute chapters, render the site, publish.

A chapter calls :func:`record` once; all else here is driven by the ``deblur`` command.
"""

__all__ = ["record", "validate"]


def __getattr__(name: str) -> object:
    if name in __all__:  # on demand, for they need PyTorch, and what is published is read without
        from . import results

        return getattr(results, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
