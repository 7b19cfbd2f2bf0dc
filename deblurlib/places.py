"""Where data sets lie: their names, and how one is looked up. Light, for it loads no PyTorch.

A source is given as ``NAME`` or ``PATH`` or ``NAME=PATH``. A name is looked up in the environment
variable ``DEBLURLIB_DATA``: entries separated like those of ``PATH``, each either ``NAME=PATH`` or
a folder that holds ``NAME/``, ``NAME.zip`` or ``NAME.npz``. Nothing is ever downloaded.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from .errors import InputError
from .names import closest

__all__ = ["KNOWN", "MIXTURES", "is_here", "locate", "registered"]

#: The sets that the chapters name, and what each holds; ``data/README.md`` says how to get and
#: lay them out.
KNOWN = {
    "anime-faces": "images",
    "cifar10": "images",
    "cifar100": "images",
    "celeba": "images",
    "gopro": "pairs",
    "gopro-gamma": "pairs",
    "imagenet": "images",
    "bsds500": "images",
    "levin09": "pairs",
    "gopro_scenes": "pairs",
    "gopro_pairs": "pairs",
    "reds_small": "pairs",
}

#: Sets that are trained on together -> how often each is seen, beside the others. Of those that
#: are split, the ``train`` parts.
MIXTURES = {
    # 14 of 32 samples are recorded pairs, 18 are blurred photographs
    "srn-mixture": {
        "gopro_scenes": 4.0,
        "gopro_patches": 3.0,
        "gopro_pairs": 1.0,
        "gopro_more": 2.5,
        "reds_small": 3.0,
        "imublur_two": 0.5,
        "bsds500": 5.0,
        "photos_mixed": 13.0,
    }
}


def is_here(source: str) -> bool:
    """Whether a data set is there, damaged or not; of a mixture, whether all its sets are."""
    if source in MIXTURES:
        return all(map(is_here, MIXTURES[source]))
    try:
        return source == "sample" or bool(locate(source))
    except InputError:
        return False


def registered() -> list[str]:
    """The names that ``DEBLURLIB_DATA`` gives to sets, but for those in a folder of many."""
    entries = os.environ.get("DEBLURLIB_DATA", "").split(os.pathsep)
    return [entry.partition("=")[0] for entry in entries if "=" in entry]


def register(given: str) -> str:
    """Make a set known by its name, here and to processes started from here; return the name.

    So no page or recipe holds a path.

    Args:
        given: ``sample``, a name, a path, or ``NAME=PATH``.
    """
    if given == "sample" or given in MIXTURES:
        return given
    name, path = locate(given)
    if name == "sample":
        raise InputError(f"{given}: only the bundled photographs are called sample: NAME={path}")
    before = os.environ.get("DEBLURLIB_DATA")
    entries = filter(None, [f"{name}={path.resolve()}", before])
    os.environ["DEBLURLIB_DATA"] = os.pathsep.join(entries)
    return name


def locate(source: str) -> tuple[str, Path]:
    """The name of a source other than ``sample``, and where it lies.

    Raises:
        InputError: it is not there; the message says how to get it or where it was looked for.
    """
    if source in MIXTURES:
        raise InputError(f"{source} is a mixture to train on: {', '.join(MIXTURES[source])}")
    name, equals, path = source.partition("=")
    if equals and path:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
            raise InputError(f"{name!r}: a data set's name is lower-case letters, digits, - and _")
        return name, _existing(Path(path))
    for entry in filter(None, os.environ.get("DEBLURLIB_DATA", "").split(os.pathsep)):
        entry_name, equals, place = entry.partition("=")
        if equals and entry_name == source:
            return source, _existing(Path(place))
        if not equals:
            for suffix in ("", ".zip", ".npz"):
                if (Path(entry) / (source + suffix)).exists() and source == Path(source).name:
                    return source, Path(entry) / (source + suffix)
    if source.strip() and source not in KNOWN and Path(source).exists():
        return Path(source).resolve().stem, Path(source)
    if source in KNOWN:
        raise InputError(
            f"the data set {source!r} is not here: data/README.md says how to get it; then name it "
            f"{source}=PATH, with --data or in its place, or put its folder into DEBLURLIB_DATA"
            f"{_missing()}"
        )
    if os.sep in source:
        raise InputError(f"{source}: no such file or folder")
    raise InputError(
        f"{source!r} is no data set: it is neither sample, nor {', '.join(KNOWN)}, nor a path"
        f"{closest(source, ['sample', *KNOWN, *registered()])}"
    )


def _missing() -> str:
    """The end of a sentence: what of ``DEBLURLIB_DATA`` is not there."""
    entries = filter(None, os.environ.get("DEBLURLIB_DATA", "").split(os.pathsep))
    gone = [entry for entry in entries if not Path(entry.rpartition("=")[2]).exists()]
    return f" (which names {', '.join(gone)}, and that is not there)" if gone else ""


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    return path
