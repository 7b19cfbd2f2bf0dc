"""The examples of the site run as scripts, from any folder, and Sphinx shows what they draw."""

import re
import runpy
import shutil

import pytest
from PIL import Image
from test_project import ROOT, code_lines

from deblurlib.errors import InputError
from deblurlib.report import gallery, site

EXAMPLES = ROOT / "docs" / "examples"
NO_SCORES = ("read_claim",)  # it shows what was published

TINY = '''"""
A tiny example
==============

It draws.
"""

from PIL import Image

# %%
# What to see: all of it
# is red.

Image.new("RGB", (60, 40), "red").save("red.png")
print("drawn")
'''


def test_the_examples_are_those_of_the_page():
    names = {path.stem.removeprefix("plot_") for path in EXAMPLES.glob("*.py")}
    assert (names, len(gallery.ORDER)) == (set(gallery.ORDER), len(names))


@pytest.mark.parametrize("name", gallery.ORDER)
def test_an_example_runs_from_any_folder_and_says_what_to_see(name, tmp_path, monkeypatch, capsys):
    path = EXAMPLES / f"plot_{name}.py"
    text = path.read_text("utf-8")
    assert code_lines(text) <= 45
    assert re.search(r'"""\n(How do I .*\?)\n=+\n', text)
    assert len(gallery.seen(text)) > len("What to see: ")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    (picture,) = tmp_path.iterdir()
    assert picture.name == f"{name}.png"
    assert Image.open(picture).width > 500
    printed = capsys.readouterr().out
    assert ("identity" in printed) == (name not in NO_SCORES)
    assert not re.search(r"\bnan\b", printed)


# ---- on the site


@pytest.fixture
def sources(tmp_path):
    """``sources(text)``: a site's sources of one example, with the settings of the real one."""

    def write(text):
        folder = tmp_path / "source"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "examples").mkdir(parents=True)
        shutil.copy(ROOT / "docs" / "conf.py", folder)
        shutil.copytree(ROOT / "docs" / "_static", folder / "_static")
        shutil.copy(EXAMPLES / "GALLERY_HEADER.rst", folder / "examples")
        (folder / "examples" / "plot_trust.py").write_text(text)
        toctree = "```{toctree}\ngallery/index\nleaderboard\nmodel-card\n```\n"
        (folder / "index.md").write_text(f"# Site\n\n{toctree}")
        for other in ("leaderboard", "model-card"):
            (folder / f"{other}.md").write_text(f"# {other}\n")
        return folder

    return write


def test_the_site_shows_what_an_example_prints_and_draws_and_keeps_it(sources, tmp_path):
    source, kept, out = sources(TINY), tmp_path / "kept", tmp_path / "site"
    gallery.bring_back(kept, source)
    site.run_sphinx(source, out, True)
    page = (out / "gallery" / "plot_trust.html").read_text("utf-8")
    assert re.search(r'<img [^>]*alt="What to see: all of it is red\."', page)
    assert "drawn" in page
    (picture,) = (source / "gallery" / "images").glob("*.png")
    assert Image.open(picture).getpixel((0, 0)) == (255, 0, 0)
    assert not list((source / "examples").glob("*.png"))
    gallery.keep(source, kept)
    gallery.bring_back(kept, sources(TINY))
    assert (source / "gallery" / "images" / picture.name).exists()
    (source / "gallery" / gallery.CODE).write_text("of another library")
    gallery.keep(source, kept)
    gallery.bring_back(kept, sources(TINY))
    assert [path.name for path in (source / "gallery").iterdir()] == [gallery.CODE]


def test_an_example_that_fails_fails_the_site(sources, tmp_path):
    source = sources(TINY + "raise ValueError('no such kernel')\n")
    with pytest.raises(
        InputError, match=r"(?s)^the site: the example plot_trust.py failed:.*kernel"
    ):
        site.run_sphinx(source, tmp_path / "site", True)
    site.run_sphinx(source, tmp_path / "site", False)  # it is not executed
    assert "no such kernel" in (tmp_path / "site" / "gallery" / "plot_trust.html").read_text()


def test_what_a_site_needs_is_named_before_anything_is_done(monkeypatch, command):
    monkeypatch.setattr(site, "PACKAGES", ("sphinx", "no_such_package"))
    code, out, err = command("report", "01", "--profile", "smoke")
    assert (code, out) == (2, "")
    assert "needs the package no_such_package, which is not installed" in err
    assert ".[site]" in err
