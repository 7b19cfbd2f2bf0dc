"""Sphinx's settings for the course's site; `deblur report` builds it from an executed copy."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.util import inspect

import deblurlib
from deblurlib.report import gallery, reference

project = "Deblurring, paper by paper"
author = "The authors of Deblurring, paper by paper"
copyright = "2026, " + author
version = release = deblurlib.__version__

extensions = [
    *("myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"),
    *("sphinx.ext.viewcode", "sphinx_gallery.gen_gallery"),
]
exclude_patterns = ["cards.md", "published.md", "claims.md", "deconvolution/choose*.md"]
exclude_patterns += ["examples", "gallery/backreferences"]  # pages are made of them

nb_execution_mode = "off"  # the chapters come executed
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
# links from the repository's own pages to files that are no pages of the site
suppress_warnings = ["myst.xref_missing", "mystnb.unknown_mime_type", "toc.empty_glob"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 76
add_module_names = False
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = True

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": gallery.FOLDER,
    "backreferences_dir": f"{gallery.FOLDER}/backreferences",
    "doc_module": ("deblurlib",),
    "reference_url": {"deblurlib": None},  # code leads to the library's own pages
    "image_scrapers": ("deblurlib.report.gallery.pictures",),
    "within_subsection_order": "deblurlib.report.gallery.place",
    "reset_modules": (),
    "capture_repr": (),
    "notebook_extensions": set(),  # MyST-NB would take them for further pages
    "download_all_examples": False,
    "write_computation_times": False,
    "show_signature": False,
}

html_theme = "sphinx_book_theme"
html_title = project
html_context = {"default_mode": "auto"}
nb_render_markdown_format = "gfm"
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = ["course.js"]
html_search_scorer = str(Path(__file__).parent / "_static" / "scorer.js")
html_show_search_summary = False  # it is fetched, which a browser refuses for pages on a disk
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"_modules/**": []}  # a hundred pages of source: a list of all pages takes longest
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": True,
    "navbar_persistent": [],  # one search field is enough
}


def _copy_mathjax(app):
    """Formulas render without a network: one file of MathJax, from an installed package."""
    package = find_spec("sphinx-mathjax-offline")
    source = Path(package.origin).parent / "static" / "mathjax" / "tex-svg.js"
    target = Path(app.srcdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


mathjax_path = "mathjax/tex-svg.js"


def _copy_loop(app):
    """The page on training shows the loop itself, and what it minimises."""
    for name in ("loop.py", "objectives.py"):
        shutil.copy(Path(deblurlib.__file__).parent / "training" / name, app.srcdir)


def _lead_on(app, page, template, context, doctree):
    """After the last chapter comes a photograph of one's own; a run leads back to its chapter."""
    chapters = sorted(name for name in app.env.found_docs if name.startswith("chapters/"))
    if page == "notation" or (chapters and page == chapters[-1]):
        context["next"] = _link(app, page, "restoring")
    if page == "restoring":
        context["prev"] = _link(app, page, chapters[-1] if chapters else "index")
    folder, _, name = page.partition("/")
    if folder == "your-run":
        context["prev"], context["next"] = _link(app, page, f"chapters/{name}"), None


def _link(app, page, target):
    title = app.env.titles[target].astext()
    return {"link": app.builder.get_relative_uri(page, target), "title": title}


def _add_reference(app, page, text):
    """What a module offers is read from the module, so that its page cannot lag behind."""
    folder, _, name = page.partition("/")
    if folder == "api" and name:
        text[0] += "\n" + reference.page(name)


def _lead_home(app, env, node, shown):
    """A name is documented where it is offered, which may not be the file that defines it."""
    for target in reference.home(node.get("reftarget", "")):
        kind = node.get("reftype", "obj")
        found = env.domains["py"].resolve_xref(
            env, node.get("refdoc", ""), app.builder, kind, target, node, shown
        )
        if found is not None:
            return found
    return None


def _plain_signature(app, what, name, value, options, signature, returned):
    """Of a class, what is passed to ``__init__``: a base of the networks' hides it."""
    if what == "class" and "__init__" in vars(value) and "*args" in (signature or ""):
        own = inspect.signature(value.__init__, bound_method=True)
        signature = inspect.stringify_signature(own, unqualified_typehints=True)
    return (signature or "").replace("<factory>", "...") or None, returned


def _complete(app, what, name, value, options, lines):
    """What comments say of a class's fields; and a sentence with a colon, which is no type."""
    typed = [n for n, line in enumerate(lines) if line.startswith(":type: ")]
    if what in ("attribute", "property") and typed:  # Napoleon took what stood before the colon
        lines[0] = f"{lines.pop(typed[0]).removeprefix(':type: ')}: {lines[0]}"
    if what in ("class", "exception") and not any(line.startswith(":param") for line in lines):
        lines += ["", *(f":param {n}: {text}" for n, text in reference.fields(value).items())]


def setup(app):
    app.connect("source-read", _add_reference)
    app.connect("missing-reference", _lead_home)
    app.connect("autodoc-process-signature", _plain_signature)
    app.connect("autodoc-process-docstring", _complete, priority=600)  # after Napoleon's
    app.connect("builder-inited", _copy_mathjax)
    app.connect("builder-inited", _copy_loop)
    app.connect("html-page-context", _lead_on)
