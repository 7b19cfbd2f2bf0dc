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

import deblurlib
from deblurlib import files, psf
from deblurlib.errors import InputError, InputWarning

K = psf.shake(torch.Generator().manual_seed(0), 9.0)
TENTHS = (K / K.max() * 200 + 5).round().numpy()  # whole numbers, all above 0


def saved(write, *arguments, **options):
    file = io.BytesIO()
    write(file, *arguments, **options)
    return file.getvalue()


def zipped(name, content):
    def write(file):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name, content)

    return saved(write)


def by_pillow(array, kind):
    return saved(lambda file: Image.fromarray(array).save(file, kind))


def text(array, mark, comma=".", head="", tail=""):
    rows = [mark.join(f"{v:.9g}".replace(".", comma) + tail for v in row) for row in array]
    return (head + "\r\n".join(rows) + "\r\n").encode()


EIGHT, SIXTEEN = TENTHS.astype(np.uint8), (TENTHS * 100).astype(np.uint16)
#: name -> content; each is TENTHS, up to a factor
FILES = {
    "double.npy": saved(np.save, TENTHS),
    "half.npy": saved(np.save, TENTHS.astype(np.float16)),
    "foreign.npy": saved(np.save, TENTHS.astype(">f4")),
    "whole.npy": saved(np.save, TENTHS.astype(">i2")),
    "columns-first.npy": saved(np.save, np.asfortranarray(TENTHS)),
    "batch-of-one.npy": saved(np.save, TENTHS[None]),
    "channel.npy": saved(np.save, TENTHS[..., None]),
    "one.npz": saved(np.savez, k=TENTHS),
    "grey.png": by_pillow(EIGHT, "PNG"),
    "rgb.png": by_pillow(EIGHT[..., None].repeat(3, -1), "PNG"),
    "deep.png": cv2.imencode(".png", SIXTEEN)[1].tobytes(),
    "grey.tif": by_pillow(EIGHT, "TIFF"),
    "deep.tif": saved(tifffile.imwrite, SIXTEEN),
    "float.tif": saved(tifffile.imwrite, TENTHS.astype(np.float32)),
    "commas.csv": text(TENTHS / 7, ","),
    "wide.csv": text(TENTHS / 7, "\t", ",").decode().encode("utf-16"),
    "quoted.csv": text(TENTHS / 7, ",", head="# k\n").replace(b",", b'","'),
    "excel.csv": text(TENTHS / 7, ";", ",", "\ufeff"),
    "tabs.txt": text(TENTHS / 7, "\t", ","),
    "spaces.txt": text(TENTHS / 7, "   ", head="# mean, 3 x 3; a kernel\n\n"),
    "ends.csv": text(TENTHS, ",", tail="").replace(b"\r\n", b",\r\n"),
    "matlab.mat": saved(scipy.io.savemat, {"k": TENTHS, "note": "text", "s": {"a": 1}}),
    "packed.mat": saved(scipy.io.savemat, {"k": TENTHS}, do_compression=True),
    "no-suffix": saved(np.save, TENTHS),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_is_the_kernel_and_its_sum_is_told(name):
    with pytest.warns(InputWarning, match=rf"{name}: its sum was \d"):
        k = files.decode_kernel(FILES[name], name)
    expected = torch.from_numpy(TENTHS / TENTHS.sum()).float()
    torch.testing.assert_close(k, expected, rtol=1e-3 if name == "half.npy" else 1e-6, atol=0)
    assert k.dtype == torch.float32


def test_a_kernel_as_it_should_be_is_taken_to_the_bit_and_nothing_is_said(tmp_path):
    np.save(tmp_path / "k.npy", K.numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in (K, K.numpy(), K.double(), torch.stack([K, K.T.flip(0)])):
            assert torch.equal(psf.as_kernel(given), torch.as_tensor(given))
        assert torch.equal(files.read_kernel(tmp_path / "k.npy"), K)
    assert psf.as_kernel(K.double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("shape", "padded"), [((4, 5), (5, 5)), ((3, 2), (3, 3)), ((2, 2), (3, 3))]
)
def test_of_an_even_side_the_middle_stays_where_fourier_transforms_have_it(shape, padded):
    k = np.zeros(shape)
    k[shape[0] // 2, shape[1] // 2] = 1
    with pytest.warns(InputWarning, match=rf"k: zeros were added, for {padded[0]} x {padded[1]}"):
        found = psf.as_kernel(k, "k")
    assert found.shape == padded
    assert found[padded[0] // 2, padded[1] // 2] == 1


def test_a_kernel_of_numbers_whose_sum_is_infinite_is_one_all_the_same():
    with pytest.warns(InputWarning, match="its sum was inf"):
        assert torch.equal(psf.as_kernel(np.full((3, 3), 1e308)), torch.full((3, 3), 1 / 9))


def test_a_kernel_with_an_axis_of_channels_may_have_empty_rows():
    with pytest.warns(InputWarning, match="its sum was 2,"):
        found = psf.as_kernel(np.array([[0, 0, 0], [0.5, 1, 0.5], [0, 0, 0]])[..., None])
    assert torch.equal(found, torch.tensor([[0, 0, 0], [0.25, 0.5, 0.25], [0, 0, 0]]))


def test_a_warning_names_the_line_that_gave_the_kernel():
    with pytest.warns(InputWarning) as told:
        deblurlib.restore(np.full((20, 20), 0.5), "richardson-lucy", np.full((3, 3), 1.0))
    assert [one.filename for one in told] == [__file__]


def test_each_kernel_of_a_batch_is_divided_by_its_own_sum():
    with pytest.warns(InputWarning, match=r"its sum was 3,"):
        found = psf.as_kernel(torch.stack([K, 3 * K]))
    torch.testing.assert_close(found, torch.stack([K, K]))


def changed(array, value):
    array = array.copy()
    array[1, 1] = value
    return array


BAD = {
    "complex.npy": (saved(np.save, TENTHS + 1j), "must hold real numbers, not complex"),
    "words.npy": (saved(np.save, np.array([["a"]])), "must hold real numbers, not <U1"),
    "objects.npy": (saved(np.save, np.array([[{}]]), allow_pickle=True), "it may be a .npy"),
    "cut.npy": (FILES["double.npy"][:-9], "it may be a .npy"),
    "huge.npy": (FILES["double.npy"].replace(b"'shape': (", b"'shape': (99999999,"), "it may be"),
    "row.npy": (saved(np.save, TENTHS[0]), r"not one kernel \(h, w\), but an array \(\d+,\)"),
    "row-or-column.npy": (saved(np.save, np.ones((1, 5, 1))), r"not one kernel \(h, w\)"),
    "two.npy": (saved(np.save, np.stack([TENTHS, TENTHS])), r"not one kernel \(h, w\)"),
    "empty.npy": (saved(np.save, np.zeros((0, 3))), r"must be \(h, w\) or \(B, h, w\)"),
    "nan.npy": (saved(np.save, changed(TENTHS, np.nan)), "NaN or infinite"),
    "negative.npy": (saved(np.save, changed(TENTHS, -1)), "negative"),
    "zeros.npy": (saved(np.save, 0 * TENTHS), "nothing but zeros"),
    "two.npz": (saved(np.savez, a=TENTHS, b=TENTHS), "holds a, b; a kernel is the only array"),
    "none.npz": (saved(np.savez), "it may be a .npy"),
    "cut.npz": (FILES["one.npz"][:60], "it may be a .npy"),
    "photo.png": (
        by_pillow(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8), "PNG"),
        "is grey, without transparency",
    ),
    "clear.png": (by_pillow(np.stack([EIGHT, EIGHT], -1), "PNG"), "is grey, without transparency"),
    "photo.jpg": (by_pillow(EIGHT, "JPEG"), "it may be a .npy"),
    "cut.png": (FILES["grey.png"][:70], "damaged"),
    "pages.tif": (saved(tifffile.imwrite, np.stack([SIXTEEN] * 2)), "holds 2 pictures"),
    "words.txt": (b"a kernel of mine\n", "line 1 is not a row of numbers"),
    "ragged.csv": (b"1,2,3\n1,2\n", "line 2 has 2 numbers, those above 3"),
    "pandas.csv": (b"0,1,2\n.1,.1,.1\n.1,.2,.1\n", "its first row or column only counts"),
    "index.csv": (b"0,.1,.1\n1,.1,.2\n", "its first row or column only counts"),
    "underscore.txt": (b"0.5 1_0 0.5", "line 1 is not a row of numbers"),
    "gap.csv": (b"1,,3\n", "line 1 is not a row of numbers"),
    "empty.txt": (b"# nothing\n", "holds no numbers"),
    "decimal.csv": (b"0,25\n0,5\n0,25\n", "its commas may separate numbers or be decimal"),
    "text.npz": (zipped("kernel.txt", b"1 2 3"), "a zip, not an .npz of one array"),
    "bytes.bin": (bytes(range(256)), "it may be a .npy"),
    "two.mat": (saved(scipy.io.savemat, {"x": TENTHS, "f": TENTHS}), "holds x, f; a kernel is"),
    "complex.mat": (saved(scipy.io.savemat, {"k": TENTHS + 1j}), "complex numbers"),
    "cut.mat": (FILES["matlab.mat"][:300], "damaged MATLAB file"),
    "new.mat": (b"MATLAB 7.3 MAT-file".ljust(512), "save it with the option -v7"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_kernel_is_one_sentence_that_names_the_file(name):
    data, message = BAD[name]
    with pytest.raises(InputError, match=message) as error:
        files.decode_kernel(data, name)
    told = str(error.value)
    assert told.startswith(f"{name}: ")
    assert "\n" not in told
    assert "pickle" not in told


def test_a_matlab_file_of_one_number_is_the_kernel_that_changes_nothing():
    data = saved(scipy.io.savemat, {"k": np.ones((1, 1))})
    assert torch.equal(files.decode_kernel(data, "k.mat"), torch.ones(1, 1))


def test_whole_numbers_that_count_by_chance_are_a_kernel():
    with pytest.warns(InputWarning, match="its sum was 36"):
        found = files.decode_kernel(b"0 1 2\n3 4 5\n6 7 8\n", "k.txt")
    torch.testing.assert_close(found, torch.arange(9.0).view(3, 3) / 36)


@pytest.mark.parametrize("axes", [(0,), (2,), (0, 3), (0, 1)])
def test_axes_of_one_are_left_out(axes):
    array = np.expand_dims(K.numpy(), axes)
    assert torch.equal(files.decode_kernel(saved(np.save, array), "k"), K)


def test_an_array_that_may_be_a_row_or_a_column_is_refused():
    with pytest.raises(InputError, match="k: may be a row or a column"):
        psf.as_kernel(np.ones((1, 5, 1)), "k")


@pytest.mark.parametrize("bad", [None, "k.npy", [[1.0]], torch.ones(3, 3, dtype=torch.cfloat)])
def test_what_is_no_array_of_real_numbers_is_refused(bad):
    with pytest.raises(InputError, match=r"^the kernel: must (be a tensor or an array|hold real)"):
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
