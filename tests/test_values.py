"""Images and kernels of every type: restored as the same numbers are in another."""

import re

import numpy as np
import pytest
import torch

from deblurlib import degrade, files, images, psf
from deblurlib.classical import (
    blind_richardson_lucy,
    estimate_noise,
    half_quadratic_splitting,
    inverse,
    richardson_lucy,
    unsaturated,
)
from deblurlib.errors import InputError, InputWarning
from deblurlib.restoration import (
    METHODS,
    Method,
    find_method,
    restore,
    restore_patches,
    tile_difference,
)

SHARPEN, IDENTITY, WIENER = (METHODS[name] for name in ("unsharp-mask", "identity", "wiener"))
PHOTO = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
PIXELS = PHOTO.permute(1, 2, 0).numpy()


def is_array(k):
    return isinstance(k, np.ndarray)


def most(dtype):
    return np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(3, 23, 40), (1, 23, 40), (2, 3, 23, 40)])
def test_a_tensor_of_levels_is_restored_as_an_array_of_them(rand, dtype, shape):
    y = torch.from_numpy((rand(*shape).numpy() * most(dtype)).round().astype(dtype))
    x_hat = restore(y, SHARPEN, tile=24)
    assert (x_hat.dtype, x_hat.shape) == (y.dtype, y.shape)
    for one, found in zip(y.reshape(-1, *shape[-3:]), x_hat.reshape(-1, *shape[-3:]), strict=True):
        expected = restore(one.permute(1, 2, 0).numpy(), SHARPEN, device="cpu", tile=24)
        assert np.array_equal(found.permute(1, 2, 0).numpy(), expected)
        assert not np.array_equal(expected, one.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", [(), (1,), (2,), (3,), (4,)])
def test_an_array_of_floats_is_restored_as_a_tensor_of_them(rand, dtype, kind):
    y = rand(23, 40, *kind).numpy().astype(dtype)
    if kind in ((2,), (4,)):
        y[..., -1] *= 255  # alpha of any range: it is not looked at
    y.setflags(write=False)
    x_hat = restore(y, SHARPEN, device="cpu", tile=24)
    assert (x_hat.dtype, x_hat.shape) == (y.dtype, y.shape)
    colours = {(2,): 1, (4,): 3}.get(kind, 3)
    y, x_hat = (z.reshape(23, 40, -1) for z in (y, x_hat))
    seen = torch.from_numpy(y[..., :colours].copy()).permute(2, 0, 1)
    expected = restore(seen, SHARPEN, tile=24).permute(1, 2, 0).numpy()
    assert np.array_equal(x_hat[..., :colours], expected)
    assert np.array_equal(x_hat[..., colours:], y[..., colours:])  # alpha


def test_levels_are_written_as_they_are_and_floats_of_another_unit_are_not(tmp_path):
    levels = (255 * PHOTO).to(torch.uint8)
    files.write_image(tmp_path / "x.png", levels)
    assert torch.equal(files.read_image(tmp_path / "x.png"), levels / 255)
    for wrong in (255 * PHOTO, 2 * PHOTO - 1, levels.int(), levels.to(torch.uint16)):
        with pytest.raises(InputError, match=r"\[0, 1\]"):
            files.write_image(tmp_path / "wrong.png", wrong)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_half_precision_is_rounded_to_levels_in_full():
    half = PHOTO.to(torch.bfloat16)
    assert torch.equal(images.quantise(half), images.quantise(half.float()))


def test_a_network_restores_in_single_precision_what_is_of_another(rand):
    srn, y = find_method("srn"), rand(1, 3, 32, 32)
    for kind in (torch.float64, torch.float16):
        x_hat = srn(y.to(kind))
        assert x_hat.dtype == kind
        torch.testing.assert_close(x_hat.float(), srn(y.to(kind).float()), rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", [">u2", ">f4"])
def test_arrays_of_another_machine_are_restored(kind):
    y = (PIXELS * most(kind)).astype(kind)
    x_hat = restore(y, IDENTITY)
    assert x_hat.dtype == y.dtype
    np.testing.assert_allclose(x_hat, y, rtol=1e-6)


def test_numbers_wider_than_any_of_torch_are_refused():
    with pytest.raises(InputError, match="floats, uint8 or uint16"):
        restore(PIXELS.astype(np.longdouble), IDENTITY)


STARS = torch.zeros(3, 40, 50)
STARS[:, 10, 10] = 40
LAMP = PHOTO.clone()
LAMP[:, 10, 10] = 2  # further off than any noise
SCAN = torch.ones(3, 40, 50)
SCAN[:, 10, 10:20] = -1  # black letters on white, of -1..1


@pytest.mark.parametrize(
    "y",
    [
        PHOTO - 0.5,
        STARS,
        LAMP,
        SCAN,
        255 * PHOTO,
        30 * PHOTO**3,  # 0..255, dark
        2 * PHOTO**0.5 - 1,  # -1..1, bright
        (PHOTO - 0.45) / 0.23,  # mean 0, standard deviation 1
    ],
)
def test_floats_of_another_unit_are_named(y):
    for call in (
        lambda: restore(y, IDENTITY),
        lambda: restore(y[None].half(), IDENTITY),
        lambda: restore(y.permute(1, 2, 0).numpy().astype(np.float64), IDENTITY),
        lambda: IDENTITY(y[None].numpy()),
    ):
        with pytest.raises(InputError, match=r"not within \[0, 1\]: .* 255") as error:
            call()
        found = re.search(r"values, (\S+) to (\S+), are", str(error.value)).groups()
        expected = [limit.item() for limit in y.aminmax()]
        assert [*map(float, found)] == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(("light", "sigma"), [(0.0, 0.1), (1.0, 0.1), (PHOTO, 0.2)])
def test_noise_that_is_not_clipped_is_seen_by_the_method(light, sigma):
    clean = torch.as_tensor(light).expand(3, 40, 50)[None]
    y = degrade.add_noise(clean, sigma, 0, [0])
    seen = []
    look = Method(
        "look", lambda y, kernel: seen.append(y.clone()) or y, "for a test", receptive_field=1
    )
    x_hat = restore(y, look)
    assert torch.equal(seen[0], y)
    assert torch.equal(x_hat, y.clamp(0, 1))
    assert np.array_equal(restore(y[0].permute(1, 2, 0).numpy(), look), x_hat[0].permute(1, 2, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float64, ">f4"])
def test_a_method_gives_an_array_for_an_array(rand, dtype):
    y = (rand(2, 3, 16, 20).numpy() * most(dtype)).astype(dtype)
    k = psf.gaussian(1.0)
    expected = WIENER(torch.from_numpy((y.astype(np.float64) / most(dtype)).astype(np.float32)), k)
    x_hat = WIENER(y, k.numpy())
    assert (type(x_hat), x_hat.dtype) == (np.ndarray, np.float32)
    np.testing.assert_allclose(x_hat, expected, rtol=0, atol=1e-4)
    if most(dtype) > 1:
        levels = WIENER(torch.from_numpy(y), k)
        torch.testing.assert_close(levels, expected, rtol=0, atol=1e-4)
    with pytest.raises(InputError, match=r"not \(3, 16, 20\)"):
        WIENER(y[0], k)


def two_of(k):
    return np.stack([[k, k]]) if is_array(k) else torch.stack([k, k])[None]


#: what is restored with a kernel, of a batch (1, 3, 32, 300)
KNOWING = {
    "method": WIENER,
    "restore": lambda y, k: restore(y, WIENER, k, tile=256),
    "patches": lambda y, k: restore_patches(y, two_of(k), WIENER),
    "inverse": inverse,
    "richardson-lucy": lambda y, k: richardson_lucy(y, k, 3),
    "splitting": lambda y, k: half_quadratic_splitting(y, k, lambda z, sigma: z, 0.01),
    "tiles": lambda y, k: torch.tensor(tile_difference(y[0], WIENER, 256, k)),
}


@pytest.mark.parametrize("name", KNOWING)
def test_a_kernel_may_be_an_array_and_is_scaled_and_padded_with_a_warning(recwarn, rand, name):
    call, y, k = KNOWING[name], rand(1, 3, 32, 300), psf.motion(5, 30)
    expected = call(y, k)
    torch.testing.assert_close(call(y, k.double().numpy()), expected)
    assert not recwarn
    with pytest.warns(InputWarning, match="its sum was|sums of its kernels") as told:
        found = call(y, (255 * k.numpy() / k.max().item()).astype(np.float64))
    assert len(told) == 1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)
    wide = torch.nn.functional.pad(k, (1, 1, 1, 1))
    with pytest.warns(InputWarning, match="zeros were added"):
        found = call(y, wide[:-1, :-1].numpy())
    torch.testing.assert_close(found, call(y, wide))


def test_kernels_one_pixel_wide_that_do_not_sum_to_1_are_told(rand):
    with (
        pytest.raises(InputError, match="one pixel wide must sum to 1"),
        pytest.warns(InputWarning),
    ):
        restore_patches(rand(1, 3, 32, 40), torch.ones(1, 2, 3, 1), WIENER)


def test_classical_functions_take_arrays_and_give_tensors(rand):
    y, k = rand(2, 3, 16, 20), psf.gaussian(1.0)
    y8 = (255 * y).to(torch.uint8)
    weights = (y < 0.9).float()
    for call in (
        lambda y, *_: inverse(y, k),
        lambda y, w, s: richardson_lucy(y, k, 3, weights=w, start=s),
        lambda y, *_: half_quadratic_splitting(y, k, lambda z, sigma: z, 0.01),
        lambda y, w, _: blind_richardson_lucy(y, k.numpy() if is_array(y) else k, 3, weights=w)[0],
        lambda y, *_: estimate_noise(y),
        lambda y, *_: unsaturated(y, 0.5),
    ):
        expected = call(y, weights, y)
        assert torch.equal(call(y.numpy(), weights.numpy(), y.numpy()), expected)
        ours, theirs = call(y8.numpy(), weights, y), call(y8.float() / 255, weights, y)
        assert torch.equal(ours, theirs)
        assert torch.equal(call(y8, weights, y), ours)
        assert ours.dtype == torch.float32
    assert inverse(y.double().numpy(), k).dtype == torch.float64
