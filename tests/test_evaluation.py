"""Scores of methods beside the identity's: by other implementations, and by hand."""

import math
import time

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblurlib import data, degrade, files, images, metrics, psf
from deblurlib.errors import InputError
from deblurlib.evaluation import Case, cases_of_images, cases_of_pairs, evaluate, summary
from deblurlib.perception import MEASURES
from deblurlib.restoration import METHODS, Method

INVERT = Method("invert", lambda y, kernel: 1 - y, "the negative")
NOT_A_NUMBER = Method("broken", lambda y, kernel: y * math.nan, "returns no number")


def eight_bit(x):
    """``(1, 3, H, W)`` -> uint8 ``(H, W, 3)``, as a file would hold it."""
    values = np.floor(x[0].double().clamp(0, 1).numpy() * 255 + 0.5)
    return values.transpose(1, 2, 0).astype(np.uint8)


def write_set(folder, names, height=24, width=30):
    """A set of sharp images, each another noise; returns the folder's path as text."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        x = torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))
        files.write_image(folder / name, x)
    return str(folder)


def write_pairs(folder, scenes=("a", "b"), kernels=(0,), split="test"):
    """A set of pairs, two a scene; those of the numbers in ``kernels`` have a kernel."""
    for number in range(2 * len(scenes)):
        scene, stem = folder / split / scenes[number // 2], str(number)
        sharp = torch.rand(1, 3, 20, 26, generator=torch.Generator().manual_seed(number))
        kernel = psf.gaussian(0.5 + number)
        write_pair(scene, stem, degrade.convolve(sharp, kernel), sharp)
        if number in kernels:
            (scene / "kernel").mkdir(exist_ok=True)
            np.save(scene / "kernel" / f"{stem}.npy", kernel.numpy())
    return str(folder)


def write_pair(scene, stem, y, x):
    for side, image in (("blur", y), ("sharp", x)):
        (scene / side).mkdir(parents=True, exist_ok=True)
        files.write_image(scene / side / f"{stem}.png", image[0])


@pytest.fixture
def case(rand):
    """``case(7)``: sharp noise of 8 bit and a blurred image of its own, values beyond [0, 1]."""

    def make(seed=0, height=24, width=30, channels=3):
        x = images.quantise(rand(1, channels, height, width, seed=seed))
        noise = rand(1, channels, height, width, seed=100 + seed)
        return Case(f"{seed}.png", f"scene {seed}", 0.6 * x + 0.8 * noise - 0.2, x, None)

    return make


def test_the_identity_comes_first_and_once(case):
    for methods in ([], [INVERT], [INVERT, METHODS["identity"]], [METHODS["identity"]] * 2):
        rows = evaluate(methods, [case(0), case(1)])
        expected = ["identity", *dict.fromkeys(m.name for m in methods if m.name != "identity")]
        assert [row["method"] for row in rows] == 2 * expected
        assert [row["image"] for row in rows] == [f"{i}.png" for i in (0, 1) for _ in expected]
        assert [line["method"] for line in summary(rows)] == expected


def test_a_row_says_of_what_it_is(case):
    for row in evaluate([INVERT], [case(3)], ("uniform-rgb", "gaussian-y")):
        assert list(row) == [
            *("method", "image", "scene", "psnr", "ssim_uniform-rgb", "ssim_gaussian-y", "seconds")
        ]
        assert (row["image"], row["scene"]) == ("3.png", "scene 3")
        assert {type(row[key]) for key in list(row)[3:]} == {float}


@pytest.mark.parametrize("method", [METHODS["identity"], INVERT, METHODS["unsharp-mask"]])
def test_the_scores_are_those_of_scikit_image_on_8_bit_images(case, method):
    protocols = {
        "gaussian-rgb": {
            "gaussian_weights": True,
            "sigma": 1.5,
            "use_sample_covariance": False,
        },
        "uniform-rgb": {},
    }
    cases = [case(0), case(1, 33, 21)]
    rows = [r for r in evaluate([method], cases, tuple(protocols)) if r["method"] == method.name]
    for row, one in zip(rows, cases, strict=True):
        restored, sharp = eight_bit(method(one.y)), eight_bit(one.x)
        psnr = peak_signal_noise_ratio(sharp, restored, data_range=255)
        assert row["psnr"] == pytest.approx(psnr, abs=1e-4)
        for protocol, options in protocols.items():
            ssim = structural_similarity(sharp, restored, channel_axis=2, data_range=255, **options)
            assert row[f"ssim_{protocol}"] == pytest.approx(ssim, abs=1e-4)


@pytest.mark.parametrize("offset", [0.4 / 255, -0.4 / 255])
def test_what_a_file_would_not_hold_is_not_scored(offset):
    x = torch.tensor([0.0, 0.25, 1.0]).mul(255).round().div(255).view(1, 1, 1, 3)
    near = Method("near", lambda y, kernel: y + offset, "off by less than half a level")
    beyond = Method("beyond", lambda y, kernel: torch.where(y == 1, 7.0, y), "over-exposed")
    rows = evaluate([near, beyond], [Case("a", "a", x, x, None)])
    assert [row["psnr"] for row in rows] == [math.inf] * 3


def test_perfect_images_are_counted_and_left_out_of_the_mean(case):
    one, two = case(0), case(1)
    negative = Case(one.image, one.scene, 1 - one.x, one.x, None)
    rows = evaluate([INVERT], [negative, two])
    own = [row for row in rows if row["method"] == "invert"]
    assert own[0]["psnr"] == math.inf
    assert own[0]["ssim_gaussian-rgb"] == pytest.approx(1, abs=1e-6)
    identity, line = summary(rows)
    assert (identity["perfect"], line["perfect"], line["n"]) == (0, 1, 2)
    assert line["psnr"] == own[1]["psnr"] < math.inf
    assert line["win_rate"] == 0.5


def test_the_worst_score_is_not_counted_as_perfect():
    rows = [{"method": "identity", "psnr": 20.0}, {"method": "a", "psnr": -math.inf}]
    assert [line["perfect"] for line in summary(rows)] == [0, 0]


def test_where_all_is_perfect_there_is_no_mean(case):
    x = case(0).x
    (line,) = summary(evaluate([], [Case("a", "a", x, x, None)]))
    assert (line["psnr"], line["psnr_gain"], line["perfect"], line["win_rate"]) == (
        None,
        None,
        1,
        0,
    )


def test_what_is_not_a_number_has_no_mean_and_wins_nothing(case):
    shapes = iter([1.0, math.nan])
    once = Method("once", lambda y, kernel: y * next(shapes), "fails on the second image")
    rows = evaluate([NOT_A_NUMBER, once], [case(0), case(1)])
    identity, broken, once = summary(rows)
    assert identity["psnr"] is not None
    for line in (broken, once):
        assert (line["psnr"], line["ssim"], line["psnr_gain"]) == (None, None, None)
        assert (line["win_rate"], line["perfect"], line["n"]) == (0, 0, 2)


def test_a_tie_is_no_win(case):
    same = Method("same", lambda y, kernel: y.clone(), "the identity by another name")
    _, line = summary(evaluate([same], [case(0), case(1)]))
    assert line["win_rate"] == 0
    assert line["psnr_gain"] == 0


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


def test_a_row_whose_case_the_identity_is_not_scored_on_is_named():
    rows = [row("identity", "p", 20.0, 0.5) | {"draw": 0}, row("a", "p", 21.0, 0.5) | {"draw": 1}]
    with pytest.raises(InputError, match="a is scored on draw 1, image p, the identity is not"):
        summary(rows)


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


def test_a_row_is_compared_with_the_identity_of_its_own_case():
    own = {"data": "d", "channels": "rgb", "degradation": "g", "draw": 0}
    others = [own | other for other in ({"draw": 1}, {"channels": "grey"}, {"degradation": "h"})]
    others += [own | {"data": "e"}, {"degradation": "g", "image": "q"}]
    cases = [own, *others]
    rows = [row("identity", "p", 10.0 * i, 0.1 * i) | c for i, c in enumerate(cases, 1)]
    for i, case in enumerate(cases, 1):
        one = row("a", "p", 10.0 * i + 3, 0.5) | case | {"seed": 4}  # a training's: no matter
        for order in (rows, rows[::-1]):
            line = next(x for x in summary([*order, one]) if x["method"] == "a")
            assert (line["psnr_gain"], line["identity_psnr"]) == (3, 10.0 * i)


def test_the_summary_has_the_ssim_that_is_wanted():
    rows = [row("identity", "p", 20.0, 0.5, uniform=0.4), row("a", "p", 20.0, 0.6, uniform=0.3)]
    _, line = summary(rows, "uniform-rgb")
    assert (line["ssim"], line["identity_ssim"]) == (0.3, 0.4)
    assert line["ssim_protocol"] == "uniform-rgb"


def test_the_gain_is_over_the_images_of_which_both_have_a_finite_score():
    rows = [row("identity", "p", 10.0, 0.5), row("identity", "q", 40.0, 0.5)]
    rows += [row("a", "p", math.inf, 1.0), row("a", "q", 39.0, 0.5)]
    _, line = summary(rows)
    assert line["psnr_gain"] == -1


def test_two_methods_of_one_name_are_an_input_error_or_kept_apart(case):
    methods = [Method("02/motion", lambda y, kernel, s=s: y + s, f"seed {s}") for s in (0.1, 0.2)]
    try:
        lines = summary(evaluate(methods, [case(0)]))
    except InputError:
        return
    assert len(lines) == 3


@pytest.mark.parametrize("protocol", metrics.SSIM_PROTOCOLS)
def test_an_image_too_small_for_a_protocol_has_no_ssim(case, protocol):
    least = metrics.SSIM_PROTOCOLS[protocol].least_size
    fits, small = case(0, least, least + 3), case(1, least + 3, max(least - 1, 1))
    for one, scored in ((fits, True), (small, least == 1)):
        rows = evaluate([INVERT], [one], (protocol,))
        for r in rows:
            assert (r[f"ssim_{protocol}"] is not None) == scored
            assert math.isfinite(r["psnr"])
        assert (summary(rows, protocol)[1]["ssim"] is not None) == scored


def test_grey_cases_may_have_three_equal_channels(tmp_path):
    recorded = data.open_pairs(write_pairs(tmp_path / "pairs"), "test")
    sharp = data.open_images(write_set(tmp_path / "sharp", ["a.png", "b.png"]))
    for make, some in (
        (cases_of_pairs, (recorded,)),
        (cases_of_images, (sharp, "s1-box", 0)),
    ):
        ones, threes = ([*make(*some, grey=channels)] for channels in (1, 3))
        assert len(threes) == len(ones) > 1
        for one, three in zip(ones, threes, strict=True):
            for a, b in ((one.y, three.y), (one.x, three.x)):
                assert (a.shape[1], b.shape[1]) == (1, 3)
                torch.testing.assert_close(b, a.expand(b.shape), rtol=0, atol=1 / 254)
                assert torch.equal(b[:, 1:], b[:, :-1])


def test_a_grey_image_has_no_ssim_of_luma(case):
    rows = evaluate([INVERT], [case(0, channels=1)], ("gaussian-y", "gaussian-rgb"))
    for r in rows:
        assert r["ssim_gaussian-y"] is None
        assert r["ssim_gaussian-rgb"] is not None


def test_an_unknown_protocol_is_an_input_error_before_anything_is_restored(case):
    def cases():
        raise AssertionError("asked for a case")
        yield

    with pytest.raises(InputError, match="SSIM protocol 'wang' is none of gaussian-rgb, uniform"):
        evaluate([INVERT], cases(), ("gaussian-rgb", "wang"))


def test_nothing_to_evaluate_on_is_an_input_error():
    with pytest.raises(InputError, match="there is nothing to evaluate on"):
        evaluate([INVERT], iter(()))


@pytest.mark.parametrize(
    "change", [lambda y: y[..., :-1], lambda y: y[:, :1], lambda y: y[0], lambda y: y[:, :0]]
)
def test_a_method_that_changes_the_shape_is_named_with_the_image(case, change):
    cutter = Method("cutter", lambda y, kernel: change(y), "changes the shape")
    shape = tuple(change(case(5).y).shape)
    with pytest.raises(InputError) as error:
        evaluate([cutter], [case(5)])
    for part in ("cutter", "5.png", str(shape), "(1, 3, 24, 30)"):
        assert part in str(error.value)


def test_the_cases_may_be_made_one_by_one(case):
    alive = []

    def cases():
        for i in range(3):
            alive.append(i)
            yield case(i)

    seen = Method("seen", lambda y, kernel: y + 0 * alive[-1], "looks")
    assert len(evaluate([seen], cases())) == 6


def test_seconds_are_of_the_restoration_alone(case, monkeypatch):
    psnr = metrics.psnr

    def slow_psnr(*arguments, **options):
        time.sleep(0.4)
        return psnr(*arguments, **options)

    def slow_cases():
        time.sleep(0.4)
        yield case(0)

    def sleep(y, kernel):
        time.sleep(0.03)
        return y

    monkeypatch.setattr(metrics, "psnr", slow_psnr)
    identity, slow = evaluate([Method("slow", sleep, "sleeps")], slow_cases())
    assert 0 < identity["seconds"] < 0.4
    assert 0.03 <= slow["seconds"] < 0.4


def test_methods_are_given_the_kernels_of_pairs(tmp_path):
    pairs = data.open_pairs(write_pairs(tmp_path / "set", kernels=(0, 1, 2, 3)))
    given = []
    wiener = Method("wiener", lambda y, k: given.append(k) or y, "needs it", blind=False)
    rows = evaluate([wiener], cases_of_pairs(pairs))
    assert len(given) == 4
    for number, kernel in enumerate(given):
        assert torch.equal(kernel, psf.gaussian(0.5 + number))
    scenes = ["test/a", "test/a", "test/b", "test/b"]
    assert [r["scene"] for r in rows if r["method"] == "wiener"] == scenes
    names = ["test/a/sharp/0.png", "test/a/sharp/1.png", "test/b/sharp/2.png", "test/b/sharp/3.png"]
    assert [r["image"] for r in rows if r["method"] == "wiener"] == names


def test_the_cases_of_pairs_are_the_pairs(tmp_path):
    pairs = data.open_pairs(write_pairs(tmp_path / "set", kernels=(1,)))
    cases = list(cases_of_pairs(pairs))
    assert [c.kernel is None for c in cases] == [True, False, True, True]
    for one, (y, x) in zip(cases, pairs, strict=True):
        assert torch.equal(one.y, y[None])
        assert torch.equal(one.x, x[None])
        assert not torch.equal(one.y, one.x)


def test_a_pair_without_a_kernel_stops_a_method_that_needs_it(tmp_path):
    pairs = data.open_pairs(write_pairs(tmp_path / "set", kernels=(0,)))
    wiener = Method("wiener", lambda y, k: y, "needs it", blind=False)
    with pytest.raises(InputError, match="the method wiener needs the kernel"):
        evaluate([wiener], cases_of_pairs(pairs))


def drawn(sharp, degradation, seed, **options):
    return list(cases_of_images(sharp, degradation, seed, **options))


@pytest.mark.parametrize("degradation", ["s2-gaussian", "s3-mixture", "shake"])
def test_the_seed_decides_the_cases_of_images(tmp_path, degradation):
    sharp = data.open_images(write_set(tmp_path / "set", ["a.png", "b.png"], 32, 36))
    first, again, other = (drawn(sharp, degradation, seed) for seed in (3, 3, 4))
    for one, same, another in zip(first, again, other, strict=True):
        assert torch.equal(one.y, same.y)
        assert torch.equal(one.x, same.x)
        assert torch.equal(one.x, another.x)
        assert not torch.equal(one.y, another.y)
    assert not torch.equal(first[0].kernel, first[1].kernel)


@pytest.mark.parametrize("degradation", ["s1-box", "s1-motion", "s3-mixture"])
def test_the_kernel_of_a_case_is_the_one_that_blurred_it(tmp_path, degradation):
    sharp = data.open_images(write_set(tmp_path / "set", ["a.png", "b.png"]))
    for one, x in zip(drawn(sharp, degradation, 5), sharp, strict=True):
        assert one.kernel.ndim == 2
        blurred = degrade.convolve(x[None], one.kernel, "valid")
        assert torch.equal(one.y, images.quantise(blurred))
        top, left = (side // 2 for side in one.kernel.shape)
        height, width = one.y.shape[-2:]
        assert torch.equal(one.x[0], x[:, top : top + height, left : left + width])


def test_the_cases_of_images_have_their_names_and_scenes(tmp_path):
    sharp = data.open_images(write_set(tmp_path / "set", ["b.png", "x/a.png"]))
    cases = drawn(sharp, "s1-box", 0)
    assert [(c.image, c.scene) for c in cases] == [("b.png", "b.png"), ("x/a.png", "x/a.png")]


def test_the_path_of_a_camera_is_no_kernel(tmp_path):
    sharp = data.open_images(write_set(tmp_path / "set", ["a.png"], 50, 60))
    (one,) = drawn(sharp, "s4-camera", 0)
    assert one.kernel is None
    with pytest.raises(InputError, match="wiener needs the kernel, and none is known"):
        evaluate([Method("wiener", lambda y, k: y, "needs it", blind=False)], [one])


def test_the_options_of_the_pairs_are_passed_on(tmp_path):
    sharp = data.open_images(write_set(tmp_path / "set", ["a.png"]))
    (one,) = drawn(sharp, "s1-box", 0, side=11, grey=True)
    assert one.y.shape == one.x.shape == (1, 1, 11, 11)


def test_an_unknown_degradation_is_told_what_there_is(tmp_path):
    sharp = data.open_images(write_set(tmp_path / "set", ["a.png"]))
    with pytest.raises(InputError, match="degradation 'fog' is none of s1-gaussian, s1-box"):
        drawn(sharp, "fog", 0)


def scores_of(rows):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def test_a_border_is_restored_and_not_scored(case):
    def wreck(width):
        inner = (..., slice(width, -width), slice(width, -width))

        def method(y, kernel):
            assert y.shape == (1, 3, 24, 30)
            x_hat = torch.full_like(y, math.nan)
            x_hat[inner] = 1 - y[inner]
            return x_hat

        return Method("invert", method, "the negative, with a border of no numbers")

    options = {"protocols": ("uniform-rgb",), "measures": ["gradient_similarity"]}
    one = case(0)
    whole = evaluate([INVERT], [one], **options)
    bordered = evaluate([INVERT], [one], **options, border=4)
    assert bordered[1]["psnr"] != whole[1]["psnr"]
    assert scores_of(evaluate([wreck(4)], [one], **options, border=4)) == scores_of(bordered)
    assert math.isnan(evaluate([wreck(5)], [one], **options, border=4)[1]["psnr"])
    y, x = (images.centre_crop(z, 16, 22) for z in (one.y, one.x))
    cut = evaluate([INVERT], [Case(one.image, one.scene, y, x, None)], **options)
    assert scores_of(cut) == scores_of(bordered)


@pytest.mark.parametrize("border", [12, 13, 24, 50])
def test_a_border_that_leaves_nothing_is_an_input_error(case, border):
    with pytest.raises(InputError):
        evaluate([INVERT], [case(0)], (), border=border)
    assert evaluate([INVERT], [case(0)], (), border=11)


@pytest.mark.parametrize("channels", [1, 3])
def test_measures_are_those_of_their_functions_on_8_bit_images(case, channels):
    one = case(0, channels=channels)
    rows = evaluate([INVERT], [one], (), measures=tuple(MEASURES))
    for row, x_hat in zip(rows, (one.y, 1 - one.y), strict=True):
        assert list(row) == ["method", "image", "scene", "psnr", *MEASURES, "seconds"]
        for name, measure in MEASURES.items():
            expected = measure.function(images.quantise(x_hat), one.x).item()
            assert row[name] == pytest.approx(expected, rel=1e-6)
            assert expected != pytest.approx(measure.function(x_hat, one.x).item(), rel=1e-6)
    few = evaluate([], [one], (), measures=["blur_effect"])
    assert list(few[0]) == ["method", "image", "scene", "psnr", "blur_effect", "seconds"]


def test_an_unknown_measure_is_an_input_error_before_anything_is_restored():
    def cases():
        raise AssertionError("asked for a case")
        yield

    with pytest.raises(InputError, match="measure 'lpips' is none of gradient_similarity, blur"):
        evaluate([INVERT], cases(), (), measures=["blur_effect", "lpips"])
