"""Scores of methods beside the identity's: by other implementations, and by hand."""

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblurlib import data, degrade, evaluation, files, images, metrics, psf, restoration, runs
from deblurlib.errors import InputError
from deblurlib.evaluation import (
    MEASURES,
    Case,
    cases_of_images,
    cases_of_pairs,
    evaluate,
    score_results,
    summary,
    table,
)
from deblurlib.restoration import METHODS, Method
from deblurlib.runs import Recipe

INVERT = Method("invert", lambda y, kernel: 1 - y, "the negative")
WIENER = Method("wiener", lambda y, kernel: y, "needs the kernel", blind=False)


def noise(seed, height=24, width=30, channels=3):
    return torch.rand(channels, height, width, generator=torch.Generator().manual_seed(seed))


def case(seed=0, height=24, width=30, channels=3):
    """Sharp noise of 8 bit and a blurred image of its own, values beyond [0, 1]."""
    x = images.quantise(noise(seed, height, width, channels)[None])
    y = 0.6 * x + 0.8 * noise(100 + seed, height, width, channels) - 0.2
    return Case(f"{seed}.png", f"scene {seed}", y, x, None)


@pytest.fixture
def sharp(tmp_path):
    """A set of sharp images, each another noise."""
    (tmp_path / "sharp" / "x").mkdir(parents=True)
    for seed, name in enumerate(("b.png", "x/a.png")):
        files.write_image(tmp_path / "sharp" / name, noise(seed, 50, 60))
    return data.open_images(str(tmp_path / "sharp"))


@pytest.fixture
def pairs(tmp_path):
    """A set of pairs, two a scene, of which all but the last have their kernel."""
    for number in range(4):
        scene, stem = tmp_path / "pairs" / "test" / "ab"[number // 2], str(number)
        x, kernel = noise(number)[None], psf.gaussian(0.5 + number)
        for side, image in (("blur", degrade.convolve(x, kernel)), ("sharp", x)):
            (scene / side).mkdir(parents=True, exist_ok=True)
            files.write_image(scene / side / f"{stem}.png", image[0])
        (scene / "kernel").mkdir(exist_ok=True)
        if number < 3:
            np.save(scene / "kernel" / f"{stem}.npy", kernel.numpy())
    return data.open_pairs(str(tmp_path / "pairs"))


def eight_bit(x):
    """``(1, 3, H, W)`` -> uint8 ``(H, W, 3)``, as a file would hold it."""
    values = np.floor(x[0].double().clamp(0, 1).numpy() * 255 + 0.5)
    return values.transpose(1, 2, 0).astype(np.uint8)


def test_the_identity_comes_first_and_once():
    for methods in ([], [INVERT], [INVERT, METHODS["identity"]], [METHODS["identity"]] * 2):
        rows = evaluate(methods, [case(0), case(1)])
        expected = ["identity", *dict.fromkeys(m.name for m in methods if m.name != "identity")]
        assert [row["method"] for row in rows] == 2 * expected
        assert [row["image"] for row in rows] == [f"{i}.png" for i in (0, 1) for _ in expected]
        assert [line["method"] for line in summary(rows)] == expected


@pytest.mark.parametrize("method", [METHODS["identity"], INVERT])
def test_the_scores_are_those_of_scikit_image_on_8_bit_images(method):
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    protocols = {"gaussian-rgb": gaussian, "uniform-rgb": {}}
    cases = [case(0), case(1, 33, 21)]
    rows = [r for r in evaluate([method], cases, tuple(protocols)) if r["method"] == method.name]
    for row, one in zip(rows, cases, strict=True):
        ssims = [f"ssim_{protocol}" for protocol in protocols]
        assert list(row) == ["method", "image", "scene", "psnr", *ssims, "seconds"]
        assert (row["image"], row["scene"]) == (one.image, one.scene)
        assert {type(row[key]) for key in list(row)[3:]} == {float}
        restored, sharp = eight_bit(method(one.y)), eight_bit(one.x)
        psnr = peak_signal_noise_ratio(sharp, restored, data_range=255)
        assert row["psnr"] == pytest.approx(psnr, abs=1e-4)
        for key, options in zip(ssims, protocols.values(), strict=True):
            ssim = structural_similarity(sharp, restored, channel_axis=2, data_range=255, **options)
            assert row[key] == pytest.approx(ssim, abs=1e-4)


def test_a_score_that_runs_out_of_memory_is_one_sentence_that_names_the_image(monkeypatch):
    def greedy(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(metrics, "ssim", greedy)
    with pytest.raises(
        InputError, match=r"^identity on 0\.png: not enough memory; a smaller image"
    ):
        evaluate([INVERT], [case(0)])


def test_a_network_that_is_shown_the_sharp_image_is_scored_and_restores_nothing_without(
    tmp_path,
):
    recipe = Recipe(
        "03/small",
        "deblurnet",
        "sample",
        steps=2,
        batch=2,
        crop=32,
        degradation="s2-gaussian",
        boundary="reflect",
        model_args={"width": 4, "blocks": 1, "fourth": "sharp"},
    )
    run = runs.train_or_load(recipe, folder=tmp_path)
    method, model = restoration.of_run(run), run.model()
    assert method.oracle
    cases = [case(0, 32, 36), case(1, 30, 33)]
    rows = [r for r in evaluate([method], cases) if r["method"] == method.name]
    for row, one in zip(rows, cases, strict=True):
        (height, width), sides = one.y.shape[-2:], [(0, -n % 4) for n in one.y.shape[-2:]]
        pads = [(0, 0), (0, 0), *sides]
        y, x = (torch.from_numpy(np.pad(z, pads, mode="reflect")) for z in (one.y, one.x))
        with torch.inference_mode():
            x_hat = model(y, x)[..., :height, :width]
        psnr = peak_signal_noise_ratio(eight_bit(one.x), eight_bit(x_hat), data_range=255)
        assert row["psnr"] == pytest.approx(psnr, abs=1e-4)
        assert not torch.equal(model(y, 0 * x), model(y, x))  # it does look
        torch.testing.assert_close(method(one.y, None, one.x), x_hat, rtol=0, atol=1e-6)
        arrays = method(one.y.clamp(0, 1).numpy(), sharp=one.x.numpy())
        torch.testing.assert_close(
            torch.from_numpy(arrays), method(one.y.clamp(0, 1), sharp=one.x), rtol=0, atol=1e-6
        )
    for alone in (lambda: method(one.y), lambda: restoration.restore(noise(0), method)):
        with pytest.raises(InputError, match="03/small is shown the sharp image, and restores"):
            alone()
    grey = case(2, 30, 33, channels=1)
    assert method(grey.y, sharp=grey.x).shape == grey.x.shape
    assert not restoration.METHODS["identity"].oracle


@pytest.mark.parametrize("offset", [0.4 / 255, -0.4 / 255])
def test_what_a_file_would_not_hold_is_not_scored(offset):
    x = torch.tensor([0.0, 0.25, 1.0]).mul(255).round().div(255).view(1, 1, 1, 3)
    near = Method("near", lambda y, kernel: y + offset, "off by less than half a level")
    beyond = Method("beyond", lambda y, kernel: torch.where(y == 1, 7.0, y), "over-exposed")
    rows = evaluate([near, beyond], [Case("a", "a", x, x, None)])
    assert [row["psnr"] for row in rows] == [math.inf] * 3


def test_seconds_are_of_the_restoration_alone(monkeypatch):
    clock, psnr = [0.0], metrics.psnr

    def taking(seconds, result):
        clock[0] += seconds
        return result

    monkeypatch.setattr(evaluation.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(metrics, "psnr", lambda *given: taking(100, psnr(*given)))
    slow = Method("slow", lambda y, kernel: taking(3, y), "takes its time")
    rows = evaluate([slow], (taking(10, case(i)) for i in range(2)))
    assert [row["seconds"] for row in rows] == [0, 3, 0, 3]


@pytest.mark.parametrize("protocol", metrics.SSIM_PROTOCOLS)
def test_an_image_too_small_or_grey_where_a_protocol_needs_more_has_no_ssim(protocol):
    least = metrics.SSIM_PROTOCOLS[protocol].least_size
    sized = case(0, least, least + 3), case(1, least + 3, max(least - 1, 1))
    cases = [(sized[0], True), (sized[1], least == 1)]
    cases.append((case(2, least, least, channels=1), protocol != "gaussian-y"))
    for one, scored in cases:
        rows = evaluate([INVERT], [one], (protocol,))
        assert [row[f"ssim_{protocol}"] is not None for row in rows] == [scored] * 2
        assert all(math.isfinite(row["psnr"]) for row in rows)
        assert (summary(rows, protocol)[1]["ssim"] is not None) == scored


@pytest.mark.parametrize("channels", [1, 3])
def test_measures_are_those_of_their_functions_on_8_bit_images(channels):
    one = case(0, 64, 70, channels)
    one = replace(one, y=one.y + 0.3 * (torch.arange(70) % 2))  # a grid, too
    rows = evaluate([INVERT], [one], (), measures=tuple(MEASURES))
    assert {"blur_effect", "checkerboard", "colour_drift"} <= MEASURES.keys()
    for row, x_hat in zip(rows, (one.y, 1 - one.y), strict=True):
        assert list(row) == ["method", "image", "scene", "psnr", *MEASURES, "seconds"]
        for name, measure in MEASURES.items():
            expected = measure.function(images.quantise(x_hat), one.x).item()
            assert row[name] == pytest.approx(expected, rel=1e-6)
            assert expected != pytest.approx(measure.function(x_hat, one.x).item(), rel=1e-6)


def test_a_border_is_restored_and_not_scored():
    def scores(method, one, **more):
        rows = evaluate([method], [one], ("uniform-rgb",), measures=["blur_effect"], **more)
        return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]

    def wreck(width):
        """A method as ``INVERT``, with a border of no numbers."""
        inner = (..., slice(width, -width), slice(width, -width))

        def method(y, kernel):
            assert y.shape == (1, 3, 24, 30)
            x_hat = torch.full_like(y, math.nan)
            x_hat[inner] = 1 - y[inner]
            return x_hat

        return Method("invert", method, "the negative, less a border")

    one = case(0)
    y, x = (images.centre_crop(z, 16, 22) for z in (one.y, one.x))
    cut = scores(INVERT, Case(one.image, one.scene, y, x, None))
    assert scores(INVERT, one, border=4) == scores(wreck(4), one, border=4) == cut
    assert scores(INVERT, one)[1]["psnr"] != cut[1]["psnr"]
    assert math.isnan(scores(wreck(5), one, border=4)[1]["psnr"])


@pytest.mark.parametrize("border", [12, 13, 24, -1])
def test_a_border_that_leaves_nothing_is_an_input_error(border):
    with pytest.raises(InputError, match=f"border of {border}"):
        evaluate([INVERT], [case(0)], (), border=border)
    assert evaluate([INVERT], [case(0)], (), border=11)


def never():
    raise AssertionError("asked for a case")
    yield


TWINS = [Method("02/motion", lambda y, kernel, s=s: y + s, f"seed {s}") for s in (0.1, 0.2)]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (([INVERT], never(), ("gaussian-rgb", "wang")), "'wang' is none of gaussian-rgb, uniform"),
        (([INVERT], never(), (), "cpu", ["lpips"]), "'lpips' is none of gradient_similarity"),
        ((TWINS, never()), "one name"),
        (([INVERT], iter(())), "nothing to evaluate on"),
    ],
)
def test_what_cannot_be_evaluated_is_an_input_error_before_anything_is_restored(arguments, named):
    with pytest.raises(InputError, match=named):
        evaluate(*arguments)


@pytest.mark.parametrize("change", [lambda y: y[..., :-1], lambda y: y[:, :1], lambda y: y[0]])
def test_a_method_that_changes_the_shape_is_named_with_the_image(change):
    cutter = Method("cutter", lambda y, kernel: change(y), "changes the shape")
    shape = tuple(change(case(5).y).shape)
    with pytest.raises(InputError) as error:
        evaluate([cutter], [case(5)])
    for part in ("cutter", "5.png", str(shape), "(1, 3, 24, 30)"):
        assert part in str(error.value)


def row(method, image, psnr, ssim, seconds=0.0, uniform=None):
    scores = {"psnr": psnr, "ssim_gaussian-rgb": ssim, "ssim_uniform-rgb": uniform}
    return {"method": method, "image": image, "scene": image, **scores, "seconds": seconds}


def test_the_summary_of_two_methods_by_hand():
    rows = [
        *(row("identity", "p", 20.0, 0.5, 0.5), row("identity", "q", 30.0, 0.9, 1.5)),
        *(row("identity", "r", 25.0, None, 1.0), row("identity", "s", math.inf, 1.0, 1.0)),
        *(row("a", "p", 21.0, 0.7, 1.0), row("a", "q", 29.0, None, 2.0)),
        *(row("a", "r", 28.0, None, 3.0), row("a", "s", 50.0, 0.8, 6.0)),
        *(row("b", "p", 20.0, 0.1), row("b", "q", 30.5, 0.2)),
        *(row("b", "r", math.inf, 0.3), row("b", "s", math.inf, 0.4)),
    ]
    mixed = sorted(rows, key=lambda r: r["image"])  # as evaluate gives them, image by image
    base = {"n": 4, "identity_perfect": 1, "ssim_protocol": "gaussian-rgb"}
    # PSNR over p, q and r, of b over p and q; SSIM over p, q and s, of a and b over those they have
    expected = [
        {"method": "identity", "psnr": 25.0, "ssim": 0.8, "psnr_gain": 0.0}
        | {"identity_psnr": 25.0, "identity_ssim": 0.8}
        | {"win_rate": 0.0, "perfect": 1, "seconds": 1.0},
        {"method": "a", "psnr": 26.0, "ssim": 0.75, "psnr_gain": 1.0}
        | {"identity_psnr": 25.0, "identity_ssim": 0.75}
        | {"win_rate": 0.5, "perfect": 0, "seconds": 3.0},
        {"method": "b", "psnr": 25.25, "ssim": 0.7 / 3, "psnr_gain": 0.25}
        | {"identity_psnr": 25.0, "identity_ssim": 0.8}
        | {"win_rate": 0.5, "perfect": 2, "seconds": 0.0},
    ]
    for order in (rows, mixed):
        for line, wanted in zip(summary(order), expected, strict=True):
            assert line == pytest.approx(base | wanted)


def test_the_summary_has_the_ssim_that_is_wanted():
    rows = [row("identity", "p", 20.0, 0.5, uniform=0.4), row("a", "p", 20.0, 0.6, uniform=0.3)]
    _, line = summary(rows, "uniform-rgb")
    assert (line["ssim"], line["identity_ssim"]) == (0.3, 0.4)
    assert line["ssim_protocol"] == "uniform-rgb"


@pytest.mark.parametrize(("worst", "perfect"), [(math.inf, 1), (-math.inf, 0), (math.nan, 0)])
def test_without_a_finite_score_or_with_one_that_is_no_number_there_is_no_mean(worst, perfect):
    rows = [row("identity", "p", 20.0, 0.5), row("a", "p", worst, 0.5)]
    if math.isnan(worst):
        rows += [row("identity", "q", 20.0, 0.5), row("a", "q", 10.0, math.nan)]
        assert summary(rows)[1]["ssim"] is None
    line = summary(rows)[1]
    assert (line["psnr"], line["psnr_gain"]) == (None, None)
    assert (line["perfect"], line["win_rate"]) == (perfect, perfect)


def test_a_row_is_compared_with_the_identity_of_its_own_case():
    own = {"data": "d", "channels": "rgb", "degradation": "g", "draw": 0}
    others = [own | other for other in ({"draw": 1}, {"channels": "grey"}, {"degradation": "h"})]
    others += [own | {"data": "e"}, {"degradation": "g", "image": "q"}]
    cases = [own, *others]
    rows = [row("identity", "p", 10.0 * i, 0.1 * i) | c for i, c in enumerate(cases, 1)]
    for i, where in enumerate(cases, 1):
        one = row("a", "p", 10.0 * i + 3, 0.5) | where | {"seed": 4}  # a training's: no matter
        for order in (rows, rows[::-1]):
            line = next(x for x in summary([*order, one]) if x["method"] == "a")
            assert (line["psnr_gain"], line["identity_psnr"]) == (3, 10.0 * i)
    with pytest.raises(InputError, match="b is scored on draw 2, image p, the identity is not"):
        summary([*rows, row("b", "p", 21.0, 0.5) | {"draw": 2}])


@pytest.mark.parametrize("scores", [(20.1, 0.5), (20.0, 0.6), (math.nan, 0.5), (20.0, None)])
def test_two_scores_of_the_identity_for_one_case_are_refused_where_they_differ(scores):
    rows = [row("identity", "p", 20.0, 0.5), row("a", "p", 21.0, 0.5)]
    twice = summary([*rows, row("identity", "p", 20.0 + 1e-6, 0.5, seconds=1.0)])
    assert twice[1] == summary(rows)[1]
    for order in ([*rows, row("identity", "p", *scores)], [row("identity", "p", *scores), *rows]):
        with pytest.raises(InputError, match=r"identity has two scores on image p: .* data, chan"):
            summary(order)
    for same in (math.nan, math.inf):
        assert summary([row("identity", "p", same, 0.5)] * 2)


def test_the_cases_of_pairs_are_the_pairs_and_methods_are_given_their_kernels(pairs):
    given = []
    look = Method("look", lambda y, k: given.append(k) or y, "looks")
    rows = [r for r in evaluate([look], cases_of_pairs(pairs)) if r["method"] == "look"]
    assert given == [None] * len(rows)  # a blind method is not told
    given.clear()
    evaluate([replace(look, blind=False)], islice(cases_of_pairs(pairs), 3))
    for i, (one, (y, x)) in enumerate(zip(cases_of_pairs(pairs), pairs, strict=True)):
        scene = "test/" + "ab"[i // 2]
        assert (rows[i]["scene"], rows[i]["image"]) == (scene, f"{scene}/sharp/{i}.png")
        assert torch.equal(one.y, y[None])
        assert torch.equal(one.x, x[None])
        assert not torch.equal(one.y, one.x)
        assert one.kernel is None if i == 3 else torch.equal(given[i], psf.gaussian(0.5 + i))
    with pytest.raises(InputError, match="wiener needs the kernel"):
        evaluate([WIENER], cases_of_pairs(pairs))


def test_grey_cases_may_have_three_equal_channels(pairs, sharp):
    for make, some in ((cases_of_pairs, (pairs,)), (cases_of_images, (sharp, "s1-box", 0))):
        ones, threes = ([*make(*some, grey=channels)] for channels in (1, 3))
        assert len(threes) == len(ones) > 1
        for one, three in zip(ones, threes, strict=True):
            for a, b in ((one.y, three.y), (one.x, three.x)):
                assert (a.shape[1], b.shape[1]) == (1, 3)
                torch.testing.assert_close(b, a.expand(b.shape), rtol=0, atol=1 / 254)
                assert torch.equal(b[:, 1:], b[:, :-1])


@pytest.mark.parametrize("degradation", ["s2-gaussian", "s3-mixture", "shake"])
def test_the_seed_decides_the_cases_of_images(sharp, degradation):
    first, again, other = ([*cases_of_images(sharp, degradation, seed)] for seed in (3, 3, 4))
    for one, same, another in zip(first, again, other, strict=True):
        assert torch.equal(one.y, same.y)
        assert torch.equal(one.x, same.x)
        assert torch.equal(one.x, another.x)
        assert not torch.equal(one.y, another.y)
    assert not torch.equal(first[0].kernel, first[1].kernel)


@pytest.mark.parametrize("degradation", ["s1-motion", "s3-mixture"])
def test_the_kernel_of_a_case_is_the_one_that_blurred_it(sharp, degradation):
    cases = list(cases_of_images(sharp, degradation, 5))
    assert [(c.image, c.scene) for c in cases] == [("b.png", "b.png"), ("x/a.png", "x/a.png")]
    for one, x in zip(cases, sharp, strict=True):
        assert one.kernel.ndim == 2
        blurred = degrade.convolve(x[None], one.kernel, "valid")
        assert torch.equal(one.y, images.quantise(blurred))
        top, left = (side // 2 for side in one.kernel.shape)
        height, width = one.y.shape[-2:]
        assert torch.equal(one.x[0], x[:, top : top + height, left : left + width])


def test_the_path_of_a_camera_is_no_kernel(sharp):
    one = next(cases_of_images(sharp, "s4-camera", 0))
    assert one.kernel is None
    with pytest.raises(InputError, match="wiener needs the kernel, and none is known"):
        evaluate([WIENER], [one])


def test_the_options_of_the_pairs_are_passed_on_and_an_unknown_degradation_is_named(sharp):
    one = next(cases_of_images(sharp, "s1-box", 0, side=11, grey=True))
    assert one.y.shape == one.x.shape == (1, 1, 11, 11)
    with pytest.raises(InputError, match="degradation 'fog' is none of s1-gaussian, s1-box"):
        next(cases_of_images(sharp, "fog", 0))


def test_a_table_says_in_aligned_text_what_the_summary_does():
    fourth = Method("fourth", lambda y, kernel: 0.75 * y, "darker")
    rows = evaluate([INVERT, fourth], [case(0), case(1)])
    head, *lines = table(rows).splitlines()
    assert [len(line) for line in lines[1:]] == [len(head)] * 2
    for line, expected in zip(lines, summary(rows), strict=True):
        name, n, psnr, ssim, *more = line.split()
        assert (name, int(n)) == (expected["method"], 2)
        assert float(psnr) == pytest.approx(expected["psnr"], abs=0.006)
        assert float(ssim) == pytest.approx(expected["ssim"], abs=6e-5)
        gain = [f"{expected['psnr_gain']:+.2f}", f"{expected['win_rate']:.0%}"]
        assert more == ([] if name == "identity" else gain)


def test_a_table_says_what_it_has_no_mean_of_and_what_is_left_out():
    small = case(0, height=5)  # too small for the SSIM
    perfect = Method("perfect", lambda y, kernel: small.x, "the sharp image")
    head, identity, line, note = table(evaluate([perfect], [small])).splitlines()
    assert "SSIM gaussian-rgb" in head
    assert identity.split() == ["identity", "1", "11.91", "-"]
    assert line.split() == ["perfect", "1", "-", "-", "-", "100%"]
    assert note == "without the images that are perfect: perfect on 1 of 1"


# ---- what another program restored


def test_results_in_files_are_scored_as_a_method_that_returns_them(tmp_path):
    cases = [case(0), replace(case(1), image="test/1.png")]
    grey = case(2, channels=1)
    for number, one in enumerate((*cases, grey)):
        files.write_image(tmp_path / f"{number}.png", INVERT(one.y)[0])
    (tmp_path / "notes.txt").write_text("made by another program")
    options = {"border": 2, "measures": ("blur_effect",)}
    inverted = [row for row in evaluate([INVERT], [*cases, grey], **options)][1::2]
    rows = score_results("theirs", tmp_path, [*cases, grey], **options)
    for row, other in zip(rows, inverted, strict=True):
        assert row == other | {"method": "theirs", "seconds": None}
    both = evaluate([INVERT], [*cases, grey], **options) + rows
    assert [line.split()[0] for line in table(both).splitlines()[1:]] == [
        "identity",
        "invert",
        "theirs",
    ]


def test_results_in_files_that_are_not_those_of_the_cases_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no picture for 0.png; one of the stem 0"):
        score_results("theirs", tmp_path / "missing", [case(0)])
    files.write_image(tmp_path / "0.png", noise(0)[:, 1:])
    with pytest.raises(InputError, match=r"0.png: 30 x 23 pixels; the sharp image has 30 x 24"):
        score_results("theirs", tmp_path, [case(0)])
    files.write_image(tmp_path / "0.jpg", noise(0))
    with pytest.raises(InputError, match=r"0.jpg and 0.png for 0.png"):
        score_results("theirs", tmp_path, [case(0)])
    with pytest.raises(InputError, match="identity is the name of doing nothing"):
        score_results("identity", tmp_path, [case(0)])
    with pytest.raises(InputError, match="SSIM protocol 'x' is none of"):
        score_results("theirs", tmp_path, [case(0)], protocols=("x",))
