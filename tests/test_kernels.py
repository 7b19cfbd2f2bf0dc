"""Kernels from outside: every kind of file and array is one kernel, or one sentence."""

import io
import warnings
import zipfile

import cv2
import numpy as np
import pytest
import scipy.io
import tifffile
import torch
from PIL import Image

from deblurlib import classical, files, psf
from deblurlib.errors import InputError, InputWarning

K = psf.shake(torch.Generator().manual_seed(0), 9.0)
TENTHS = (K / K.max() * 200 + 5).round().numpy()  # whole numbers, all above 0
EIGHT, SIXTEEN = TENTHS.astype(np.uint8), (TENTHS * 100).astype(np.uint16)


def saved(write, *arguments, **options):
    file = io.BytesIO()
    write(file, *arguments, **options)
    return file.getvalue()


def as_npy(array):
    return saved(np.save, array)


def as_mat(**arrays):
    return saved(scipy.io.savemat, arrays)


def by_pillow(array, kind):
    return saved(Image.fromarray(array).save, kind)


def text(array, mark, comma=".", head=""):
    rows = [mark.join(f"{v:.9g}".replace(".", comma) for v in row) for row in array]
    return (head + "\r\n".join(rows) + "\r\n").encode()


#: name -> content; each is TENTHS, up to a factor
FILES = {
    "foreign.npy": as_npy(TENTHS.astype(">f4")),
    "whole.npy": as_npy(TENTHS.astype(">i2")),
    "one.npz": saved(np.savez, k=TENTHS),
    "grey.png": by_pillow(EIGHT, "PNG"),
    "rgb.png": by_pillow(EIGHT[..., None].repeat(3, -1), "PNG"),
    "deep.png": cv2.imencode(".png", SIXTEEN)[1].tobytes(),
    "grey.tif": by_pillow(EIGHT, "TIFF"),
    "float.tif": saved(tifffile.imwrite, TENTHS.astype(np.float32)),
    "wide.csv": text(TENTHS / 7, "\t", ",").decode().encode("utf-16"),
    "quoted.csv": text(TENTHS / 7, ",", head="# k\n").replace(b",", b'","'),
    "excel.csv": text(TENTHS / 7, ";", ",", "\ufeff"),
    "spaces.txt": text(TENTHS / 7, "   ", head="# mean, 3 x 3; a kernel\n\n"),
    "ends.csv": text(TENTHS, ",").replace(b"\r\n", b",\r\n"),
    "matlab.mat": as_mat(k=TENTHS, note="text", s={"a": 1}),
    "packed.mat": saved(scipy.io.savemat, {"k": TENTHS}, do_compression=True),
    "no-suffix": as_npy(TENTHS),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_is_the_kernel_and_its_sum_is_told(name):
    with pytest.warns(InputWarning, match=rf"{name}: its sum was \d"):
        k = files.decode_kernel(FILES[name], name)
    expected = torch.from_numpy(TENTHS / TENTHS.sum()).float()
    torch.testing.assert_close(k, expected, rtol=1e-6, atol=0)


def test_a_kernel_as_it_should_be_is_taken_to_the_bit_and_nothing_is_said(tmp_path):
    np.save(tmp_path / "k.npy", K.numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in (K, K.numpy(), K.double(), torch.stack([K, K.T.flip(0)])):
            assert torch.equal(psf.as_kernel(given), torch.as_tensor(given))
        assert torch.equal(files.read_kernel(tmp_path / "k.npy"), K)
    assert psf.as_kernel(K.double()).dtype == torch.float64


@pytest.mark.parametrize("shape", [(4, 5), (3, 2), (2, 2)])
def test_of_an_even_side_the_middle_stays_where_fourier_transforms_have_it(shape):
    k, odd = np.zeros(shape), tuple(side + 1 - side % 2 for side in shape)
    k[shape[0] // 2, shape[1] // 2] = 1
    with pytest.warns(InputWarning, match=rf"k: zeros were added, for {odd[0]} x {odd[1]}"):
        found = psf.as_kernel(k, "k")
    assert found.shape == odd
    assert found[odd[0] // 2, odd[1] // 2] == 1


HALVES = torch.tensor([[0, 0, 0], [0.25, 0.5, 0.25], [0, 0, 0]])


@pytest.mark.parametrize(
    ("given", "told", "expected"),
    [
        (np.full((3, 3), 1e308), "its sum was inf", torch.full((3, 3), 1 / 9)),
        (
            2 * HALVES.numpy()[..., None],
            "its sum was 2,",
            HALVES,
        ),  # an axis of channels, and empty rows
        (
            torch.stack([K, 3 * K]),
            "sums of its kernels were 1 to 3,",
            torch.stack([K, K]),
        ),  # each by its own sum
    ],
)
def test_a_kernel_is_divided_by_its_sum(given, told, expected):
    with pytest.warns(InputWarning, match=told):
        torch.testing.assert_close(psf.as_kernel(given), expected)


def test_a_warning_names_the_line_that_gave_the_kernel():
    with pytest.warns(InputWarning) as told:
        classical.richardson_lucy(torch.full((1, 1, 20, 20), 0.5), np.full((3, 3), 1.0), 1)
    assert [one.filename for one in told] == [__file__]


def test_a_matlab_file_of_one_number_is_the_kernel_that_changes_nothing():
    assert torch.equal(files.decode_kernel(as_mat(k=np.ones((1, 1))), "k.mat"), torch.ones(1, 1))


def test_whole_numbers_that_count_by_chance_are_a_kernel():
    with pytest.warns(InputWarning, match="its sum was 36"):
        found = files.decode_kernel(b"0 1 2\n3 4 5\n6 7 8\n", "k.txt")
    torch.testing.assert_close(found, torch.arange(9.0).view(3, 3) / 36)


@pytest.mark.parametrize("axes", [(0,), (2,), (0, 3), (0, 1)])
def test_axes_of_one_are_left_out(axes):
    array = np.expand_dims(K.numpy(), axes)
    assert torch.equal(files.decode_kernel(as_npy(array), "k"), K)


def changed(value):
    array = TENTHS.copy()
    array[1, 1] = value
    return as_npy(array)


def zip_of_text():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("kernel.txt", "1 2 3")
    return file.getvalue()


COLOURS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
UNKNOWN = "it may be a .npy"
#: name -> words of what is said, and the content
BAD = {
    "complex.npy": ("complex", as_npy(TENTHS + 1j)),
    "objects.npy": (UNKNOWN, saved(np.save, np.array([[{}]]), allow_pickle=True)),
    "cut.npy": (UNKNOWN, FILES["no-suffix"][:-9]),
    "huge.npy": (UNKNOWN, FILES["no-suffix"].replace(b"'shape': (", b"'shape': (99999999,")),
    "row.npy": (r"\(\d+,\)", as_npy(TENTHS[0])),
    "row-or-column.npy": ("not one", as_npy(np.ones((1, 5, 1)))),
    "two.npy": ("not one", as_npy(np.stack([TENTHS, TENTHS]))),
    "empty.npy": ("must be", as_npy(np.zeros((0, 3)))),
    "nan.npy": ("NaN", changed(np.nan)),
    "negative.npy": ("negative", changed(-1)),
    "zeros.npy": ("zeros", as_npy(0 * TENTHS)),
    "two.npz": ("a, b", saved(np.savez, a=TENTHS, b=TENTHS)),
    "none.npz": (UNKNOWN, saved(np.savez)),
    "text.npz": ("zip", zip_of_text()),
    "photo.png": ("grey", by_pillow(COLOURS, "PNG")),
    "clear.png": ("transparency", by_pillow(np.stack([EIGHT, EIGHT], -1), "PNG")),
    "empty.tif": (UNKNOWN, b"II*\0" + bytes(4)),
    "pages.tif": ("2 pictures", saved(tifffile.imwrite, np.stack([SIXTEEN] * 2))),
    "ragged.csv": ("line 2", b"1,2,3\n1,2\n"),
    "pandas.csv": ("only counts", b"0,1,2\n.1,.1,.1\n.1,.2,.1\n"),
    "index.csv": ("only counts", b"0,.1,.1\n1,.1,.2\n"),
    "underscore.txt": ("line 1", b"0.5 1_0 0.5"),
    "gap.csv": ("line 1", b"1,,3\n"),
    "empty.txt": ("no numbers", b"# nothing\n"),
    "decimal.csv": ("commas", b"0,25\n0,5\n0,25\n"),
    "bytes.bin": (UNKNOWN, bytes(range(256))),
    "complex.mat": ("complex", as_mat(k=TENTHS + 1j)),
    "cut.mat": ("damaged", FILES["matlab.mat"][:300]),
    "new.mat": ("-v7", b"MATLAB 7.3 MAT-file".ljust(512)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_kernel_is_one_sentence_that_names_the_file(name):
    words, data = BAD[name]
    with pytest.raises(InputError, match=rf"^{name}: [^\n]*{words}[^\n]*$") as error:
        files.decode_kernel(data, name)
    assert "pickle" not in str(error.value)  # as NumPy advises


@pytest.mark.parametrize(
    "bad", [None, [[1.0]], torch.ones(3, 3, dtype=torch.cfloat), np.ones((1, 5, 1))]
)
def test_what_is_no_kernel_of_real_numbers_is_refused(bad):
    with pytest.raises(InputError, match=r"^the kernel: (must|may) (be|hold) "):
        psf.as_kernel(bad)


@pytest.mark.filterwarnings("ignore")
def test_of_damage_anywhere_comes_a_kernel_or_a_sentence():
    rng, outcomes = np.random.default_rng(0), {}
    for name, whole in FILES.items():
        for _ in range(25):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), rng.integers(1, 4)):
                data[rng.choice([place, place % 300])] = rng.integers(256)
            try:
                k = files.decode_kernel(bytes(data), name)
                assert abs(k.double().sum() - 1) < 1e-4
                assert min(k.shape) > 0
                outcomes[name, "read"] = True
            except InputError as error:
                outcomes[str(error).partition(": ")[0], "refused"] = True
    assert {name for name, _ in outcomes} == {*FILES}
    assert len(outcomes) > len(FILES) * 1.5
