"""The program ``deblur``, with a file for each of its commands.

What a user got wrong is reported in one sentence, with exit code 2.
"""

# each adds its command; in the order in which the help shows them
from . import restore  # noqa: F401, I001
from . import kernel  # noqa: F401
from . import suggest  # noqa: F401
from . import methods  # noqa: F401
from . import serving  # noqa: F401
from . import pairs  # noqa: F401
from . import data  # noqa: F401
from . import evaluate  # noqa: F401
from . import recipes  # noqa: F401
from . import train  # noqa: F401
from . import study  # noqa: F401
from . import runs  # noqa: F401
from . import lab  # noqa: F401
from . import report  # noqa: F401
from . import batch  # noqa: F401
from . import claims  # noqa: F401
from . import confirm  # noqa: F401
from . import publish  # noqa: F401
from .command import app, main

__all__ = ["app", "main"]
