"""Runs with a rival, and runs that stand on other runs."""

import itertools
import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
import torch
from standing import Standing
from torch import nn

from deblurlib import fingerprint, models, restoration, runs, studies, training
from deblurlib.errors import InputError
from deblurlib.losses import ADVERSARIAL, OBJECTIVES, Adversarial, Objective
from deblurlib.runs import inputs, players, proof, provenance, run, store


class Bare(nn.Conv2d):
    channels, multiple, margin, receptive_field = 3, 1, 0, 3


SMALL = {"data": "sample", "steps": 4, "batch": 2, "crop": 24, "every": 2}
FIRST = runs.Recipe(
    "03/first", "srcnn", **SMALL, degradation="s1-box", model_args={"channels": 3}, grey=0
)
with mock.patch.dict(models.MODELS, standing=Standing):
    SECOND = runs.Recipe(
        "03/second", "standing", **SMALL, degradation="s1-box", parts={"first": FIRST}
    )
ADAM = {"name": "adam", "lr": 1e-3}
RIVAL = runs.Rival(
    "patch",
    {"width": 4},
    loss="hinge",
    weight=0.1,
    optimiser=ADAM,
    schedule={"name": "cosine"},
    turns=("model", "model", "critic"),
)
GAME = replace(FIRST, name="04/game", steps=6, rival=RIVAL)


@pytest.fixture(autouse=True)
def standing(monkeypatch):
    monkeypatch.setitem(models.MODELS, "standing", Standing)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A store, and in it a run and the one that it stands on."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.MODELS, "standing", Standing)
        second = runs.train_or_load(SECOND, folder=folder)
    return folder, runs.find(folder, "03/first"), second


def get(recipe, folder, capsys, **how):
    """The run, and what was said of it."""
    capsys.readouterr()
    found = runs.train_or_load(recipe, folder=folder, **how)
    return found, [line.split(" (")[0] for line in capsys.readouterr().out.splitlines()]


# --- parts


def test_what_a_run_stands_on_is_trained_first_and_stays_as_it_is(both):
    folder, first, second = both
    assert [r.id for r in store.listed(folder)] == sorted([first.id, second.id])
    trained, inside = first.model().state_dict(), second.model().first.state_dict()
    assert all(torch.equal(inside[key], trained[key]) for key in trained)
    assert second.env["parts"] == {"first": {"run": first.id, "weights": first.weights_hash}}
    untrained = players.build(SECOND)
    assert not torch.equal(second.model().last.weight, untrained.last.weight)
    assert models.parameter_count(untrained) == 6 * 3 * 9 + 3 == second.metrics["parameters"]


def test_a_run_restores_without_those_that_it_stood_on(both, tmp_path, rand):
    _, _, second = both
    y = rand(1, 3, 20, 21)
    expected = second.model()(y)
    (tmp_path / "alone").mkdir()
    second.folder.rename(tmp_path / "alone" / second.id)
    try:
        method = restoration.find_method(second.id, store=tmp_path / "alone")
        torch.testing.assert_close(method(y), expected)
        assert [r.outcome for r in (runs.train_or_load(SECOND, folder=tmp_path / "alone"),)] == [
            "hit"
        ]
    finally:
        (tmp_path / "alone" / second.id).rename(second.folder)


def test_parts_have_the_seed_of_the_whole_and_change_its_id():
    other = SECOND.with_seed(3)
    assert other.parts["first"].seed == 3
    assert runs.Recipe.from_json(other.to_json()) == other
    faster = replace(SECOND, parts={"first": replace(FIRST, optimiser=ADAM)})
    assert len({inputs.run_id(recipe) for recipe in (SECOND, other, faster)}) == 3
    with pytest.raises(InputError, match="the run of each part is needed"):
        SECOND.run_id("data")


def test_a_part_of_other_weights_makes_a_run_stale(both, capsys):
    folder, first, second = both
    assert runs.standing(second) == "same code"
    path = first.folder / "model.safetensors"
    kept = path.read_bytes()
    model = first.model()
    nn.init.zeros_(model.layers[0].weight)
    models.save(model, first.folder)
    assert runs.standing(second) == "other parts"
    loaded, _ = get(SECOND, folder, capsys, stale="load")
    assert (loaded.outcome, loaded.changed) == ("stale", ("the part first",))
    found, said = get(SECOND, folder, capsys)
    assert said == [
        "03/first, seed 0: hit",
        "03/second, seed 0: stale, the part first changed",
        "03/second, seed 0: trained",
    ]
    assert not found.model().first.layers[0].weight.any()
    path.unlink()  # of a part that is damaged, nothing is said
    assert runs.standing(second) == "same code"
    path.write_bytes(kept)
    assert get(SECOND, folder, capsys)[0].outcome == "trained"


def test_a_stale_part_is_trained_anew_and_what_comes_out_the_same_is_stood_on(both, capsys):
    folder, first, _ = both
    (first.folder / "env.json").write_text(json.dumps(first.env | {"code": "0" * 12}))
    _, said = get(SECOND, folder, capsys)
    assert said == [
        "03/first, seed 0: stale, code changed",
        "03/first, seed 0: trained",
        "03/second, seed 0: hit",
    ]


def test_what_stands_on_a_part_of_other_parts_is_stale_too(tmp_path, capsys):
    parts = {"first": replace(FIRST, steps=2)}
    second = replace(SECOND, steps=2, name="03/half", parts=parts)
    third = replace(SECOND, name="03/third", parts={"first": second})
    with mock.patch.object(Standing, "__init__", standing_on_standing):
        whole, said = get(third, tmp_path, capsys)
        assert [line.split(",")[0] for line in said] == ["03/first", "03/half", "03/third"]
        assert whole.recipe == third
        lowest = runs.find(tmp_path, "03/first")
        changed = {k: v + 1 for k, v in lowest.model().state_dict().items()}
        model = lowest.model()
        model.load_state_dict(changed)
        models.save(model, lowest.folder)
        assert runs.standing(whole) == "other parts"
        _, said = get(third, tmp_path, capsys)
        assert said[-2:] == [
            "03/third, seed 0: stale, the part first changed",
            "03/third, seed 0: trained",
        ]


def standing_on_standing(self, first, channels=3):
    """Of what is given of its part, tells which of the two networks that is."""
    nn.Module.__init__(self)
    self.first = Standing(**first) if "first" in first else models.SRCNN(**first)
    self.last = nn.Conv2d(2 * channels, channels, 3, padding=1)
    self.channels = channels


def test_a_part_that_is_stopped_is_what_comes_back(tmp_path, capsys):
    stopped, _ = get(SECOND, tmp_path, capsys, max_minutes=0)
    assert (stopped.outcome, stopped.name, stopped.step) == ("stopped", "03/first", 1)
    _, said = get(SECOND, tmp_path, capsys)
    assert said == ["03/first, seed 0: resumed", "03/second, seed 0: trained"]
    first = runs.find(tmp_path, "03/first")
    (first.folder / "env.json").write_text(json.dumps(first.env | {"code": "0" * 12}))
    again, _ = get(SECOND, tmp_path, capsys, max_minutes=0)
    assert (again.outcome, again.name) == ("stopped", "03/first")  # though the whole is there


def test_nothing_is_trained_on_a_part_that_diverged_or_is_stale(tmp_path, capsys):
    wild = replace(FIRST, optimiser={"name": "sgd", "lr": 1e30})
    with pytest.raises(InputError, match=r"stands on 03/first .*, whose training diverged"):
        get(replace(SECOND, parts={"first": wild}), tmp_path, capsys)
    first, _ = get(FIRST, tmp_path, capsys)
    (first.folder / "env.json").write_text(json.dumps(first.env | {"code": "0" * 12}))
    with pytest.raises(InputError, match=r"stands on 03/first .*, which is stale"):
        get(SECOND, tmp_path, capsys, stale="load")


def test_a_part_that_the_model_does_not_have_is_named(tmp_path):
    for parts in ({"second": FIRST}, {"first": replace(FIRST, model="unet", model_args={})}):
        with pytest.raises(InputError, match=r"has no|no argument"):
            players.build(replace(SECOND, parts=parts))


# --- rivals


@pytest.fixture(scope="module")
def game(tmp_path_factory):
    return runs.train_or_load(GAME, folder=tmp_path_factory.mktemp("game"))


def test_a_run_with_a_rival_keeps_the_model_and_all_losses(game):
    keys = {"code", "data", "versions", "device", "precision", "processes", "before"}
    assert game.env.keys() == keys
    assert [row["step"] for row in game.history] == [2, 4, 6]
    columns = ["step", "loss", "adversarial", "critic", "val_loss", "val_psnr", "seconds"]
    assert list(game.history[0]) == columns
    losses = [row["critic"] for row in game.history]
    assert math.isnan(losses[0])  # it comes after the model's first two turns
    assert all(map(math.isfinite, losses[1:]))
    assert type(game.model()) is models.SRCNN
    tensors, numbers = run.read_state(game.folder)
    assert (numbers["step"], numbers["turn"]) == (6, 8)
    critic = {k.removeprefix("critic.model.") for k in tensors if k.startswith("critic.model.")}
    assert critic == set(models.build_discriminator("patch", {"width": 4}, 0).state_dict())


def test_a_critic_s_accuracy_is_noted_and_changes_no_weight(game, tmp_path):
    recipe = replace(GAME, rival=replace(RIVAL, accuracy=True))
    assert runs.Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.run_id("data") != GAME.run_id("data")
    noted = runs.train_or_load(recipe, folder=tmp_path)
    for row, plain in zip(noted.history, game.history, strict=True):
        accuracy = row.pop("critic_accuracy")
        assert math.isnan(plain["critic"]) or 0 <= accuracy <= 1
        assert repr(row | {"seconds": 0}) == repr(plain | {"seconds": 0})
    (tensors, _), (others, _) = (run.read_state(one.folder) for one in (noted, game))
    for key in {*tensors, *others} - {"total"}:  # of the losses
        assert torch.equal(tensors[key], others[key]), key


def test_a_stopped_game_says_its_steps_not_its_turns(tmp_path, command, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path))
    asked = iter([False] * 2 + [True])

    def stop_after_three_turns(*arguments, **options):
        return fit(*arguments, **options | {"stop": lambda: next(asked)})

    fit = training.fit
    monkeypatch.setattr(training, "fit", stop_after_three_turns)
    stopped = runs.train_or_load(GAME, folder=tmp_path)
    assert (stopped.outcome, stopped.step, stopped.folder.name) == ("stopped", 2, "000000003")
    monkeypatch.setattr(training, "fit", fit)
    assert "stopped at step 2" in command("runs", "list")[1]
    assert runs.train_or_load(GAME, folder=tmp_path).outcome == "resumed"


def test_a_rival_survives_its_text_and_is_part_of_the_id():
    again = runs.Recipe.from_json(GAME.to_json())
    assert again == GAME
    slower = replace(GAME, rival=replace(RIVAL, optimiser={"name": "sgd", "lr": 1e-3}))
    fewer = replace(GAME, rival=replace(RIVAL, turns=("model", "critic")))
    ids = {recipe.run_id("data") for recipe in (GAME, slower, fewer, replace(GAME, rival=None))}
    assert len(ids) == 4
    plain = replace(GAME, rival=runs.Rival("patch"))
    asked = json.loads('{"rival": {"model": "patch"}}')  # its defaults are not in the id
    with mock.patch.object(fingerprint, "of_bytes", lambda text, data: json.loads(text)):
        assert asked.items() <= plain.run_id("data").items()


def test_turns_are_those_until_the_last_step():
    cycles = [("model", "critic"), ("critic", "critic", "model"), ("model", "critic", "model")]
    for turns, steps in itertools.product(cycles, (1, 4, 5)):
        recipe = replace(GAME, steps=steps, rival=replace(RIVAL, turns=turns))
        taken = list(itertools.islice(itertools.cycle(turns), recipe.turns))
        assert taken.count("model") == steps
        assert taken[-1] == "model"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"rival": {"model": "srcnn"}}, "rival: model 'srcnn' is none of flat, patch"),
        ({"rival": {"model": "patch", "loss": "wasserstein"}}, "loss 'wasserstein' is none of"),
        ({"rival": {"model": "patch", "turns": ("model",)}}, "turns are of model and critic"),
        ({"rival": RIVAL, "precision": "fp16"}, "cannot share the scale of fp16"),
    ],
)
def test_a_rival_that_cannot_be_is_named(changed, named):
    with pytest.raises(InputError, match=named):
        replace(FIRST, **changed)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"crop": 20}, "the critic needs a crop of 24 or more"),
        (
            {"model": "autoencoder", "model_args": {"width": 4}, "crop": 20, "rival": None},
            "autoencoder needs a crop of 24 or more",
        ),
        ({"grey": 1, "model_args": {}}, "the critic takes 3 channels"),
        ({"loss": "none", "rival": None}, "the loss none needs a critic"),
        ({"model_args": {"channels": 3}, "rival": None, "model": "told"}, "has no restore"),
    ],
)
def test_networks_that_do_not_fit_are_named(tmp_path, monkeypatch, changed, named):
    class Told(models.SRCNN):
        takes = ("y", "noise")

    monkeypatch.setitem(models.MODELS, "told", Told)
    with pytest.raises(InputError, match=f"04/game: .*{named}"):
        runs.train_or_load(replace(GAME, **changed), folder=tmp_path)


def test_a_proof_sees_both_players_for_two_cycles_and_the_parts(monkeypatch):
    steps, parts = proof.of_recipe(GAME)
    assert steps == 5
    assert {"weights", "weights of the critic", "losses", "rates"} <= parts.keys()
    assert proof.replay(parts, GAME, steps, True) == []
    alone, standing = proof.of_miniature(SECOND, 3), replace(SECOND, steps=400)
    wider = replace(FIRST, model_args={"channels": 3, "widths": "released"})
    assert alone == proof.of_miniature(standing, 3)
    on_wider = proof.of_miniature(replace(SECOND, parts={"first": wider}), 3)
    assert alone["weights"] != on_wider["weights"]
    hinge = ADVERSARIAL["hinge"]
    monkeypatch.setitem(
        ADVERSARIAL, "hinge", Adversarial(lambda r, f: 1.001 * hinge.tell(r, f), hinge.fool)
    )
    assert proof.replay(parts, GAME, steps, True)[0] == "losses"
    slower = replace(GAME, rival=replace(RIVAL, optimiser=ADAM | {"lr": 0.999e-3}))
    monkeypatch.setitem(ADVERSARIAL, "hinge", hinge)
    late = replace(GAME, rival=replace(RIVAL, schedule={"name": "constant", "warmup": 1000}))
    moved = proof.of_miniature(late, 5)["weights of the critic"]["values"][0]
    assert moved > 0.3 * parts["weights of the critic"]["values"][0]  # a warm-up is shortened
    changed = proof.replay(parts, slower, steps, False)
    assert {"weights of the critic", "rates"} <= set(changed)


@pytest.mark.parametrize(
    "other",
    [
        {"model_args": {"width": 6}},
        {"loss": "least-squares"},
        {"weight": 0.2},
        {"optimiser": ADAM | {"lr": 2e-3}},
        {"schedule": {"name": "constant"}},
        {"turns": ("model", "critic")},
    ],
)
def test_each_field_of_a_rival_changes_the_training(other):
    one, another = (
        proof.of_miniature(replace(GAME, rival=rival), 3)["losses"]["values"]
        for rival in (RIVAL, replace(RIVAL, **other))
    )
    assert one != another


def test_the_batch_trains_parts_before_what_stands_on_them():
    rules = (Path(__file__).parents[1] / "Snakefile").read_text("utf-8")
    begin = rules.index("def trained_before(")
    # at smoke and quick a job has several recipes; those in it come in order by themselves
    jobs = {
        "RECIPES": {"a": [SECOND], "b": [FIRST], "c": [FIRST.with_seed(1), SECOND.with_seed(1)]}
    }
    exec(rules[begin : rules.index("rule train:")], jobs)
    asked = type("Wildcards", (), {"job": "a"})
    assert jobs["trained_before"](asked) == ["runs/b.txt"]
    for asked.job in ("b", "c"):
        assert jobs["trained_before"](asked) == []


# --- networks whose output is no image


@pytest.fixture
def edges(monkeypatch):
    """A recipe of a network that makes no image."""
    darkness = Objective(nn.functional.mse_loss, lambda pair: 1 - pair.x)
    monkeypatch.setitem(OBJECTIVES, "darkness", darkness)
    return replace(FIRST, name="03/edges", loss="darkness")


def test_a_network_that_makes_no_image_is_trained_and_scored_nowhere(
    edges, tmp_path, monkeypatch, command
):
    whole = replace(SECOND, parts={"first": edges})
    chapter = type("Chapter", (), {"recipes": lambda *given: [edges, whole]})()
    monkeypatch.setitem(studies.CHAPTERS, "03", chapter)
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path))
    code, out, _ = command("study", "03", "--profile", "smoke")
    lines = [line for line in out.splitlines() if "03/" in line and "│" in line]
    assert code == 0
    assert [line.count(" - ") for line in lines] == [6, 0]
    assert "validation loss" in command("train", "03/edges", "--profile", "smoke")[1]
    listed = command("methods", "--runs")[1]
    part = runs.find(tmp_path, "03/edges")
    assert part.id not in listed
    with pytest.raises(InputError, match=r"03/edges\) makes no image"):
        restoration.find_method("03/edges")
    assert (part.metrics["val_psnr"], part.metrics["val_loss_identity"]) == (None, None)


def test_edges_are_trained_against_a_critic_and_stood_on(tmp_path):
    critic = {"channels": 1, "width": 4, "halvings": 1}
    how = {**SMALL, "degradation": "s2-gaussian", "boundary": "reflect"}
    drawing = runs.Recipe(
        "03/edges",
        "edgenet",
        **how,
        model_args={"width": 4},
        loss="edges",
        loss_args={"low": 50.0},
        norms=True,
        rival=runs.Rival("patch", critic, weight=0.1),
    )
    restoring = runs.Recipe(
        "03/predicted",
        "deblurnet",
        **how,
        model_args={"width": 4, "blocks": 1, "fourth": "predicted"},
        parts={"edges": drawing},
    )
    run = runs.train_or_load(restoring, folder=tmp_path)
    (drawn,) = (r for r in runs.listed(tmp_path) if r.recipe.name == "03/edges")
    for key, weight in drawn.model().state_dict().items():
        assert torch.equal(run.model().edges.state_dict()[key], weight)
    noted = {"loss", "adversarial", "critic", "loss_gradient", "critic_gradient", "val_f"}
    for row in drawn.history:
        assert noted <= row.keys()
        assert min(row["loss_gradient"], row["critic_gradient"]) > 0
        assert 0 <= row["val_f"] <= 1
    assert not drawn.recipe.restores
    assert not noted - {"loss"} & run.history[0].keys()


def test_of_several_outputs_the_first_is_the_image(rand):
    class Both(models.SRCNN):
        def forward(self, y):
            return super().forward(y), y

    model = Both(channels=3)
    y = rand(1, 3, 9, 8)
    torch.testing.assert_close(restoration.of_model("both", model, "")(y), model(y)[0])
    wrong = models.SRCNN(channels=3, padding=False)
    wrong.margin = 0
    with pytest.raises(InputError, match="no image of the size"):
        restoration.of_model("wrong", wrong, "")(rand(1, 3, 20, 20))


def test_a_proof_has_crops_that_its_loss_takes(monkeypatch):
    def needs_eleven(output, x):
        assert x.shape[-1] >= 11
        return (output - x).abs().mean()

    monkeypatch.setitem(OBJECTIVES, "wide", Objective(needs_eleven, least=11))
    proof.of_miniature(replace(FIRST, loss="wide"), 2)


# --- what is not in the library


def test_what_was_put_into_a_loss_is_part_of_the_code(monkeypatch):
    def weighing(weight):
        return lambda output, x: weight * (output - x).square().mean()

    codes = set()
    for loss in (
        *map(weighing, (1.0, 2.0)),
        *(partial(nn.functional.huber_loss, delta=delta) for delta in (1.0, 2.0)),
        *(nn.L1Loss(), nn.MSELoss()),
    ):
        monkeypatch.setitem(OBJECTIVES, "mse", Objective(loss))
        codes.add(provenance.code_of(FIRST))
    assert len(codes) == 6


def test_a_model_from_a_notebook_is_trained(tmp_path, monkeypatch):
    cell = "class Mine(SRCNN):\n    def forward(self, y):\n        return super().forward(y)"
    namespace = {"SRCNN": models.SRCNN, "__name__": "__main__"}
    exec(compile(cell, "cell", "exec"), namespace)
    monkeypatch.setitem(models.MODELS, "mine", namespace["Mine"])
    recipe = replace(FIRST, model="mine")
    trained = runs.train_or_load(recipe, folder=tmp_path)
    assert (trained.outcome, runs.standing(trained)) == ("trained", "same code")
    exec(compile(cell + " * 2", "cell", "exec"), namespace)
    monkeypatch.setitem(models.MODELS, "mine", namespace["Mine"])
    assert runs.standing(trained) == "other code"
    monkeypatch.delitem(models.MODELS, "mine")
    (found,) = store.listed(tmp_path)
    assert found.trouble == "not known here"
    with pytest.raises(InputError, match="it was registered where the run was made"):
        _ = found.recipe


def test_what_is_wrong_with_a_whole_is_said_before_its_parts_are_trained(tmp_path):
    with pytest.raises(InputError, match="the critic needs a crop of 24"):
        runs.train_or_load(replace(SECOND, crop=20, rival=RIVAL), folder=tmp_path)
    assert not list(store.listed(tmp_path))


@pytest.mark.parametrize(
    ("base", "named"), [(nn.Conv2d, "does not say its channels"), (Bare, "PyTorchModelHubMixin")]
)
def test_what_a_model_lacks_is_named(monkeypatch, base, named):
    monkeypatch.setitem(models.MODELS, "bare", base)
    arguments = {"in_channels": 3, "out_channels": 3, "kernel_size": 3}
    with pytest.raises(InputError, match=named):
        players.build(replace(FIRST, model="bare", model_args=arguments))
