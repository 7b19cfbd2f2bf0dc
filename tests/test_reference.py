"""The site's pages on the library have what its modules offer, and their examples run."""

import ast
import doctest
import importlib
import inspect
import re
import shutil
import zlib

import pytest
from test_import import LAYERS, PACKAGE, PRESENTATION
from test_project import DOCS

from deblurlib.report import reference, site

PAGES = sorted(path.stem for path in (DOCS / "api").glob("*.md"))
AROUND = set(PRESENTATION) - {"cli", "__main__"}


def offering(name):
    """The modules of a layer that say by ``__all__`` what they offer, read from their files."""
    files = [PACKAGE / f"{name}.py", *(PACKAGE / name).rglob("*.py")]
    for path in (path for path in files if path.exists()):
        names = [
            [constant.value for constant in node.value.elts]
            for node in ast.parse(path.read_text("utf-8")).body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
        ]
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if names:
            yield importlib.import_module(".".join(parts).removesuffix(".__init__")), names[0]


def test_each_layer_has_a_page_and_says_what_it_offers():
    assert set(PAGES) == {*LAYERS, *AROUND}
    for name in LAYERS:
        top = importlib.import_module(f"deblurlib.{name}")
        assert top.__all__, name


@pytest.mark.parametrize("name", [*LAYERS, *sorted(AROUND)])
def test_what_a_module_offers_is_there_and_described(name):
    for module, names in offering(name):
        assert len(set(names)) == len(names)
        for each in names:
            value = getattr(module, each)
            if not inspect.ismodule(value):
                assert len(reference.described(module, each)) > 5, f"{module.__name__}.{each}"


@pytest.mark.parametrize("name", PAGES)
def test_the_example_of_a_page_runs(name, tmp_path, monkeypatch):
    text = (DOCS / "api" / f"{name}.md").read_text("utf-8")
    heading, code = re.fullmatch(
        r"# (\w+)\n\n[A-Z].+\.\n\n```pycon\n(.*?)```\n", text, re.S
    ).groups()
    assert heading == name
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(code, {}, name, None, 0)
    assert test.examples
    told = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    assert not told, "".join(told)


def test_the_pages_list_all_that_is_offered_and_nothing_else(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("conf.py", "api.md"):
        shutil.copy(DOCS / name, source)
    for name in ("_static", "api"):
        shutil.copytree(DOCS / name, source / name)
    (source / "examples").mkdir()
    (source / "examples" / "GALLERY_HEADER.rst").write_text("Examples\n========\n")
    (source / "index.md").write_text("# Site\n\n```{toctree}\napi\ngallery/index\n```\n")
    site.run_sphinx(source, tmp_path / "site", False)
    listed = documented(tmp_path / "site" / "objects.inv")
    wanted, shown = {"deblurlib.restore"}, {}
    for name in (*LAYERS, *AROUND):
        for module, names in offering(name):
            for each in names:
                value = getattr(module, each)
                is_code = inspect.isclass(value) or inspect.isroutine(inspect.unwrap(value))
                if is_code and id(value) in shown:  # of a package, where it is offered first
                    continue
                shown[id(value)] = value
                wanted |= set() if inspect.ismodule(value) else {f"{module.__name__}.{each}"}
    assert listed == wanted
    page = (tmp_path / "site" / "api" / "psf.html").read_text("utf-8")
    assert "_modules/deblurlib/psf/kernels.html#motion" in page  # its source
    assert re.search(r'class="n"><span class="pre">length</span>.*?<span class="pre">float', page)
    page = (tmp_path / "site" / "api" / "restoration.html").read_text("utf-8")
    assert "<p>The name, and what was set otherwise: <code" in page
    assert re.search(r"<strong>oracle</strong> . it is shown the sharp image, too", page)
    assert "&lt;factory&gt;" not in page
    page = (tmp_path / "site" / "api" / "evaluation.html").read_text("utf-8")
    assert re.search(r'<a [^>]*href="restoration.html#deblurlib.restoration.Method"[^>]*>', page)


def documented(inventory):
    """The functions, classes and data of Sphinx's inventory; not what belongs to a class.

    Where a class was defined is listed, too, with the place at which it is documented; ``$`` stands
    for a place of the same name.
    """
    data = inventory.read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(data).decode().splitlines()
    kinds = ("py:function", "py:class", "py:data", "py:exception")
    entries = (line.split()[:4] for line in lines)
    return {name for name, kind, _, at in entries if kind in kinds and at.endswith("#$")}
