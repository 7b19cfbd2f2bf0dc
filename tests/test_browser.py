"""What a reader meets in a real Chromium: chapter 01 live in JupyterLab, and on the built site."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlparse

import nbformat
import pytest
from browsing import NEEDS_BROWSER, chromium  # noqa: F401
from playwright.sync_api import expect

from deblurlib.report import execute, keys, pages, results, site

ROOT = keys.project_root()
CHAPTER = next(  # the page of chapter 01 that has an explorer
    path
    for path in execute.find_chapters(["01"], ROOT)
    if "explorer" in nbformat.read(path, as_version=4).metadata["deblurlib"]["artefacts"]
)
PUBLISHED, RUN_PAGE = (f"{folder}/{CHAPTER.stem}" for folder in (site.CHAPTERS, site.RUNS))
PAGES = ("index", PUBLISHED, RUN_PAGE, "results", "leaderboard", "restoring", "notation", "api")
PAGES += ("training",)
STACKED = "result"  # a figure that is taken for four pictures in a row
WIDE, NARROW = 1280, 400  # pixels: a laptop, a telephone
ON_DISK = ("file:", "data:")
THEME_NOTICE = "Got invalid theme mode"  # the theme's, on a first visit
START, RUN, REPLY = 120_000, 120_000, 30_000  # milliseconds to wait at most
MOVES = 3
expect.set_options(timeout=REPLY)

pytestmark = NEEDS_BROWSER


@pytest.fixture
def page(chromium):
    page = chromium.new_page(viewport={"width": WIDE, "height": 900})
    yield page
    page.close()


def promised(kind):
    """How many figures, or tables, the chapter's metadata promises."""
    names = nbformat.read(CHAPTER, as_version=4).metadata["deblurlib"]["artefacts"]
    return sum(name.startswith(f"{kind}:") for name in names)


def loaded(pictures):
    """What each picture shows, in brief, once the browser could decode it."""
    pictures.evaluate_all("images => Promise.all(images.map(i => i.decode()))")
    return [hash(source) for source in pictures.evaluate_all("images => images.map(i => i.src)")]


# ---- JupyterLab


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab on a copy of the notebooks, with nobody's settings."""
    folder = tmp_path / "notebooks"
    shutil.copytree(ROOT / "notebooks", folder, ignore=shutil.ignore_patterns(".*"))
    unfolded = nbformat.read(CHAPTER, as_version=4)
    for cell in unfolded.cells:  # what is folded has no prompt and shows no failure
        cell.metadata.pop("jupyter", None)
    nbformat.write(unfolded, folder / CHAPTER.name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    own += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "DEBLURLIB_RUNS")
    environment = os.environ | {name: str(tmp_path / name) for name in own}
    environment["OMP_NUM_THREADS"] = "1"
    options = {"ip": "127.0.0.1", "port": port, "port_retries": 0, "token": "", "password": ""}
    options |= {"root_dir": folder, "allow_root": True}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser"]
    command += [f"--ServerApp.{name}={value}" for name, value in options.items()]
    log = tmp_path / "log"
    with log.open("w") as file:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + START / 1000
        while not listens(port):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/lab"
    finally:
        server.terminate()  # it ends its kernels first
        try:
            server.wait(60)
        finally:
            server.kill()  # a kernel whose server is gone ends by itself


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_chapter_runs_in_jupyterlab_and_its_explorer_answers(lab, page):
    page.goto(f"{lab}/tree/{CHAPTER.name}")
    idle = page.locator("#jp-main-statusbar").get_by_text("| Idle")
    idle.wait_for(timeout=START)  # until then, Run All Cells is lost

    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(prompts.last).not_to_have_text("[ ]:", timeout=REPLY)
    expect(prompts.filter(has_text="*")).to_have_count(0, timeout=RUN)
    idle.wait_for(timeout=REPLY)
    mime = "data-mime-type='application/vnd.jupyter"
    failures = page.locator(f"[{mime}.error'], [{mime}.stderr']:has-text('Traceback')")
    assert failures.all_text_contents() == []
    cells = [c for c in nbformat.read(CHAPTER, as_version=4).cells if c.cell_type == "code"]
    assert prompts.all_text_contents() == [f"[{n}]:" for n in range(1, len(cells) + 1)]

    explorer = page.locator(".jp-OutputArea-output", has=page.locator(".widget-slider"))
    pictures, line = explorer.locator("img"), explorer.locator(".widget-html-content").last
    assert all(explorer.locator(".widget-slider > .widget-label").all_text_contents()), "no name"
    handle = explorer.get_by_role("slider").first
    handle.focus()
    seconds = []
    for _ in range(MOVES):
        before, text = loaded(pictures), line.text_content()
        started = time.monotonic()
        handle.press("ArrowRight")
        expect(line).not_to_have_text(text, timeout=REPLY)
        seconds.append(time.monotonic() - started)
        assert loaded(pictures) != before
    print("a move took", ", ".join(f"{s:.2f}" for s in seconds), "s to show")


# ---- the site


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the site: chapter 01, executed with ``smoke``, published and as a run."""
    out, root = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("DEBLURLIB_RUNS", str(out / "runs"))
        copy = out / "chapters" / CHAPTER.name
        outcome = execute.run_chapter(CHAPTER, copy, {"profile": "smoke"})
    assert outcome.error is None
    store(outcome, root)
    return site.build([outcome], root, out, examples=False).parent


def store(outcome, root):
    """A checkout like this one, in which an execution is all that is published."""
    for path in ROOT.iterdir():
        if path.name not in ("figures", "reports"):
            (root / path.name).symlink_to(path)
    (root / "figures").mkdir()
    (root / "reports" / "results").mkdir(parents=True)
    page = pages.to_store(nbformat.read(outcome.copy, 4), outcome.chapter, root / "figures")
    for output in (output for cell in page.cells for output in cell.get("outputs", [])):
        if pages.artefact_of(output) == f"figure:{STACKED}":
            output.metadata["image/png"]["columns"] = 4
    nbformat.write(page, root / "reports" / CHAPTER.name)
    folder = root / "reports" / "results"
    results.write_files(folder, outcome.results, outcome.rows, outcome.timings)


@pytest.fixture
def visit(page, built):
    """``visit(name)``: open a page from the disk, offline; it tells what was ``asked`` for."""
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.route(lambda url: not url.startswith(ON_DISK), lambda route: route.abort())

    def open_page(name):
        page.goto((built / f"{name}.html").as_uri(), wait_until="networkidle")
        return SimpleNamespace(page=page, asked=asked, errors=errors)

    return open_page


@pytest.fixture(params=[PUBLISHED, RUN_PAGE], ids=["published", "run"])
def chapter(visit, request):
    return visit(request.param).page


def test_no_page_holds_a_path_of_the_machine(built):
    pages = list(built.rglob("*.html"))
    assert pages
    for page in pages:
        assert str(ROOT) not in page.read_text("utf-8"), page.name


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_no_network_reports_no_error_and_does_not_scroll_sideways(visit, name):
    visited = visit(name)
    for width in (WIDE, NARROW):
        visited.page.set_viewport_size({"width": width, "height": 900})
        assert visited.page.evaluate("document.documentElement.scrollWidth") <= width + 1
    assert visited.asked
    assert [url for url in visited.asked if not url.startswith(ON_DISK)] == []
    assert [text for text in visited.errors if THEME_NOTICE not in text] == []


def test_figures_are_loaded_and_described_and_a_dark_theme_leaves_them_as_they_are(chapter):
    chapter.evaluate("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; })")
    pictures = chapter.locator(".cell_output img")
    loaded(pictures)
    images = pictures.evaluate_all("images => images.map(i => [i.alt, i.naturalWidth])")
    assert chapter.locator(".cell_output > * > figure").count() == promised("figure")
    for alt, width in images:
        assert width > 0, alt
        assert alt.strip()
        assert not re.search(r"_images|\.(png|jpe?g)$", alt), "the default: the file's name"
    chapter.emulate_media(color_scheme="dark")
    expect(chapter.locator("html")).to_have_attribute("data-theme", "dark")
    styles = pictures.evaluate_all(
        """images => images.map(i => getComputedStyle(i))
        .map(s => [s.filter, s.padding, s.backgroundColor])"""
    )
    assert all(style == ["none", "0px", "rgba(0, 0, 0, 0)"] for style in styles), styles
    around = chapter.locator(".cell_output .text_html").evaluate_all(
        "boxes => boxes.map(box => getComputedStyle(box).backgroundColor)"
    )
    assert set(around) == {"rgba(0, 0, 0, 0)"}


def test_a_row_of_pictures_stacks_on_a_narrow_screen_without_a_jump(visit):
    page = visit(PUBLISHED).page
    figure = page.locator("figure", has=page.locator(f"img[src$='_{STACKED}.png']"))
    image, pieces = figure.locator("img"), figure.locator(".pieces span")
    assert image.evaluate("i => i.getBoundingClientRect().height") > 100  # before it is loaded
    expect(pieces).to_have_count(4)
    expect(pieces.first).to_be_hidden()
    page.set_viewport_size({"width": NARROW, "height": 900})
    boxes = pieces.evaluate_all("all => all.map(p => p.getBoundingClientRect().toJSON())")
    assert len({round(box["x"]) for box in boxes}) == 2
    assert len({round(box["y"]) for box in boxes}) == 2
    assert all(box["width"] > NARROW / 2.5 for box in boxes)
    assert image.evaluate("i => i.getBoundingClientRect().width") <= 1
    expect(page.get_by_role("img", name=image.get_attribute("alt"))).to_have_count(1)


def test_what_is_wider_than_the_page_scrolls_and_says_so(visit):
    page = visit(PUBLISHED).page
    page.evaluate("MathJax.startup.promise")
    wide = "figure.diagram, mjx-container[display=true], .pst-scrollable-table-container"
    boxes = page.locator(f".bd-article :is({wide})")
    said = []
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.locator(".scrolls").first).to_be_visible(visible=width == NARROW)
        for scrolls, hidden, style in boxes.evaluate_all(
            """boxes => boxes.filter(b => b.clientWidth).map(b => [b.classList.contains("scrolls"),
            b.scrollWidth - b.clientWidth, getComputedStyle(b).overflowX])"""
        ):
            assert style == "auto"
            assert scrolls == (hidden > 2)
            said.append(scrolls)
    assert True in said
    assert False in said


def test_the_stamp_is_on_the_page_tables_are_tables_and_formulas_are_typeset(chapter):
    stamp = chapter.locator("details", has_text="How this page was made")
    expect(stamp).to_be_visible()
    stamp.locator("summary").click()
    line = stamp.locator("p", has_text="Profile smoke")
    expect(line).to_be_visible()
    assert "data sample" in line.inner_text()

    expect(chapter.locator(".cell_output table:has(th):has(td)")).to_have_count(promised("table"))
    assert not re.search(r"\|\s*:?---", chapter.locator("article").inner_text())
    expect(chapter.locator("mjx-container[display=true] svg").first).to_be_visible()
    chapter.evaluate("MathJax.startup.promise")
    chapter.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    chapter.evaluate("document.querySelectorAll('pre, code').forEach(code => code.remove())")
    text = chapter.locator("article").inner_text()
    assert "Takeaways" in text
    assert re.findall(r".*(?:\$|\\\(|\\\[).*", text) == []
    expect(chapter.locator("[data-mjx-error]")).to_have_count(0)


def test_the_explorer_steps_through_its_pictures(chapter):
    explorer = chapter.locator(".deblurlib-explorer")
    line, pictures = explorer.locator(".line"), explorer.locator("img")
    controls = explorer.get_by_role("slider").or_(explorer.get_by_role("button"))

    def move(key, button):
        if controls.count() > 1:  # a button a position
            controls.nth(button).click()
        else:
            controls.press(key)

    text, first = line.inner_text(), loaded(pictures)
    move("ArrowRight", 1)
    expect(line).not_to_have_text(text)
    assert loaded(pictures) != first
    move("Home", 0)
    expect(line).to_have_text(text)
    assert loaded(pictures) == first


def test_a_run_says_what_it_is_and_the_published_page_leads_to_it(visit):
    page = visit(PUBLISHED).page
    assert "Published on" in page.locator("article").inner_text()
    page.get_by_role("link", name="your run", exact=True).click()
    assert page.url.endswith(f"{RUN_PAGE}.html")
    note = page.locator(".admonition", has_text="Your run")
    expect(note).to_contain_text("profile smoke, data sample, seed 0")
    note.get_by_role("link", name="the chapter’s page").click()
    assert page.url.endswith(f"{PUBLISHED}.html")


@pytest.mark.parametrize(
    ("words", "first"), [("kernel", "chapters/"), ("blurry photo", "restoring.html")]
)
def test_the_search_finds_ideas_before_code(visit, built, words, first):
    page = visit("index").page
    page.goto(f"{(built / 'search.html').as_uri()}?q={words.replace(' ', '+')}")
    found = page.locator("#search-results li a").first
    expect(found).to_be_visible()
    assert found.get_attribute("href").startswith(first)


def test_a_line_between_before_and_after_follows_keys_and_pointer(visit):
    page = visit("index").page
    slider = page.locator(".slider")
    line, before = slider.get_by_role("slider"), slider.locator(".side").first
    box = slider.bounding_box()

    def seen():  # the share of the picture that is shown as it was, percent
        clip = before.evaluate("side => getComputedStyle(side).clipPath")
        return 100 - float(re.search(r"([\d.]+)%\)? ", clip)[1])

    assert seen() == 50
    line.press("ArrowRight")
    assert seen() == 51
    line.press("Home")
    assert seen() == 0
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.2 * box["width"], middle)
    page.mouse.down()
    assert seen() == pytest.approx(20, abs=1)
    page.mouse.move(box["x"] + 0.7 * box["width"], middle + 300)
    assert seen() == pytest.approx(70, abs=1)
    page.mouse.up()
    page.mouse.move(box["x"] + 0.1 * box["width"], middle)
    assert seen() == pytest.approx(70, abs=1)


def test_without_scripts_both_pictures_stand_side_by_side(chromium, built):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((built / "index.html").as_uri())
    boxes = [page.locator(".slider img").nth(n).bounding_box() for n in (0, 1)]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    context.close()


@pytest.mark.parametrize("name", ["index", "results", PUBLISHED])
def test_links_on_a_page_lead_somewhere(visit, built, name):
    page = visit(name).page
    links = page.locator("article a[href], .prev-next-area a[href]")
    for link in links.evaluate_all("links => links.map(a => a.href.split('#')[0])"):
        if link.startswith("file:"):
            assert Path(unquote(urlparse(link).path)).exists(), link
