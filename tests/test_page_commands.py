"""Every command that a page prints runs as printed, in a small world of its own.

Commands stand in blocks (``bash``, ``sh``, ``console`` or unlabelled; in ``console``, those after
``$``, and what follows is what they print), and between backticks in a sentence. Words such as
``ID`` and ``PATH`` are put in from a table, and every profile is ``smoke``. ``KINDS`` says how the
commands of each program are run; a program that is not there fails, so that it is noticed.
"""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import papermill
import pytest
import yaml
from page_world import write_world
from serving import serving
from test_project import EXTRAS, ROOT
from test_studies import keep_three
from torch.distributed.run import get_args_parser

from deblurlib import models, restoration, runs, studies
from deblurlib.app import server as app_server
from deblurlib.report import confirm, execute, publish, retrain, site
from deblurlib.runs import inputs

PLACES = ("*.md", "data/*.md", "docs/**/*.md", "reports/*.md", "deblurlib/weights/*/*.md")
PAGES = [p for place in (*PLACES, "benchmarks/results/*.md") for p in sorted(ROOT.glob(place))]
PAGES.remove(ROOT / "CHANGELOG.md")  # it tells of commands as they were
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: words of the pages, and what is put in; ids, of the runs in the store
WORDS = {
    "NN": "02",
    "KEY": "01b",
    "FROM": "levin.npz",
    "PATH": "mine",
    "VIDEO": "street.mp4",
    "ME": "me",
}
WORDS |= {"NAME": "unsharp-mask", "N": "64", "FILE": "kernel.npy", "FOLDER": "restored"}
WORDS |= {"PHOTO": "wide.png", "/data/bsds500": "bsds500"}
KILLED = "6ba72d37870a"  # docs/training.md kills and resumes it
RUNS = {"ID": ("02/motion", 0), "RUN": ("06/denoiser", 0), KILLED: ("02/gaussian", 7)}


# ---- what the pages print


def blocks_of(text):
    """The blocks of a page: of each, its commands, and the lines that each prints."""
    for label, block in BLOCK.findall(text):
        block = re.sub(r" +# .*", "", block.replace("\\\n", " "))
        if label == "console" or (label == "" and re.search(r"^\$ ", block, re.MULTILINE)):
            _, *parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
            yield [(part.splitlines()[0], part.splitlines()[1:]) for part in parts]
        elif label in ("bash", "sh", ""):
            yield [(line, []) for line in block.splitlines() if line.strip()]
    for code in re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)):
        program, *more = [word for word in code.split() if "=" not in word] or [""]
        if program in KINDS and more:
            # a name and its options alone, as in "`deblur evaluate --json` writes", is no command
            is_name = re.fullmatch(r"deblur [a-z]+( (list|rm|show))?( --[a-z-]+)*", code)
            yield [(f"{code} --help" if is_name else code, [])]


def cases():
    """A case for each command: its page, its block, its place there. Of equal ones, the first."""
    seen = set()
    for page in PAGES:
        for block in blocks_of(page.read_text("utf-8")):
            if len(block) != 1 or block[0][0] not in seen:
                seen.update(line for line, _ in block)
                for n, (line, _) in enumerate(block):
                    yield pytest.param(page, block, n, id=" ".join(line.split()))


def words_of(line):
    """The commands of a line, each a list of words; of one in the background, & is the last."""
    line = re.sub(r"([\w-]+)=PATH\b", r"\1=\1", line.replace("NAME=", "bsds500="))  # PATH: its own
    ids = {word: run_id(*of, "smoke") for word, of in RUNS.items()}
    for word, value in (WORDS | ids | {KILLED[:4]: ids[KILLED][:4]}).items():
        line = re.sub(rf"(?<!\w){word}(?!\w)", value, line)
    line = re.sub(r"(profile[ =])(quick|report|full)\b", r"\1smoke", line)
    line = re.sub(r"(?<=\w)\.\.\.", "", line)  # one, or more of these
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    commands = [[]]
    for word in lexer:
        if word not in (";", "&&"):
            commands[-1].append(word)
        if word in (";", "&", "&&"):
            commands.append([])
    return commands


def run_id(name, seed, profile):
    return inputs.run_id(studies.find_recipe(name, profile, seed))


def alike(text):
    """A printed line without its numbers, ids and borders."""
    return " ".join(re.sub(r"\b[0-9a-f]{12}\b|\d+", "0", re.sub("[│┃]", " ", text)).split())


# ---- how they are run: each returns what is wrong, if anything, and what was printed


def deblur(world, _, *words):
    if words[0] == "--install-completion":  # it would write into the home's files: is there such?
        return words[0] not in world.command("--help")[1], ""
    if words[0] == "app" and "--help" not in words:  # it would serve for ever: see curl
        world.patch.setattr(app_server, "build", lambda *_: None)
        world.patch.setattr(app_server, "serve", lambda *_: None)
    if words[-1] == "&":  # in the background, to be killed: it stops after its first step
        for old in Path("runs").iterdir():
            shutil.rmtree(old)
        code, *said = world.command(*words[:-1], "--max-minutes", 1e-9)
        return code != 1, "".join(said)
    if words[-1] == "--help":  # a sentence names options: are they there?
        options = [word for word in words if word.startswith("--")]
        code, out, _ = world.command(*words[: -len(options)], "--help")
        return code or [option for option in options if option not in out], out
    code, out, err = world.command(*words)
    return code, out + err


def python(world, program, flag, module, *words):
    """A module of the library here; of any other, which takes minutes, whether it knows them."""
    if module == "venv":
        return 0, ""
    if not module.startswith("deblurlib."):
        code, out = apart(sys.executable, flag, module, "--help")
        return code or [word for word in words if word not in out], out
    shutil.rmtree(words[-1], ignore_errors=True)  # the set that it makes
    world.patch.setattr(sys, "argv", [module, *words])
    world.patch.delitem(sys.modules, module, raising=False)  # else runpy warns
    runpy.run_module(module, run_name="__main__")
    return 0, ""


def make(world, *words):
    """It would install, test, serve: what it would do, and whether the variables are its own."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    variables = [word.partition("=")[0] for word in words if "=" in word]
    code, out = apart(*words, "--dry-run")
    return code or [name for name in variables if f"$({name})" not in makefile], out


def notebook(world, _, source, copy, *words):
    """It would take a minute, and test_notebooks.py does it: are these its parameters?"""
    known = papermill.inspect_notebook(str(ROOT / source))
    return set(words[::3]) - {"-p"} or set(words[1::3]) - set(known), ""


def torchrun(world, *words):
    """One process, without torchrun; test_processes.py has several."""
    options = get_args_parser().parse_args(words[1:])
    assert (options.module, options.training_script) == (True, "deblurlib")
    return deblur(world, "deblur", *options.training_script_args)


def naming(world, *words):
    """It would install, or change the shell: is there what it names?"""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    library = "".join(path.read_text("utf-8") for path in ROOT.glob("deblurlib/**/*.py"))
    wrong = [word for word in words if re.fullmatch(r"\w+\.(txt|toml|yml)", word)]
    wrong = [file for file in wrong if not (ROOT / file).exists()]
    wrong += [word for word in words if word[:2] == ".[" and word[2:-1] not in EXTRAS]
    names = [word.partition("=")[0] for word in words if re.match(r"[A-Z_]+=", word)]
    wrong += [name for name in names if f'"{name}"' not in library]
    if words[:2] == ("conda", "activate"):
        wrong += [word for word in words[2:] if word != environment["name"]]
    if words[0] == "source" and " ".join(words) not in apart("make", "--dry-run", "install")[1]:
        wrong += words
    return wrong, ""


def curl(world, _, *words):
    """The form that it would send, to an app of this test's own; its answer goes to a file."""
    words, fields, sent = list(words), [], {}
    while "-F" in words:
        name, _, value = words.pop(words.index("-F") + 1).partition("=")
        words.remove("-F")
        is_file = value.startswith("@")
        sent.update({name: (value[1:], Path(value[1:]).read_bytes())} if is_file else {})
        fields += [] if is_file else [(name, value)]
    url, option, out = words
    path = url.removeprefix("http://127.0.0.1:7860")
    answer = httpx.post(f"{world.app()}{path}", files=sent, data=dict(fields), timeout=60)
    Path(out).write_bytes(answer.content)
    return option != "-o" or answer.status_code != 200, answer.text[:200]


def apart(*words, folder=ROOT):
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
    done = subprocess.run(words, cwd=folder, **options)
    return done.returncode, done.stdout + done.stderr


KINDS = {
    "curl": curl,
    **{"deblur": deblur, "make": make, "papermill": notebook, "torchrun": torchrun},
    **dict.fromkeys(("python", "python3"), python),
    # these need patterns of files, and are quick
    **dict.fromkeys(
        ("nbstripout", "sha256sum"),
        lambda world, *words: apart("bash", "-c", " ".join(words), folder=Path.cwd()),
    ),
    # hundreds of trainings, on a cluster: what would be started
    "snakemake": lambda world, *words: apart(*words, "--dry-run", folder=Path.cwd()),
    # a test in a test: that there are such tests
    "pytest": lambda world, *words: apart(*words, "--collect-only", "-q"),
    **dict.fromkeys(("conda", "pip", "uv", "source", "export"), naming),
    # what was started before has been stopped, see deblur
    **dict.fromkeys(("sleep", "kill"), lambda world, *words: (0, "")),
}


# ---- the world


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A folder with what the pages speak of, small, and a store with the runs of ``RUNS``."""
    folder = tmp_path_factory.mktemp("pages")
    write_world(folder)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "docs/restoring").mkdir(parents=True)
    shutil.copy(ROOT / "docs/restoring/blurred.jpg", folder / "docs/restoring")
    for name, seed in RUNS.values():
        runs.train_or_load(studies.find_recipe(name, "smoke", seed), folder=folder / "runs")
    return folder


@pytest.fixture
def quickly(tmp_path, monkeypatch):
    """Stand-ins for what takes minutes, or writes into the project."""
    keep_three(monkeypatch)
    monkeypatch.setattr(models, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(restoration, "TILE", 256)
    monkeypatch.setattr(execute, "run_chapter", lambda n, copy, _: execute.Execution(n, copy, 0))
    monkeypatch.setattr(site, "build", lambda *_: tmp_path / "index.html")
    for name in ("publish", "replace_text"):
        monkeypatch.setattr(publish, name, lambda *_: [])
    monkeypatch.setattr(confirm.Page, "state", confirm.WHOLE)
    monkeypatch.setattr(confirm, "confirm", lambda page, show: page)
    monkeypatch.setattr(confirm, "record_anew", lambda page, show: None)
    monkeypatch.setattr(retrain, "retrain", lambda page, count, seed: [])


@pytest.fixture(scope="module")
def app():
    """Where the app is served."""
    with serving() as served:
        yield served.url


@pytest.fixture(scope="module")
def begun():
    """Of each block that has begun: the folder of its stores, and how many of its lines ran."""
    return {}


@pytest.fixture
def play(request, given, begun, tmp_path_factory, monkeypatch, command, quickly):
    """Run a line of a block, after those before it; returns what is wrong, and what was printed.

    Every line finds the files as they were, for pages print alternatives one below the other;
    the stores are those of its block, for there trainings follow each other.
    """
    world = SimpleNamespace(command=command, patch=monkeypatch)
    world.app = lambda: request.getfixturevalue("app")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.setenv(name, "/environment")
    for name in ("MAKEFLAGS", "MAKELEVEL", "VENV"):  # if this is a part of make test
        monkeypatch.delenv(name, raising=False)

    def one(line, stores):
        folder = tmp_path_factory.mktemp("line")
        shutil.copytree(given, folder, dirs_exist_ok=True, ignore=lambda at, _: {"runs"})
        for name in ("runs", "elsewhere"):
            (folder / name).symlink_to(stores / name)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("DEBLURLIB_DATA", str(folder))
        monkeypatch.setenv("DEBLURLIB_RUNS", "runs")
        for words in words_of(line):
            while re.match(r"[A-Z_]+=", words[0]):
                monkeypatch.setenv(*words.pop(0).split("="))
            assert words[0] in KINDS, f"no check is known for {words[0]}"
            wrong, out = KINDS[words[0]](world, *map(os.path.expandvars, words))
            if wrong:
                break
        return wrong, out

    def run(block, n):
        if any(line.startswith("curl") for line, _ in block):
            world.app()  # before a line of the block has a stand-in for the server
        if id(block) not in begun:
            begun[id(block)] = tmp_path_factory.mktemp("stores"), set()
        stores, ran = begun[id(block)]
        if not ran:
            shutil.copytree(given / "runs", stores / "runs")
            (stores / "elsewhere").mkdir()
        for earlier in range(n):
            if earlier not in ran:
                ran.add(earlier)
                one(block[earlier][0], stores)
        ran.add(n)
        return one(block[n][0], stores)

    return run


# ---- the tests


@pytest.mark.parametrize(("page", "block", "n"), list(cases()))
def test_a_command_runs_as_printed_and_prints_what_it_is_said_to(play, page, block, n):
    wrong, out = play(block, n)
    line, said = block[n]
    if not (wrong == 2 and said and all(text.startswith("deblur: ") for text in said)):  # refused
        assert not wrong, f"{page.relative_to(ROOT)}: {line}\n{wrong}\n{out}"
    told = [alike(text) for text in out.splitlines()]
    for text in map(alike, said):
        pattern = re.escape(text).replace(re.escape("..."), ".*")
        assert any(re.fullmatch(pattern, other) for other in told), f"{text!r} is not in\n{out}"


def test_the_run_that_is_killed_has_its_id():
    assert run_id(*RUNS[KILLED], "quick") == KILLED


def test_an_environment_is_named_where_it_is_activated_only():
    for page in PAGES:
        assert not re.search(r"\.venv/bin/(?!activate)", page.read_text("utf-8")), page
