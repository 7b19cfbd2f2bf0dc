"""The errors, and the one warning, that are meant for the user's eyes."""

__all__ = ["InputError", "InputWarning", "NoSuchRun", "NotRegistered", "require"]


class InputError(ValueError):
    """Something given from outside is wrong: a file, a value, a name.

    Its message is one clear sentence that names the thing and, where there is one, the cure.
    The ``deblur`` command prints it without a traceback and ends with exit code 2; a notebook shows
    the sentence alone, too.
    """

    def _render_traceback_(self) -> list[str]:  # IPython asks for it, before it makes its own
        return [f"{type(self).__name__}: {self}"]


#: What is not installed with the library alone -> the extra that brings it.
EXTRAS = {
    **dict.fromkeys(("sklearn", "matplotlib", "ipywidgets", "IPython"), "course"),
    **dict.fromkeys(("papermill", "nbformat", "jsonschema", "jupyterlab"), "course"),
    **dict.fromkeys(("sphinx", "myst_nb", "sphinx_gallery"), "site"),
    **dict.fromkeys(("gradio", "uvicorn", "fastapi", "starlette"), "app"),
    "snakemake": "batch",
    "tensorboard": "test",
}


def not_installed(what: str, package: str, extra: str | None = None) -> InputError:
    """The error about a package of an extra that is not here: what needs it, what installs it."""
    cure = f"pip install -c constraints.txt -e '.[{extra or EXTRAS[package]}]'"
    return InputError(f"{what} needs the package {package}, which is not installed: {cure}")


class NoSuchRun(InputError):
    """No run in the store has this id, or comes from a recipe of this name."""


class NotRegistered(InputError):
    """A recipe names a model, a loss or a setting that is in no table of this process."""


class InputWarning(UserWarning):
    """Something given from outside was mended before it was used; its message says what and how.

    The ``deblur`` command prints it as one sentence on stderr.
    """


def require(condition: bool, message: str) -> None:
    """Raise an :class:`InputError` with this message unless the condition holds."""
    if not condition:
        raise InputError(message)
