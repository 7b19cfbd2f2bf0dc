"""Chapter 07's study: comparisons differ in one thing, and the leaderboard's rows are kept."""

import json
import math
from dataclasses import replace

import pytest
import torch

from deblurlib import degrade, models, restoration, studies
from deblurlib.errors import InputError
from deblurlib.restoration import METHODS
from deblurlib.studies.which import board, lines
from deblurlib.studies.which.claims import claims, correlation
from deblurlib.studies.which.columns import RECORDED, Column, columns
from deblurlib.studies.which.lines import groups_of
from deblurlib.studies.which.recipes import ARCHITECTURES, KINDS, recipes

NARROW = Column("sample", "gaussian-narrow")


@pytest.mark.parametrize("profile", studies.PROFILES)
def test_networks_differ_in_the_blur_alone_and_architectures_cost_alike(profile):
    made = {recipe.name: json.loads(recipe.to_json()) for recipe in recipes(profile, 0, "sample")}
    unets = [made[f"07/on-{kind}"] for kind in KINDS]
    assert all(
        unet | {"name": "", "degradation": ""} == unets[0] | {"name": "", "degradation": ""}
        for unet in unets
    )
    costs = []
    for slug, about in ARCHITECTURES.items():
        network = models.build(about["model"], about["model_args"], 0).eval()
        costs.append(models.multiplications(network, 256, 256))
        same = {
            k: v
            for k, v in made[f"07/{slug}"].items()
            if k not in ("name", "model", "model_args", "optimiser", "steps", "every")
        }
        assert same == {k: made["07/nafnet"][k] for k in same}
    assert max(costs) / min(costs) < 1.01
    paper = {"name": "adamw", "lr": 1e-3, "weight_decay": 1e-3, "betas": [0.9, 0.9]}
    assert made["07/nafnet"]["optimiser"] == paper


def test_first_weights_keep_the_size_of_what_passes(rand):
    y = rand(2, 3, 32, 32)
    sizes = {}
    for how in ("pytorch", "he"):
        deep = models.build("unet", {"width": 8, "first_weights": how}, 0)
        z = y
        for block, _ in zip(deep.encoder, range(3), strict=True):
            z = block(z)
        sizes[how] = (z.square().mean() / y.square().mean()).item()
    assert sizes["he"] > 0.1 > 5 * sizes["pytorch"]
    with pytest.raises(InputError, match="first_weights"):
        models.UNet(first_weights="zeros")


def test_columns_are_told_apart_and_recorded_ones_can_be_left_out():
    listed = columns("sample")
    assert len({(c.data, c.name) for c in listed}) == len(listed)
    assert {c.data for c in columns("sample", recorded=False)} == {"sample"}
    assert [c.data for c in listed if c.kind == "recorded"] == list(RECORDED)


def test_a_column_blurs_each_image_by_its_own_kernel_and_adds_its_noise():
    quiet, noisy = (list(Column("sample", "shake", n).cases(2)) for n in (0.0, 0.02))
    for one, other in zip(quiet, noisy, strict=True):
        again = degrade.convolve(one.x, one.kernel, "valid")
        inner = one.y[..., 12:-12, 12:-12]
        assert (again - inner).abs().max() < 0.5 / 255 + 1e-5
        assert torch.equal(one.kernel, other.kernel)
        assert 0.015 < (other.y - one.y).std() < 0.025
    assert not torch.equal(quiet[0].kernel, quiet[1].kernel)


def test_without_a_known_kernel_only_methods_are_tried_that_need_none():
    known, unknown = (board.methods_for(Column("sample", kind)) for kind in ("box", "s4-camera"))
    assert {m.name for m in known} == set(board.names()) - {"identity"}
    assert {m.name for m in unknown} == {m.name for m in known if m.blind}


@pytest.fixture
def scored(monkeypatch, tmp_path):
    """Two quick methods, an own store, and the images that were restored since."""
    asked = []
    method = METHODS["unsharp-mask"]

    def restore(y, kernel, **settings):
        asked.append(y.shape)
        return method.function(y, kernel, **settings)

    told = replace(method, function=restore)
    monkeypatch.setattr(board, "methods_for", lambda column, device: [told])
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path))
    return asked


def test_rows_are_kept_and_used_again_if_the_first_image_comes_out_the_same(scored, tmp_path):
    rows = board.score(NARROW, 3)
    assert len(scored) == 3
    assert board.score(NARROW, 3) == rows
    assert len(scored) == 4  # the first image, to see whether it is the same
    (path,) = (tmp_path / ".scores").iterdir()
    kept = json.loads(path.read_text("utf-8"))
    kept[0]["psnr"] += 1
    path.write_text(json.dumps(kept), "utf-8")
    again = board.score(NARROW, 3)
    assert [r["psnr"] for r in again] == [r["psnr"] for r in rows]
    assert len(scored) == 4 + 1 + 3


def test_rows_say_what_a_method_has_been_trained_on():
    srn = restoration.find_method("srn")
    assert board._label(srn, "gopro_pairs") == {"method": "srn", "contaminated": "yes"}
    assert board._label(srn, "imagenet") == {"method": "srn"}


def test_the_sharp_image_blurred_again_is_the_blurred_one_but_for_rounding():
    case = next(NARROW.cases(1))
    inner = board.reblurred(case.x, case)
    assert inner < 0.5 < 2 * board.reblurred(case.y, case)


def row(method, image, psnr, **more):
    about = {"data": "own", "channels": "rgb", "degradation": "box", "draw": 0, "scene": image}
    return {"method": method, "image": image, "psnr": psnr, "ssim_gaussian-rgb": 0.5} | about | more


def board_rows(**gains):
    rows = [row("identity", f"i{i}", 20.0 + i) for i in range(6)]
    for method, found in gains.items():
        rows += [row(method.replace("_", "-"), f"i{i}", 20.0 + i + g) for i, g in enumerate(found)]
    return rows


def test_lines_have_groups_that_cannot_be_told_apart_and_intervals_around_the_gain():
    rows = board_rows(
        srn=[2, 3, 2.1, 2.9, 2.2, 2.8],
        wiener=[3, 2, 2.9, 2.1, 2.8, 2.2],
        unsharp_mask=[0.5] * 5 + [0.6],
    )
    found = {line["method"]: line for line in lines(rows)}
    assert found["srn"]["group"] == found["wiener"]["group"] == 1
    assert (found["unsharp-mask"]["group"], found["identity"]["group"]) == (2, 3)
    assert all(line["lo"] <= line["psnr_gain"] <= line["hi"] for line in found.values())
    assert [found[m]["kernel"] for m in ("srn", "wiener")] == ["", "needed"]


def test_lines_leave_out_images_that_not_every_method_has_and_networks_of_the_chapter():
    rows = board_rows(srn=[1] * 6, wiener=[2] * 5)
    rows += [row("07/on-box", f"i{i}", 30.0) for i in range(6)]
    found = lines(rows)
    assert {line["n"] for line in found} == {5}
    assert {line["method"] for line in found} == {"identity", "srn", "wiener"}


def test_lines_of_one_scene_have_no_interval_and_contaminated_ones_say_so():
    rows = [
        r | {"scene": "a", "degradation": "recorded"}
        for r in board_rows(srn=[1] * 6, wiener=[2] * 6)
    ]
    rows = [r | {"contaminated": "yes"} if r["method"] == "srn" else r for r in rows]
    found = {line["method"]: line for line in lines(rows)}
    assert [found[m]["contaminated"] for m in ("srn", "wiener")] == [True, False]
    assert [found["srn"][key] for key in ("lo", "hi", "noise")] == [None] * 3
    with pytest.raises(InputError, match="identity"):
        lines([r for r in rows if r["method"] != "identity"] + [rows[-1] | {"method": "inverse"}])


def test_of_two_scenes_all_methods_are_one_group():
    gains = {"a": {"x": 1.0, "y": 2.0, "z": 1.5}, "b": {"x": 9.0, "y": 9.5, "z": 9.2}}
    assert groups_of(gains, {"x": "s", "y": "s", "z": "t"}) == {"b": 1, "a": 1}
    assert groups_of(gains, {"x": "s", "y": "t", "z": "u"}) == {"b": 1, "a": 2}


def test_a_measure_that_says_the_same_of_all_tells_nothing():
    assert correlation([(0.0, float(i)) for i in range(6)]) == 0
    assert correlation([(float(-i), float(i)) for i in range(6)]) == pytest.approx(-1)
    assert math.isnan(correlation([(0.0, 1.0)] * 4))


def test_claims_on_the_matrix_take_each_network_with_its_blurs():
    rows = []
    for kind in KINDS:
        for i in range(3):
            common = {"degradation": kind, "data": "own"}
            rows.append(row("identity", f"i{i}", 20.0) | common)
            for other in KINDS:
                gain = 2.0 if other == kind else -1.0
                for seed in range(3):
                    run = {"seed": seed, "run": f"{other}{seed}"}
                    rows.append(row(f"07/on-{other}", f"i{i}", 20.0 + gain, **run) | common)
    found = {claim.id: claim for claim in claims(rows)}
    assert found.keys() == {"07a", "07b"}
    assert found["07a"].values == [2.0] * 9
    assert found["07b"].values == [-1.0] * 9
    assert found["07a"].n_seeds == 3
