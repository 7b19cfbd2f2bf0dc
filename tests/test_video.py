"""Pairs from videos: reading frames, measuring motion, averaging windows, writing a set."""

import subprocess
import sys
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from deblurlib import degrade, images, psf, video
from deblurlib.errors import InputError


def pan(count, speed=1, height=48, width=64, coarse=2.0):
    """Frames of a texture that moves to the right, ``speed`` pixels a frame."""
    wide = np.random.default_rng(0).standard_normal((height, width + speed * count, 3))
    wide = cv2.GaussianBlur(wide, (0, 0), coarse)
    wide = (128 + 50 * wide / wide.std()).clip(0, 255).astype(np.uint8)
    lefts = [speed * (count - i) for i in range(count)]
    return [np.ascontiguousarray(wide[:, left : left + width]) for left in lefts]


def save_frames(folder, frames):
    """Write frames into a new folder, without a loss."""
    folder.mkdir()
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{i:04d}.png"), frame[..., ::-1])
    return folder


def save_video(path, frames, code):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 25, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    return path


def test_a_folder_is_read_sorted_and_as_8_bit_rgb(tmp_path, save_picture):
    colour = save_picture(tmp_path / "b.png", 1)
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    cv2.imwrite(str(tmp_path / "c.PNG"), np.dstack([colour[..., ::-1], grey]))  # with alpha
    deep = np.arange(0, 70000, 2000, dtype=np.uint16).reshape(5, 7)
    cv2.imwrite(str(tmp_path / "d.tif"), deep)
    save_picture(tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").write_text("no frame")
    frames = list(video.read_frames(tmp_path))
    assert [(f.dtype, f.shape) for f in frames] == [(np.uint8, (5, 7, 3))] * 4
    rounded = (deep.astype(int) + 128) // 257
    expected = [np.dstack([grey] * 3), colour, colour, np.dstack([rounded] * 3)]
    assert all(np.array_equal(f, e) for f, e in zip(frames, expected, strict=True))


@pytest.mark.parametrize(("name", "code"), [("a.mp4", "mp4v"), ("a.avi", "MJPG")])
def test_a_video_file_gives_its_frames_in_order_and_red_is_red(tmp_path, name, code):
    red = np.full((48, 64, 3), (250, 10, 10), np.uint8)
    frames = [*pan(9, 2, coarse=4), red]
    read = list(video.read_frames(save_video(tmp_path / name, frames, code)))
    assert len(read) == 10
    for made, frame in zip(read, frames, strict=True):
        assert (made.dtype, made.shape, made.flags.c_contiguous) == (np.uint8, (48, 64, 3), True)
        errors = [np.abs(made - f.astype(float)).mean() for f in frames]
        assert errors[[f is frame for f in frames].index(True)] == min(errors) < 8
    assert (np.abs(read[-1].astype(int) - red) < 16).all()


def test_a_frame_of_another_size_is_named(tmp_path):
    folder = save_frames(tmp_path / "clip", [*pan(3), *pan(1, height=50)])
    frames = video.read_frames(folder)
    assert [next(frames).shape for _ in range(3)] == [(48, 64, 3)] * 3
    with pytest.raises(InputError, match="clip: frame 3 has 64 x 50 pixels, the ones before it"):
        next(frames)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty", "empty: no frame in it that can be read"),
        ("text.mp4", r"text\.mp4: not a video that can be read"),
        ("nowhere.mp4", r"nowhere\.mp4: no such file or folder"),
        ("disguised", r"0\.png: not an image file that can be read"),
        ("photo_001.png", r"photo_001\.png: a picture, not a video that can be read"),
        ("notes.txt", r"notes\.txt: not a video that can be read"),
        ("list.m3u8", r"list\.m3u8: not a video that can be read"),
    ],
)
def test_a_source_without_frames_is_named(tmp_path, save_picture, name, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video\n" * 1000)
    (tmp_path / "notes.txt").write_text("hello\nworld\n" * 2000)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n")
    save_video(tmp_path / "a.mp4", pan(2), "mp4v")
    save_picture(tmp_path / "photo_001.png")
    save_picture(tmp_path / "photo_002.png")
    (tmp_path / "disguised").mkdir()
    (tmp_path / "disguised" / "0.png").write_text("no image")
    with pytest.raises(InputError, match=message):
        list(video.read_frames(tmp_path / name))


@pytest.mark.parametrize("share", [0.85, 0.5, 0.1])
@pytest.mark.parametrize(
    ("name", "code"), [("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "MJPG")]
)
def test_a_video_cut_short_is_an_error(tmp_path, name, code, share):
    path = save_video(tmp_path / name, pan(60), code)
    assert len(list(video.read_frames(path))) == 60
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    words = f"{name}: (not a video|damaged or cut short: [0-9]+ of 60 frames are there)"
    with pytest.raises(InputError, match=words):
        list(video.read_frames(path))


@pytest.mark.parametrize(
    ("shift", "side", "tolerance"),
    [(0, 240, 0), (1, 240, 0.5), (3, 240, 0.5), (7, 240, 0.5), (3, 1200, 0.5), (15, 1200, 1)],
)
def test_motion_is_in_pixels_of_the_frames_as_they_are(shift, side, tolerance):
    before, after = pan(2, shift, side, side + 40, coarse=4 * max(side / 480, 1))
    assert video.motion(before, after) == pytest.approx(shift, abs=tolerance)
    turned = [np.ascontiguousarray(f.swapaxes(0, 1)) for f in (before, after)]
    assert video.motion(*turned) == pytest.approx(shift, abs=tolerance)


def test_motion_of_a_tenth_of_the_frame_counts_and_of_a_hundredth_does_not():
    before, after = pan(2, 6, 240, 240)
    for part, moves in ((24, True), (2, False)):
        mixed = before.copy()
        mixed[:part] = after[:part]
        assert (video.motion(before, mixed) > 4) is moves


def test_motion_of_frames_that_are_enlarged_first_is_in_their_own_pixels():
    before, after = pan(2, 3, 24, 240)
    assert video.motion(before, after) == pytest.approx(3, abs=0.7)
    turned = [np.ascontiguousarray(f.swapaxes(0, 1)) for f in (before, after)]
    assert video.motion(*turned) == pytest.approx(3, abs=0.7)


def test_motion_along_a_low_side_is_in_its_own_pixels():
    tall = [np.ascontiguousarray(f.swapaxes(0, 1)) for f in pan(2, 2, 240, 16)]
    assert video.motion(*tall) < 4


@pytest.mark.parametrize(
    ("height", "width"), [(4, 4), (16, 100), (30, 300), (16, 480), (100, 1920), (1920, 100)]
)
def test_motion_of_small_and_of_narrow_frames_is_a_number(height, width):
    # in a process of its own: OpenCV's optical flow crashes on low frames
    code = (
        "import numpy as np; from deblurlib import video; f = np.random.default_rng(0)"
        f".integers(0, 256, ({height}, {width}, 3)).astype(np.uint8); "
        "assert video.motion(f, f) == 0; assert video.motion(f, np.roll(f, 1, 0)) < 10"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_frames_are_sorted_by_number(tmp_path, save_picture):
    arrays = {n: save_picture(tmp_path / f"frame_{n}.png", seed=n) for n in (10, 9, 2)}
    read = list(video.read_frames(tmp_path))
    assert [np.array_equal(a, arrays[n]) for a, n in zip(read, (2, 9, 10), strict=True)] == [1] * 3


def test_numbers_that_tie_are_in_one_order_and_a_folder_is_no_frame(tmp_path, save_picture):
    names = ["01.png", "1.png", "1a.png", "002.png", "2.PNG"]
    arrays = [save_picture(tmp_path / name, seed) for seed, name in enumerate(names)]
    (tmp_path / "0.png").mkdir()
    for order in (names, names[::-1]):
        with pytest.MonkeyPatch.context() as patch:
            paths = [tmp_path / name for name in (*order, "0.png")]
            patch.setattr(Path, "iterdir", lambda folder, paths=paths: iter(paths))
            read = list(video.read_frames(tmp_path))
        assert all(np.array_equal(*both) for both in zip(read, arrays, strict=True))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("000.jpg", "000.png"),
        ("000.PNG", "000.png"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}.png", "cafe\N{COMBINING ACUTE ACCENT}.jpg"),
    ],
)
def test_two_frames_of_one_stem_are_an_error(tmp_path, save_picture, first, second):
    for name in (first, second, "001.png"):
        save_picture(tmp_path / name)
    names = sorted([first, second])
    with pytest.raises(InputError) as error:
        next(video.read_frames(tmp_path))
    assert (
        str(error.value)
        == f"{tmp_path}/{names[0]} and {tmp_path}/{names[1]}: two files of one stem"
    )


@pytest.mark.parametrize(
    "name", ["at-12:30:05.mp4", "photo_001.avi", "caf\udce9.mp4", "caf\xe9 %d.avi", "no suffix"]
)
def test_a_video_is_read_whatever_its_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    code = "mp4v" if name.endswith("mp4") else "MJPG"
    made = save_video(tmp_path / "made.avi", pan(5), code)
    try:
        made.rename(name)
    except OSError:
        pytest.skip("this disk takes no such name")
    for source in (name, tmp_path / name):
        assert len(list(video.read_frames(source))) == 5


def flat(count):
    """Frames that tell their number."""
    return [np.full((16, 16, 3), 3 * i, np.uint8) for i in range(count)]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((4,), "not 4"), ((-1,), "not -1"), ((3, 0), "not 0"), ((13,), "13.*12")],
)
def test_wrong_windows_are_named(arguments, named):
    window, *stride = arguments
    with pytest.raises(InputError, match=named):
        list(video.pairs(iter(flat(12)), window, "encoded", *stride))


@pytest.mark.parametrize("window", [1, 3, 5, 7])
def test_windows_follow_each_other_by_the_stride_as_long_as_they_fit(window):
    for count in (window, window + 1, 20, 23):
        for stride in (None, 1, 2, 3, 5, 8):
            made = list(video.pairs(iter(flat(count)), window, "encoded", stride))
            starts = range(0, count - window + 1, stride or window)
            windows = [range(i, i + window) for i in starts]
            assert [pair.frames for pair in made] == windows
            for pair, w in zip(made, windows, strict=True):
                assert torch.equal(pair.x, images.to_tensor(flat(count)[w[window // 2]]))
                mean = torch.full((3, 16, 16), 3 * sum(w) / window / 255)
                assert torch.allclose(pair.y, mean, atol=1e-6)


@pytest.mark.parametrize("average", ["light", "encoded"])
def test_y_is_the_exposure_and_motion_the_fastest_step(average):
    frames = [*pan(3), *pan(4, 5)]
    tensors = [images.to_tensor(frame) for frame in frames]
    made = list(video.pairs(iter(frames), 3, average, 2))
    assert len(made) == 3
    for pair in made:
        assert torch.equal(pair.y, degrade.expose([tensors[i] for i in pair.frames], average))
        first, middle, last = (frames[i] for i in pair.frames)
        assert pair.motion == max(video.motion(first, middle), video.motion(middle, last))
    assert made[0].motion < 2 < 4 < made[2].motion


def test_a_mean_of_light_is_never_darker_than_one_of_stored_values():
    light, stored = (next(video.pairs(iter(pan(7, 3)), 7, a)).y for a in ("light", "encoded"))
    assert (light - stored).min() > -1e-6
    assert (light - stored).max() > 0.01


def test_an_even_motion_is_the_convolution_with_its_line():
    pair = next(video.pairs(iter(pan(7)), 7, "encoded"))
    line = torch.full((1, 7), 1 / 7)
    assert torch.equal(psf.motion(7)[3], line[0])
    expected = degrade.convolve(pair.x[None], line, "valid")[0]
    assert torch.allclose(pair.y[..., 3:-3], expected, atol=1e-5)


@pytest.mark.parametrize(("window", "stride"), [(3, 3), (5, 2), (3, 9), (1, 1)])
def test_no_more_than_a_window_of_frames_is_held(window, stride):
    alive, most, made = weakref.WeakSet(), [0], [0]

    class Frame(np.ndarray):
        __hash__ = object.__hash__

    def film():
        for i in range(40):
            frame = np.full((16, 16, 3), i, np.uint8).view(Frame)
            alive.add(frame)
            made[0] = i + 1
            most[0] = max(most[0], len(alive))
            yield frame
            del frame

    for pair in video.pairs(film(), window, "encoded", stride):
        assert made[0] == pair.frames[-1] + 1  # nothing is read ahead
    assert made[0] == 40
    assert most[0] <= window + 1  # the next one is read before the last one is let go


@pytest.mark.parametrize(
    ("count", "window", "stride", "message"),
    [
        (6, 7, None, "a window of 7 frames does not fit into 6"),
        (0, 1, None, "a window of 1 frames does not fit into 0"),
        (9, 4, None, "odd number of frames, not 4"),
        (9, -1, None, "odd number of frames, not -1"),
        (9, 3, 0, "stride must be 1 frame or more, not 0"),
    ],
)
def test_bad_windows_are_errors(count, window, stride, message):
    with pytest.raises(InputError, match=message):
        list(video.pairs(iter(flat(count)), window, "light", stride))
