"""From a notebook to a report: record results, execute chapters, render the site, publish.

A chapter calls :func:`record` once, and shows :func:`published_verdicts`; all else here is driven
by the ``deblur`` command.
"""

from .results import published_verdicts, record, validate

__all__ = ["published_verdicts", "record", "validate"]
