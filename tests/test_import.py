"""What imports what: the core stays light, and the layers stay in order."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "deblurlib"
PRESENTATION = ("diagrams", "plots", "exercises", "widgets", "report", "app", "cli", "__main__")
HEAVY = ("matplotlib", "lightning", "lightning_fabric", "gradio", "ipywidgets")
LAYERS = [
    "errors",
    "names",
    "places",
    "parameters",
    "progress",
    "fingerprint",
    "machine",
    "images",
    "values",
    "psf",
    "files",
    "degrade",
    "data",
    "video",
    "metrics",
    "alignment",
    "perception",
    "stats",
    "edges",
    "losses",
    "classical",
    "sharpness",
    "models",
    "training",
    "runs",
    "restoration",
    "evaluation",
    "studies",
]

IMPORT_ALL = """
import importlib, pkgutil, sys
import deblurlib
for top in pkgutil.iter_modules(deblurlib.__path__, "deblurlib."):
    if top.name.split(".")[1] not in sys.argv[1].split(","):
        package = importlib.import_module(top.name)
        for module in pkgutil.walk_packages(getattr(package, "__path__", []), top.name + "."):
            importlib.import_module(module.name)
print(*sys.modules)
"""


def test_the_library_without_its_presentation_loads_no_heavy_package():
    command = [sys.executable, "-c", IMPORT_ALL, ",".join(PRESENTATION)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {f"deblurlib.{name}" for name in LAYERS} <= set(loaded)
    assert not set(HEAVY) & set(loaded)


#: what the extras bring is not there; then the library is imported, or the command is run
ALONE = """
import sys
from deblurlib.errors import EXTRAS

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {*EXTRAS, "torchvision"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


def test_the_library_and_restore_need_none_of_the_extras(tmp_path, save_picture):
    def run(code, *words):
        command = [sys.executable, "-c", ALONE + code, *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    assert run(IMPORT_ALL, ",".join(PRESENTATION)).returncode == 0
    save_picture(tmp_path / "x.png", 0, 30, 40)
    deblur = "from deblurlib.cli import main\nmain()"
    done = run(deblur, "restore", "x.png", "--method", "unsharp-mask")
    assert (done.returncode, (tmp_path / "x_deblurred.png").exists()) == (0, True), done.stderr
    for words in (["data", "sample"], ["report", "01"], ["app"], ["batch"]):
        done = run(deblur, *words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert re.search(r"needs the package .* not installed: pip install -c", done.stderr)


def imported(path):
    """The modules of the library, by their first name, that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = path.relative_to(PACKAGE.parent).parts
            base = [*parts[: len(parts) - node.level]] if node.level else []
            base += [node.module] if node.module else []
            names |= {".".join([*base, alias.name]) for alias in node.names}
    split = [name.split(".") for name in names]
    return {parts[1] for parts in split if parts[0] == "deblurlib" and len(parts) > 1}


@pytest.mark.parametrize("name", LAYERS)
def test_a_module_imports_only_what_stands_below_it(name):
    below = {name, *LAYERS[: LAYERS.index(name)]}
    files = [PACKAGE / f"{name}.py", *(PACKAGE / name).glob("*.py")]
    assert any(path.exists() for path in files)
    for path in files:
        assert not path.exists() or imported(path) <= below, path


def test_the_pages_order_is_that_of_the_layers():
    page = (PACKAGE.parent / "docs" / "api.md").read_text("utf-8")
    library = page.partition("\n## The library\n")[2].partition("\n## ")[0]
    assert re.findall(r"(?m)^- \[(\w+)\]\(api/\1\.md\)", library) == LAYERS[::-1]
    assert re.findall(r"(?m)^api/(\w+)$", page)[: len(LAYERS)] == LAYERS[::-1]


def test_the_command_loads_nothing_heavy_before_it_knows_what_to_do():
    command = [sys.executable, "-c", "import sys, deblurlib.cli; print(*sys.modules)"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "cv2", "PIL", "numpy"} & set(loaded)


def test_nothing_below_the_presentation_imports_pictures():
    for path in PACKAGE.rglob("*.py"):
        first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if first not in PRESENTATION and not first.startswith("report"):
            assert not imported(path) & {"diagrams", "plots", "widgets"}, path
