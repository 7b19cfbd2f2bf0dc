# The batch: one job a recipe and seed, then the chapters. `make batch` runs it; README.md says how
# a cluster does. A job that was killed goes on from its run's last checkpoint.
import os
import sys

from deblurlib import runs, studies
from deblurlib.report.execute import find_chapters, project_root
from deblurlib.runs.drive import code_of
from deblurlib.runs.samples import open_training_images

PROFILE = config.get("profile", "quick")
SEEDS = [int(seed) for seed in str(config.get("seeds", "0")).split(",")]
DATA = config.get("data", "sample")
DEBLUR = f"{sys.executable} -m deblurlib"
# Chapters that train, and chapters that have a notebook; both are restricted on request.
TRAINING = list(studies.CHAPTERS)
NOTEBOOKS = [path.name[:2] for path in find_chapters([], project_root())]
if "chapters" in config:
    wanted = [chapter.zfill(2) for chapter in str(config["chapters"]).split(",")]
    TRAINING, NOTEBOOKS = ([c for c in known if c in wanted] for known in (TRAINING, NOTEBOOKS))
os.environ["DEBLURLIB_RUNS"] = str(runs.root().resolve())  # for the jobs, wherever they run
RECIPES = {
    f"{recipe.name.replace('/', '-')}-seed-{seed}": recipe
    for chapter in TRAINING
    for seed in SEEDS
    for recipe in studies.recipes(chapter, PROFILE, seed, DATA)
}


def meaning(wildcards):
    """What a run depends on: when it changes, the job runs again."""
    recipe = RECIPES[wildcards.job]
    return [recipe.run_id(open_training_images(recipe).fingerprint), code_of(recipe)]


def trained(chapter):
    """The jobs that a chapter needs."""
    return [f"runs/{job}.txt" for job in RECIPES if job.startswith(f"{chapter}-")]


localrules: all


rule all:
    input:
        [path for chapter in TRAINING for path in trained(chapter)],
        [f"done/{chapter}.txt" for chapter in NOTEBOOKS],


rule train:
    output:
        "runs/{job}.txt",
    params:
        recipe=lambda wildcards: RECIPES[wildcards.job].name,
        seed=lambda wildcards: RECIPES[wildcards.job].seed,
        meaning=meaning,
    resources:
        gpu=1,
    shell:
        "{DEBLUR} train {params.recipe} --profile {PROFILE} --seed {params.seed} --data {DATA}"
        " > {output}.$$ && mv {output}.$$ {output}"


rule chapter:
    input:
        lambda wildcards: trained(wildcards.chapter),
    output:
        "done/{chapter}.txt",
    resources:
        gpu=1,
    shell:
        "{DEBLUR} report {wildcards.chapter} --profile {PROFILE} --out . --no-site"
        " > {output}.$$ && mv {output}.$$ {output}"
