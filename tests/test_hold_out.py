"""Parts of a set: the first few, some by their places, and whole scenes set aside."""

import math

import numpy as np
import pytest
import torch

from deblurlib import data
from deblurlib.errors import InputError

STEMS = range(3)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, save_picture):
    """Ten scenes of one to three pairs each; a kernel for every pair whose stem is 0."""
    root = tmp_path_factory.mktemp("pairs")
    kernel = torch.full((3, 3), 1 / 9)
    for scene in range(10):
        for stem in STEMS[: 1 + scene % 3]:
            for side, seed in (("blur", 0), ("sharp", 100)):
                path = root / "train" / f"scene{scene}" / side / f"{stem}.png"
                save_picture(path, seed + 3 * scene + stem)
        folder = root / "train" / f"scene{scene}" / "kernel"
        folder.mkdir()
        np.save(folder / "0.npy", kernel.numpy())
    return data.open_pairs(f"tree={root}", "train")


@pytest.fixture(scope="module")
def images(tmp_path_factory, save_picture):
    """Twenty images, each its own scene."""
    root = tmp_path_factory.mktemp("images")
    for i in range(20):
        save_picture(root / "train" / f"{i:02}.png", i)
    return data.open_images(f"twenty={root}", "train")


@pytest.fixture(params=["images", "pairs"])
def some(request):
    return request.getfixturevalue(request.param)


def test_the_parts_are_disjoint_and_together_all_in_order(some):
    for seed in range(5):
        rest, held = data.hold_out(some, 0.3, seed)
        assert type(rest) is type(held) is type(some)
        assert not {*rest.names} & {*held.names}
        assert {*rest.names} | {*held.names} == {*some.names}
        for part in (rest, held):
            assert len(part) > 0
            assert part.names == [name for name in some.names if name in part.names]
            assert (part.name, part.split) == (some.name, some.split)


def test_scenes_are_kept_whole(some):
    for seed in range(5):
        rest, held = data.hold_out(some, 0.4, seed)
        assert not {*rest.scenes} & {*held.scenes}
        assert {*rest.scenes} | {*held.scenes} == {*some.scenes}


@pytest.mark.parametrize(
    ("share", "count"), [(0.01, 1), (0.1, 1), (0.14, 1), (0.16, 2), (0.5, 5), (0.78, 8), (0.9, 9)]
)
def test_the_share_is_of_the_scenes_rounded_and_at_least_one(pairs, share, count):
    for seed in range(3):
        rest, held = data.hold_out(pairs, share, seed)
        assert (len({*rest.scenes}), len({*held.scenes})) == (10 - count, count)


def test_a_tenth_of_twenty_images_is_two(images):
    rest, held = data.hold_out(images, 0.1)
    assert (len(rest), len(held)) == (18, 2)


def test_the_seed_decides_and_by_default_it_is_0(some):
    held = [data.hold_out(some, 0.3, seed)[1].names for seed in (0, 0, 1, 2, 3)]
    assert held[0] == held[1] == data.hold_out(some, 0.3)[1].names
    assert len({tuple(names) for names in held[1:]}) == 4


def test_every_scene_may_be_the_one(images):
    held = {data.hold_out(images, 0.01, seed)[1].names[0] for seed in range(200)}
    assert held == {*images.names}


def test_what_is_set_aside_depends_on_the_scenes_not_on_their_order(images):
    reversed_ = images.take(range(len(images))[::-1])
    _, held = data.hold_out(images, 0.3, 4)
    assert data.hold_out(reversed_, 0.3, 4)[1].names == held.names[::-1]


def test_of_one_scene_nothing_can_be_set_aside(pairs, images):
    one = pairs.take([i for i, scene in enumerate(pairs.scenes) if scene.endswith("scene2")])
    assert len(one) == 3
    for some, named in ((one, "tree"), (images.first(1), "twenty")):
        with pytest.raises(InputError, match=f"{named}: a share of 0.1 of 1 scenes cannot be set"):
            data.hold_out(some, 0.1)


@pytest.mark.parametrize(
    "share",
    [
        *(0, -0.1, 1, 1.5, 0.96, math.nan),
    ],
)
def test_a_share_that_leaves_nothing_of_either_part_is_named(pairs, share):
    with pytest.raises(InputError, match=f"tree: a share of {share:g} of 10 scenes"):
        data.hold_out(pairs, share)


def test_the_first_few_are_a_set_of_their_own(some):
    few = some.first(4)
    assert type(few) is type(some)
    assert few.names == some.names[:4]
    assert (few.name, few.split) == (some.name, some.split)
    assert few.fingerprint != some.fingerprint
    for n in (None, len(some), 1000):
        assert some.first(n) == some
    assert len(some.first(0)) == 0


@pytest.mark.parametrize("places", [[3, 0, 5], [2], [], [1, 1], range(7, 2, -2)])
def test_some_are_taken_by_their_places_in_that_order(some, places):
    taken = some.take(places)
    assert taken.names == [some.names[i] for i in places]
    assert list(taken.scenes) == [some.scenes[i] for i in places]
    for image, i in zip(taken, places, strict=True):
        for one, other in zip(image, some[i], strict=True):
            assert torch.equal(one, other)


def test_taking_keeps_partners_and_kernels_together(pairs):
    taken = pairs.take([4, 3, 9])
    for place, i in enumerate([4, 3, 9]):
        blurred, sharp = taken.blurred[place], taken.sharp[place]
        assert blurred.name == sharp.name.replace("/sharp/", "/blur/")
        assert taken.scenes[place] == sharp.name.split("/sharp/")[0]
        assert (taken.kernel(place) is None) == (pairs.kernel(i) is None)
        assert (taken.kernel(place) is None) == (not sharp.name.endswith("/0.png"))
    assert {taken.kernel(place) is None for place in range(3)} == {False, True}


def test_a_place_that_is_not_there_is_an_error(some):
    with pytest.raises(IndexError):
        some.take([0, len(some)])


def test_keys_and_contents_of_what_is_taken_stay_the_same(images):
    taken = images.take([5, 2])
    assert taken.keys == [images.keys[5], images.keys[2]]
    assert images.take([5, 2]).fingerprint == taken.fingerprint
    assert images.take([2, 5]).fingerprint != taken.fingerprint
