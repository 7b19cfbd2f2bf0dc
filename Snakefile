# The batch: the trainings, then the chapters. `deblur batch` runs it; README.md says how a cluster
# does. At `report` and `full` each recipe and seed is a job of its own; at `smoke` and `quick`, where
# to start a process takes longer than a training, all of a chapter and seed are one job. What was
# killed goes on from its run's last checkpoint.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from deblurlib import runs, studies
from deblurlib.cli.command import parse_seeds
from deblurlib.data import register
from deblurlib.errors import InputError
from deblurlib.report.execute import find_chapters
from deblurlib.report.keys import chapter_of, choose, key_of, project_root
from deblurlib.report.stamp import code_hash
from deblurlib.runs import store
from deblurlib.runs.provenance import code_of
from deblurlib.runs import inputs

ROOT = Path(workflow.basedir)  # for relative paths; the jobs run below build/batch
DEBLUR = f"'{sys.executable}' -m deblurlib"
PROFILE = config.get("profile", "quick")
DATA = str(config.get("data", "sample"))
# Chapters that train, and those (or single pages) that have notebooks; both restricted on request.
TRAINING = list(studies.CHAPTERS)
PAGES = find_chapters([], project_root())
NOTEBOOKS = sorted({chapter_of(key_of(path)) for path in PAGES})
os.environ["DEBLURLIB_RUNS"] = str((ROOT / runs.root()).resolve())  # for the jobs
try:
    if unknown := set(config) - {"profile", "seeds", "data", "chapters"}:
        raise InputError(f"config {min(unknown)!r} is none of profile, seeds, data, chapters")
    SEEDS = parse_seeds(str(config.get("seeds", "0")))
    if DATA != "sample":
        DATA = register(str(ROOT / DATA) if (ROOT / DATA).exists() else DATA)
    if "chapters" in config:
        wanted = [chapter.zfill(2) for chapter in str(config["chapters"]).split(",")]
        choose(wanted, PAGES)  # raises
        there_are = {name for path in PAGES for name in (key_of(path), chapter_of(key_of(path)))}
        TRAINING = [chapter for chapter in TRAINING if chapter in map(chapter_of, wanted)]
        # a chapter has all its pages executed by one job
        covered = {name for name in wanted if name != chapter_of(name) in wanted}
        NOTEBOOKS = [name for name in wanted if name in there_are - covered]
    ALONE = PROFILE not in ("smoke", "quick")
    RECIPES = {}  # job -> what it trains, in order
    for chapter in TRAINING:
        for seed in SEEDS:
            for recipe in studies.recipes(chapter, PROFILE, seed, DATA):
                name = recipe.name.replace("/", "-") if ALONE else chapter
                RECIPES.setdefault(f"{name}-seed-{seed}", []).append(recipe)
    IDS = {job: [inputs.run_id(r) for r in recipes] for job, recipes in RECIPES.items()}
except InputError as error:
    raise WorkflowError(str(error)) from None
for job, ids in IDS.items():  # a run that was removed since is not done
    if any(store.complete(runs.root(), run_id) is None for run_id in ids):
        Path(f"runs/{job}.txt").unlink(missing_ok=True)


def run_depends_on(wildcards):
    """When it changes, the job runs again: the runs, and the code. The job replays their proofs."""
    codes = {code_of(recipe) for recipe in RECIPES[wildcards.job]}
    return f"{' '.join(IDS[wildcards.job])} {' '.join(sorted(codes))}"


def chapter_depends_on(wildcards):
    """The library, the notebooks, and what they are asked for."""
    hashes = [code_hash(path, []) for path in choose([wildcards.chapter], PAGES)]
    return f"{' '.join(hashes)} {PROFILE} {DATA} {SEEDS}"


def how_many_seeds(wildcards):
    """For notebooks that show several trainings of one recipe, of seeds in a row."""
    pages = choose([wildcards.chapter], PAGES)
    asks = all('"n_seeds = ' in path.read_text("utf-8") for path in pages)
    in_a_row = list(range(SEEDS[0], SEEDS[0] + len(SEEDS))) == SEEDS
    return f"-p n_seeds={len(SEEDS)}" if asks and in_a_row else ""


def trained(chapter):
    """The jobs that a chapter needs."""
    return [f"runs/{job}.txt" for job in RECIPES if job.startswith(f"{chapter_of(chapter)}-")]


localrules: all


rule all:
    input:
        [path for chapter in TRAINING for path in trained(chapter)],
        [f"done/{chapter}.txt" for chapter in NOTEBOOKS],


def trained_before(wildcards):
    """The other jobs of the recipes that those of this one stand on."""
    parts = [part for recipe in RECIPES[wildcards.job] for part in recipe.parts.values()]
    others = [job for job, recipes in RECIPES.items() if any(part in recipes for part in parts)]
    return [f"runs/{job}.txt" for job in others if job != wildcards.job]


rule train:
    input:
        trained_before,
    output:
        "runs/{job}.txt",
    params:
        recipes=lambda wildcards: " ".join(r.name for r in RECIPES[wildcards.job]),
        seed=lambda wildcards: RECIPES[wildcards.job][0].seed,
        depends_on=run_depends_on,
    resources:
        gpu=1,
    shell:
        "trap 'rm -f {output}.$$' EXIT; "  # of a job that is cut off nothing stays
        "{DEBLUR} train {params.recipes} --profile {PROFILE} --seed {params.seed} --data '{DATA}'"
        " > {output}.$$ && mv {output}.$$ {output}"


rule chapter:
    input:
        lambda wildcards: trained(wildcards.chapter),
    output:
        "done/{chapter}.txt",
    params:
        depends_on=chapter_depends_on,
        n_seeds=how_many_seeds,
    resources:
        gpu=1,
    shell:
        "trap 'rm -f {output}.$$' EXIT; "
        "{DEBLUR} report {wildcards.chapter} --profile {PROFILE} --seed {SEEDS[0]}"
        " {params.n_seeds} --data '{DATA}' --out . --no-site"
        " > {output}.$$ && mv {output}.$$ {output}"
