"""Batches: a training sample is a function of (seed, number), an evaluation pair of (seed, key)."""

import threading
from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from deblurlib import data, degrade, images
from deblurlib.data import batches, samples
from deblurlib.errors import InputError

CROP = 40


@pytest.fixture(scope="module")
def held(rand):
    return [(256 * rand(3, 120, 130, seed=s)).to(torch.uint8) for s in range(5)]


def coded(count, height, width):
    """Images that say of each pixel in which image, row and column it was."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return [torch.stack([i + 0 * rows, rows, columns]).to(torch.uint8) for i in range(count)]


def decoded(x):
    """Of coded crops (B, 3, h, w): where each is from, as (image, top, left, flipped)."""
    number, row, column = (x * 255).round().long().unbind(1)
    step = column.diff(dim=2)[:, 0, 0]
    assert (number == number[:, :1, :1]).all()
    assert (row.diff(dim=1) == 1).all()
    assert (column.diff(dim=2) == step.view(-1, 1, 1)).all()
    top, left = row.amin((1, 2)), column.amin((1, 2))
    return [*zip(*(t.tolist() for t in (number[:, 0, 0], top, left, step == -1)), strict=True)]


def delta(height=1, width=1):
    """The degradation that changes nothing, by a kernel of this size."""
    k = torch.zeros(height, width)
    k[height // 2, width // 2] = 1
    return lambda generator: degrade.Degradation(k)


def assert_same(a, b):
    assert torch.equal(a.y, b.y)
    assert torch.equal(a.x, b.x)
    assert a.parameters == b.parameters


@pytest.mark.parametrize("name", ["s1-motion", "s2-gaussian", "s4-camera-light"])
def test_a_sample_is_the_same_to_the_bit_however_steps_and_ranks_share_it(held, name):
    def make(step, batch, seed=7, **share):
        return batches.training_batch(
            held, degrade.SETTINGS[name], step, batch, CROP, seed, **share
        )

    whole = make(3, 8)  # before any other step
    assert whole.y.shape == whole.x.shape == (8, 3, CROP, CROP)
    ranks = [make(3, 8, rank=r, world=2) for r in (0, 1)]
    for parts in (ranks, [make(6, 4), make(7, 4)], [make(n, 1) for n in range(24, 32)]):
        assert torch.equal(torch.cat([p.y for p in parts]), whole.y)
        assert torch.equal(torch.cat([p.x for p in parts]), whole.x)
        assert [d for p in parts for d in p.parameters] == whole.parameters
    other = make(3, 8, seed=8)
    assert not any(torch.equal(a, b) for a, b in zip(other.y, whole.y, strict=True))


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("name", ["shake", "s4-camera", "s2-gaussian", None])
def test_a_batch_of_many_steps_is_that_of_its_step_alone_in_any_order(
    held, monkeypatch, name, ahead
):
    monkeypatch.setattr(samples, "TOGETHER", 12)
    draw = name and degrade.SETTINGS[name]
    images = held if draw else [torch.stack([x, 255 - x]) for x in held]
    share = {"batch": 6, "crop": 8, "seed": 2, "rank": 1, "world": 2}
    pair_of = batches.training_batches(images, draw, **share, ahead=ahead)
    for step in (0, 1, 2, 3, 4, 5, 1, 1, 90, 91, 92, 2):
        alone = batches.training_batch(images, draw, step, **share)
        assert_same(pair_of(step), alone)


def test_steps_in_order_are_drawn_together_and_more_of_them_each_time(held):
    asked = []

    def many(generators):
        asked.append(len(generators))
        return [delta()(g) for g in generators]

    draw = delta()
    draw.many = many
    pair_of = batches.training_batches(held, draw, 8, CROP, 0)
    for step in (*range(20), 5, 6, 7, 8):
        pair_of(step)
    assert asked == [8, 16, 32, 64, 64, 8, 16, 32]  # 1, 2, 4, 8, 8 steps, and anew
    assert asked[4] == samples.TOGETHER


def test_an_error_in_the_thread_is_raised_when_its_step_is_asked_for_and_the_thread_ends(held):
    before = set(threading.enumerate())

    def draw(generator):
        if generator.initial_seed() in broken:
            raise InputError("this one")
        return delta()(generator)

    broken = {degrade.generator(0, n).initial_seed() for n in (4, 5)}  # of step 2
    pair_of = batches.training_batches(held, draw, 2, CROP, 0, ahead=True)
    state = torch.get_rng_state()
    assert pair_of(0).y.shape == pair_of(1).y.shape
    for _ in range(2):
        with pytest.raises(InputError, match="this one"):
            pair_of(2)
    assert_same(pair_of(3), batches.training_batch(held, delta(), 3, 2, CROP, 0))
    assert torch.equal(torch.get_rng_state(), state)
    threads = set(threading.enumerate()) - before
    assert len(threads) == 1
    del pair_of
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(("name", "margin"), [("s2-gaussian", 2), ("s4-camera-light", 20)])
def test_a_sample_is_degrade_sample_of_a_larger_crop_by_its_number(name, margin):
    held, side, draw = coded(3, 120, 130), CROP + 2 * margin, degrade.SETTINGS[name]
    pair = batches.training_batch(held, draw, 2, 6, CROP, 3)
    for j, (image, top, left, flipped) in enumerate(decoded(pair.x)):
        cut = held[image][:, top - margin :, left - margin :][:, :side, :side] / 255
        alone = degrade.sample((cut.flip(-1) if flipped else cut)[None], draw, 3, [12 + j])
        assert torch.equal(torch.cat([alone.y, alone.x]), torch.stack([pair.y[j], pair.x[j]]))


def test_each_image_is_seen_once_an_epoch_in_an_order_of_its_own():
    count, batch = 12, 8
    held = coded(count, 9, 9)
    made = [batches.training_batch(held, delta(), step, batch, 8, 0).x for step in range(9)]
    seen = [image for image, *_ in decoded(torch.cat(made))]
    epochs = [seen[i : i + count] for i in range(0, len(seen), count)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert len({*map(tuple, epochs)}) == len(epochs) == 6
    other = decoded(batches.training_batch(held, delta(), 0, count, 8, 1).x)
    assert [image for image, *_ in other] != epochs[0]


def test_crops_are_even_from_0_to_the_last_and_half_are_flipped():
    held, drawn = coded(2, 12, 14), []

    def draw(generator):
        drawn.append(torch.rand((), generator=generator, dtype=torch.float64).item())
        return degrade.Degradation(torch.ones(1, 1))

    seen = decoded(batches.training_batch(held, draw, 0, 1400, 8, 0).x)
    assert abs(np.corrcoef([p[2] for p in seen], drawn)[0, 1]) < 0.1  # the blur tells nothing
    places = Counter((top, left) for _, top, left, _ in seen)
    assert set(places) == {(top, left) for top in range(5) for left in range(7)}
    assert sum((n - 40) ** 2 / 40 for n in places.values()) < 65  # chi-squared: 34 +- 8.2
    for half in (seen, [p for p in seen if p[1] < 2], [p for p in seen if p[2] < 3]):
        assert sum(p[3] for p in half) / len(half) == pytest.approx(0.5, abs=0.06)
    straight = decoded(batches.training_batch(held, delta(), 0, 1400, 8, 0, flip=False).x)
    assert straight == [(*p[:3], False) for p in seen]


def test_margins_of_the_blur_lie_inside_the_image_and_are_not_square():
    places = decoded(batches.training_batch(coded(1, 14, 20), delta(3, 7), 0, 400, 8, 0).x)
    assert {p[1:3] for p in places} == {(top, left) for top in range(1, 6) for left in range(3, 10)}
    whole = batches.training_batch(coded(1, 10, 14), delta(3, 7), 0, 9, 8, 0, flip=False)
    assert decoded(whole.x) == [(0, 1, 3, False)] * 9


def test_other_boundaries_take_the_crop_alone(held):
    draw = degrade.SETTINGS["s2-gaussian"]
    pair = batches.training_batch(held, draw, 1, 4, CROP, 3, boundary="reflect")
    assert pair.x.shape == (4, 3, CROP, CROP)
    assert_same(pair, degrade.sample(pair.x, draw, 3, range(4, 8), "reflect"))


@pytest.mark.parametrize(("height", "width"), [(45, 99), (99, 45)])
def test_a_too_small_image_is_named_with_both_sizes(height, width):
    held = [*coded(1, 99, 99), *coded(1, height, width)]
    with pytest.raises(InputError, match=f"image 1 has {height} x {width} .* needs 46 x 46"):
        batches.training_batch(held, degrade.SETTINGS["s1-box"], 0, 2, CROP, 0)


def test_pairs_sharp_images_and_nothing_are_not_taken_for_each_other():
    sharp = coded(2, 40, 40)
    with pytest.raises(InputError, match="a degradation is needed"):
        batches.training_batch(sharp, None, 0, 2, 6, 0)
    with pytest.raises(InputError, match="blurred already"):
        batches.training_batch([torch.stack([x, x]) for x in sharp], delta(), 0, 2, 6, 0)
    with pytest.raises(InputError, match="no image"):
        batches.training_batch([], delta(), 0, 2, 6, 0)


@pytest.mark.parametrize(
    ("batch", "rank", "world"), [(5, 0, 2), (4, 2, 2), (4, -1, 2), (0, 0, 1), (4, 0, 0)]
)
def test_a_batch_that_cannot_be_shared_is_an_error(held, batch, rank, world):
    words = f"a batch of {batch} .* rank {rank} of {world}"
    with pytest.raises(InputError, match=words):
        batches.training_batch(held, delta(), 0, batch, CROP, 0, rank=rank, world=world)
    with pytest.raises(InputError, match=words):
        batches.training_batch(held, None, 0, batch, CROP, 0, rank=rank, world=world)


def test_held_images_are_exact_bytes_and_16_bit_ones_are_rounded(tmp_path, save_picture):
    arrays = [save_picture(tmp_path / f"{i}.png", i, 40 + i, 50) for i in range(2)]
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    cv2.imwrite(str(tmp_path / "2.png"), deep)
    arrays.append(np.dstack([(deep.astype(int) + 128) // 257] * 3))
    held = batches.hold(data.open_images(str(tmp_path)))
    for image, array in zip(held, arrays, strict=True):
        assert image.dtype == torch.uint8
        assert np.array_equal(image.permute(1, 2, 0), array)


@pytest.fixture
def pairs(tmp_path, save_picture):
    for seed, name in enumerate(["blur/a.png", "sharp/a.png", "blur/b.png", "sharp/b.png"]):
        save_picture(tmp_path / "s" / name, seed, 40, 44)
    return data.open_pairs(str(tmp_path))


@pytest.mark.parametrize("channels", [0, 1, 3])
def test_images_and_pairs_are_made_grey_before_they_are_held_or_degraded(pairs, tmp_path, channels):
    items, draw = data.open_images(str(tmp_path / "s/sharp")), degrade.SETTINGS["s1-box"]

    def made(x):
        return images.quantise(images.grey(x, channels)) if channels else x

    blurred_and_sharp = torch.stack([torch.stack([made(y), made(x)]) for y, x in pairs])
    sharp = blurred_and_sharp[:, 1]
    for some, expected in ((pairs, blurred_and_sharp), (items, sharp)):
        held = torch.stack(batches.hold(some, grey=channels))
        assert held.dtype == torch.uint8
        assert torch.equal(held / 255, expected)
    given = batches.evaluation_pairs(items, draw, 4, grey=channels)
    for pair, x, key in zip(given, sharp, items.keys, strict=True):
        assert_same(pair, degrade.sample(x[None], draw, 4, [key]))


def test_recorded_pairs_are_drawn_as_sharp_images_are():
    sharp = coded(4, 12, 14)
    held = [torch.stack([255 - x, x]) for x in sharp]
    pair = batches.training_batch(held, None, 2, 8, 6, 5)
    y, x = pair.y, pair.x
    assert pair.degradations == ()
    assert torch.allclose(y + x, torch.ones(()))
    assert torch.equal(x, batches.training_batch(sharp, delta(), 2, 8, 6, 5).x)
    for half in (0, 1):
        mine = slice(4 * half, 4 * half + 4)
        part = batches.training_batch(held, None, 2, 8, 6, 5, rank=half, world=2)
        assert torch.equal(part.y, y[mine])
        assert torch.equal(part.x, x[mine])
    straight = batches.training_batch(held, None, 2, 8, 6, 5, flip=False).x
    assert decoded(straight) == [(*place[:3], False) for place in decoded(x)]


@pytest.fixture
def photographs(tmp_path, save_picture):
    """Write a folder of images, each a function of its name; returns the set."""

    def save(folder, names):
        for name in names:
            save_picture(tmp_path / folder / name, sum(name.encode()), 111, 122)
        return data.open_images(str(tmp_path / folder))

    return save


def evaluate(sharp, name="s2-gaussian", seed=4, **options):
    made = batches.evaluation_pairs(sharp, degrade.SETTINGS[name], seed, **options)
    return dict(zip(sharp.names, made, strict=True))


def test_an_evaluation_pair_is_the_same_whatever_else_is_in_the_set(photographs):
    names = ["test/a.png", "test/c.png", "train/b.png", "train/c.png"]
    whole = photographs("one", names)
    wanted = evaluate(whole, side=32)
    few = photographs("two", ["aa.png", *names[1:3]])
    for other in (replace(whole, items=whole.items[::-1]), few):
        made = evaluate(other, side=32)
        for name in made.keys() & set(names):
            assert_same(made[name], wanted[name])
    assert len({str(pair.parameters) for pair in wanted.values()}) == 4
    other = evaluate(whole, seed=5, side=32)
    assert not any(torch.equal(other[n].y, wanted[n].y) for n in names)


@pytest.mark.parametrize(
    ("name", "boundary", "around"),
    [("s1-motion", "valid", 14), ("s4-camera", "valid", 40), ("s1-motion", "reflect", 0)],
)
def test_an_evaluation_pair_is_degrade_sample_of_the_middle(photographs, name, boundary, around):
    sharp = photographs("one", ["a.png", "b.png"])
    pairs = evaluate(sharp, name, side=50, boundary=boundary)
    wholes = evaluate(sharp, name, boundary=boundary)
    for i, (pair, whole) in enumerate(zip(pairs.values(), wholes.values(), strict=True)):
        assert torch.equal(pair.x[0], images.centre_crop(sharp[i], 50))
        for made, x in ((pair, images.centre_crop(sharp[i], 50 + around)), (whole, sharp[i])):
            expected = degrade.sample(x[None], degrade.SETTINGS[name], 4, [sharp.keys[i]], boundary)
            assert_same(made, expected)
        assert whole.y.shape == (1, 3, 111 - around, 122 - around)
    side = 112 + around
    with pytest.raises(InputError, match=rf"a\.png: .*cut {side} x {side} out of 111"):
        evaluate(sharp, name, side=112, boundary=boundary)
