"""``python -m deblurlib`` is the ``deblur`` command."""

from .cli import main

if __name__ == "__main__":
    main()
