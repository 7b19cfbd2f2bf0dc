"""From a notebook to a report: record results, execute chapters, render the site, publish.

A chapter calls :func:`record` once; all else here is driven by the ``deblur`` command.
"""

from .results import record, validate

__all__ = ["record", "validate"]
