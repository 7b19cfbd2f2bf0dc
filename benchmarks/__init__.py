"""Speeds, side by side with other libraries: ``python -m benchmarks`` from the project's root.

Every contender's values are compared with deblurlib's before anything is timed.
"""

import os

# albumentations asks the network for a newer version when imported, unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
