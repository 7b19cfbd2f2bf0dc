"""Levin's measured blur as a set of pairs: kernels turned, moved to where they belong, checked."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from scipy import ndimage

from deblurlib import degrade, images, metrics
from deblurlib.data import open_images, open_pairs
from deblurlib.errors import InputError
from deblurlib.studies.classical import levin

STAGED = Path(os.environ.get("DEBLURLIB_LEVIN", Path(__file__).parents[2] / "shared/data/levin09"))
MOVES = ((0, 0), (-2, 3), (5, -6))


def stored_kernel(seed):
    """A bent path, not centred, as the authors store it: turned by 180 degrees."""
    path = np.zeros((11, 11))
    path[2, 3:9] = path[2:8, 3] = 1 + np.random.default_rng(seed).random(6)
    return path / path.sum()


@pytest.fixture(scope="module")
def cases():
    """Sharp, blurred, and stored kernel; the blurred ones are moved."""
    x = images.centre_crop(images.grey(open_images("sample", "test")[0]), 140, 150)[0].double()
    made = []
    for seed, move in enumerate(MOVES):
        stored = stored_kernel(seed)
        y = ndimage.convolve(x.numpy(), stored[::-1, ::-1], mode="mirror")
        made.append((x.numpy(), np.roll(y, move, (0, 1)), stored))
    return made


def save_mat(folder, cases):
    folder.mkdir()
    for n, (x, y, f) in enumerate(cases, 1):
        scipy.io.savemat(folder / f"im05_flit0{n}.mat", {"x": x, "y": y, "f": f})
    return folder


def save_npz(path, cases):
    kernels = {f"kernel{n}": case[2] for n, case in enumerate(cases, 1)}
    which = np.array([[5, n] for n in range(1, len(cases) + 1)])
    sharp, blurred = (np.stack([c[i] for c in cases]).astype(np.float32) for i in (0, 1))
    np.savez(path, sharp=sharp, blurred=blurred, image_kernel=which, **kernels)
    return path


@pytest.fixture(params=["mat", "npz"])
def source(request, cases, tmp_path):
    save = {"mat": save_mat, "npz": save_npz}[request.param]
    return save(tmp_path / f"levin.{request.param}", cases)


def test_the_pairs_have_kernels_that_blur_the_sharp_image_into_the_blurred_one(
    source, cases, tmp_path
):
    assert levin.convert(source, tmp_path / "levin09") == len(cases)
    pairs = open_pairs(str(tmp_path / "levin09"), "test")
    assert len(pairs) == len(cases)
    assert pairs.scenes == ("im05",) * len(cases)
    for i, (x, y, stored) in enumerate(cases):
        seen, sharp = pairs[i]
        for image, expected in ((seen, y), (sharp, x)):
            assert image.shape[0] == 3
            assert np.abs(image.numpy() - expected).max() < 1e-5  # 16 bit
        k = pairs.kernel(i)
        reached = metrics.psnr(degrade.convolve(sharp[None], k), seen[None], border=20)
        assert reached > 60
        turned = torch.from_numpy(stored[::-1, ::-1].copy()).float()
        away = (k.shape[0] - turned.shape[0]) // 2
        assert away == max(map(abs, MOVES[i]))  # no more zeros than needed
        expected = torch.nn.functional.pad(turned, [away] * 4).roll(MOVES[i], (0, 1))
        torch.testing.assert_close(k, expected)


@pytest.mark.parametrize("wrong", ["not turned", "moved too far"])
def test_a_kernel_that_does_not_explain_its_image_is_refused(cases, wrong, tmp_path):
    x, y, stored = cases[0]
    if wrong == "not turned":
        stored = stored[::-1, ::-1]
    else:
        y = np.roll(y, 14, 0)
    folder = save_mat(tmp_path / "mat", [(x, y, stored)])
    with pytest.raises(InputError, match="im05_flit01: its kernel does not lead from its sharp"):
        levin.convert(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_no_such_set_is_refused_and_nothing_is_written(cases, tmp_path):
    for name in ("empty", "text", "half"):
        (tmp_path / name).mkdir()
    (tmp_path / "text" / "a.mat").write_text("no matrix")
    scipy.io.savemat(tmp_path / "half" / "a.mat", {"x": cases[0][0]})
    np.savez(tmp_path / "other.npz", sharp=np.zeros(3))
    save_mat(tmp_path / "even", [(*cases[0][:2], np.ones((4, 4)))])
    for name, message in (
        ("empty", "empty: no .mat file in it"),
        ("text", "a.mat: a damaged MATLAB file"),
        ("half", "a.mat: not one of Levin's files .f is not in it"),
        ("even", "im05_flit01: a kernel's sides must be odd"),
        ("other.npz", "other.npz: not an .npz of Levin's set"),
        ("missing.npz", "missing.npz: not an .npz of Levin's set"),
    ):
        with pytest.raises(InputError, match=message):
            levin.convert(tmp_path / name, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_a_set_that_is_there_is_not_written_over(source, tmp_path):
    (tmp_path / "out" / "test").mkdir(parents=True)
    with pytest.raises(InputError, match="test: exists already; remove it"):
        levin.convert(source, tmp_path / "out")
    assert not list((tmp_path / "out" / "test").iterdir())


@pytest.mark.skipif(not STAGED.is_dir(), reason="Levin's set is not here")
def test_the_real_kernels_are_moved_as_the_set_s_own_notes_say(tmp_path):
    with np.load(STAGED / "levin09_24.npz") as every:
        stored = dict(every)
    for name in ("sharp", "blurred", "image_kernel"):
        stored[name] = stored[name][::5]  # of each image at least one
    np.savez(tmp_path / "some.npz", **stored)
    assert levin.convert(tmp_path / "some.npz", tmp_path / "levin09") == 5
    pairs = open_pairs(str(tmp_path / "levin09"), "test")
    assert len(set(pairs.scenes)) == 3
    for i, (_, number) in enumerate(stored["image_kernel"].tolist()):
        turned = stored[f"kernel{number}"][::-1, ::-1]
        k = pairs.kernel(i)
        away = (k.shape[0] - turned.shape[0]) // 2
        moved = np.roll(np.pad(turned, away), stored["shift_dy_dx"][number - 1], (0, 1))
        np.testing.assert_allclose(k.numpy(), moved / moved.sum(), atol=1e-6)
        y, x = pairs[i]
        assert metrics.psnr(degrade.convolve(x[None], k), y[None], border=35) > 37
