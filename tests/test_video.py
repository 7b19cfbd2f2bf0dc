"""Pairs from videos: reading frames, measuring motion, averaging windows; and trimmed videos."""

import struct
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
from deblurlib.video import mp4


def pan(count, speed=1, height=48, width=64, coarse=2.0):
    """Frames of a texture that moves to the right, ``speed`` pixels a frame."""
    wide = np.random.default_rng(0).standard_normal((height, width + speed * count, 3))
    wide = cv2.GaussianBlur(wide, (0, 0), coarse)
    wide = (128 + 50 * wide / wide.std()).clip(0, 255).astype(np.uint8)
    lefts = [speed * (count - i) for i in range(count)]
    return [np.ascontiguousarray(wide[:, left : left + width]) for left in lefts]


def upright(frames):
    return [np.ascontiguousarray(frame.swapaxes(0, 1)) for frame in frames]


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


# Reading


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


def test_frames_are_in_one_order_by_number_and_a_folder_is_no_frame(tmp_path, save_picture):
    names = ["01.png", "1.png", "1a.png", "002.png", "2.PNG", "9.png", "10.png"]
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
        ("cafe\N{COMBINING ACUTE ACCENT}.jpg", "caf\N{LATIN SMALL LETTER E WITH ACUTE}.png"),
    ],
)
def test_two_frames_of_one_stem_are_an_error(tmp_path, save_picture, first, second):
    for name in (first, second, "001.png"):
        save_picture(tmp_path / name)
    with pytest.raises(InputError, match=f"{tmp_path}/{first} and {tmp_path}/{second}: two files"):
        next(video.read_frames(tmp_path))


def test_a_frame_of_another_size_is_named(tmp_path):
    folder = save_frames(tmp_path / "clip", [*pan(3), *pan(1, height=50)])
    frames = video.read_frames(folder)
    assert [next(frames).shape for _ in range(3)] == [(48, 64, 3)] * 3
    with pytest.raises(InputError, match="clip: frame 3 has 64 x 50 pixels, the ones before it"):
        next(frames)


@pytest.mark.parametrize(("name", "code"), [("a.mp4", "mp4v"), ("a.avi", "MJPG")])
def test_a_video_file_gives_its_frames_in_order_and_red_is_red(tmp_path, name, code):
    red = np.full((48, 64, 3), (250, 10, 10), np.uint8)
    frames = [*pan(9, 2, coarse=4), red]
    read = list(video.read_frames(save_video(tmp_path / name, frames, code)))
    assert len(read) == 10
    for number, made in enumerate(read):
        assert (made.dtype, made.shape, made.flags.c_contiguous) == (np.uint8, (48, 64, 3), True)
        errors = [np.abs(made - frame.astype(float)).mean() for frame in frames]
        assert errors[number] == min(errors) < 8
    assert (np.abs(read[-1].astype(int) - red) < 16).all()


@pytest.mark.parametrize(
    "name", ["at-12:30:05.mp4", "photo_001.avi", "caf\udce9.mp4", "caf\xe9 %d.avi", "no suffix"]
)
def test_a_video_is_read_whatever_its_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    made = save_video(tmp_path / "made.avi", pan(5), "mp4v" if name.endswith("mp4") else "MJPG")
    try:
        made.rename(name)
    except OSError:
        pytest.skip("this disk takes no such name")
    for source in (name, tmp_path / name):
        assert len(list(video.read_frames(source))) == 5


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty", None, "no frame"),
        ("nowhere.mp4", None, "no such file"),
        ("disguised", None, "0.png: not an image"),
        ("photo_001.png", None, "a picture"),
        ("photo_003.mp4", b"II*\0" + bytes(99), "a picture"),
        ("text.mp4", b"no video\n" * 1000, "not a video"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n", "not a video"),
        ("zeros.mp4", bytes(9999), "not a video"),
    ],
)
def test_a_source_without_frames_is_named(tmp_path, save_picture, name, content, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "disguised").mkdir()
    (tmp_path / "disguised" / "0.png").write_text("no image")
    save_video(tmp_path / "a.mp4", pan(2), "mp4v")
    for number in (1, 2):
        save_picture(tmp_path / f"photo_00{number}.png")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}.*{words}"):
        list(video.read_frames(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "code"), [("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "MJPG")]
)
def test_a_video_cut_short_is_an_error(tmp_path, name, code):
    path = save_video(tmp_path / name, pan(60), code)
    whole = path.read_bytes()
    assert len(list(video.read_frames(path))) == 60
    words = f"{name}: (not a video|damaged or cut short: [0-9]+ of 60 frames are there)"
    for share in (0.85, 0.5, 0.1):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=words):
            list(video.read_frames(path))


# Motion


@pytest.mark.parametrize(
    ("shift", "height", "width", "tolerance"),
    [
        (0, 240, 280, 0),
        (1, 240, 280, 0.5),
        (7, 240, 280, 0.5),
        (3, 24, 240, 0.7),  # enlarged before it is measured
        (3, 1200, 1240, 0.5),  # reduced
        (15, 1200, 1240, 1),
    ],
)
def test_motion_is_in_pixels_of_the_frames_as_they_are(shift, height, width, tolerance):
    frames = pan(2, shift, height, width, coarse=2 if height == 24 else 4 * max(height / 480, 1))
    assert video.motion(*frames) == pytest.approx(shift, abs=tolerance)
    assert video.motion(*upright(frames)) == pytest.approx(shift, abs=tolerance)


def test_motion_along_a_low_side_is_in_its_own_pixels():
    assert video.motion(*upright(pan(2, 2, 240, 16))) < 4


def test_motion_of_a_tenth_of_the_frame_counts_and_of_a_hundredth_does_not():
    before, after = pan(2, 6, 240, 240)
    for part, moves in ((24, True), (2, False)):
        mixed = before.copy()
        mixed[:part] = after[:part]
        assert (video.motion(before, mixed) > 4) is moves


def test_motion_of_small_and_of_narrow_frames_is_a_number():
    # in a process of its own: OpenCV's optical flow crashes on low frames
    code = """
import numpy as np; from deblurlib import video
for side in (4, 4), (16, 100), (30, 300), (16, 480), (100, 1920), (1920, 100):
    f = np.random.default_rng(0).integers(0, 256, (*side, 3)).astype(np.uint8)
    assert video.motion(f, f) == 0, side
    assert video.motion(f, np.roll(f, 1, 0)) < 10, side
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


# Windows


def flat(count):
    """Frames that tell their number."""
    return [np.full((16, 16, 3), 3 * i, np.uint8) for i in range(count)]


@pytest.mark.parametrize(
    ("count", "window", "stride", "message"),
    [
        (6, 7, None, "7 frames does not fit into 6"),
        (0, 1, None, "1 frames does not fit into 0"),
        (9, 4, None, "not 4"),
        (9, -1, None, "not -1"),
        (9, 3, 0, "not 0"),
    ],
)
def test_wrong_windows_are_named(count, window, stride, message):
    with pytest.raises(InputError, match=message):
        list(video.pairs(iter(flat(count)), window, "light", stride))


@pytest.mark.parametrize("window", [1, 3, 7])
def test_windows_follow_each_other_by_the_stride_as_long_as_they_fit(window):
    for count in (window, window + 1, 20):
        for stride in (None, 1, 2, 5, 8):
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


def test_an_even_motion_is_the_convolution_with_its_line():
    pair = next(video.pairs(iter(pan(7)), 7, "encoded"))
    line = psf.motion(7)[3:4]
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


# Videos of which an edit list shows a part, as phones leave them


STEP = 512  # from frame to frame, in units of the track, at 25 a second
SCALES = (1000, 25 * STEP)  # units a second, of the movie and of the track
TABLES = "moov/trak/mdia/minf/stbl"


def split(data):
    """The boxes of some bytes, as lists of a kind and its content."""
    found = []
    while data:
        (size,) = struct.unpack_from(">I", data)
        found.append([data[4:8], data[8:size]])
        data = data[size:]
    return found


def box(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def change(data, path, new):
    """``data`` with the content of the box at ``path`` made ``new(content)``; None: without it."""
    first, _, rest = path.partition("/")
    made = b""
    for kind, content in split(data):
        if kind.decode() == first:
            content = change(content, rest, new) if rest else new(content)
        made += b"" if content is None else box(kind, content)
    return made


def table(kind, rows, layout=">II", version=0):
    """A full box with a number of rows and these."""
    packed = b"".join(struct.pack(layout, *row) for row in rows)
    return box(kind, struct.pack(">B3xI", version, len(rows)) + packed)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A video of 60 frames: its bytes up to the tables at its end, and these, without edit list."""
    path = save_video(tmp_path_factory.mktemp("film") / "a.mp4", pan(60), "mp4v")
    *first, (kind, tables) = split(path.read_bytes())
    assert struct.unpack_from(">I", dict(split(tables))[b"mvhd"], 12) == (SCALES[0],)
    tables = change(box(kind, tables), "moov/trak/edts", lambda content: None)
    return b"".join(box(*one) for one in first), tables


def edited(tables, edits=((24, 30),), version=0):
    """The tables, and ``(first frame or None, frames)`` each as what is shown."""
    rows = []
    for first, count in edits:
        time = -1 if first is None else first * STEP
        rows.append((count * STEP * SCALES[0] // SCALES[1], time, 1, 0))
    edts = box(b"edts", table(b"elst", rows, (">Iihh", ">qqhh")[version], version))
    return change(tables, "moov/trak", lambda content: edts + content)


def slower_from_30(moov):
    new = table(b"stts", [(30, STEP), (30, 2 * STEP)])[8:]
    return change(moov, f"{TABLES}/stts", lambda content: new)


def shown_later(moov):
    late = table(b"ctts", [(20, 2 * STEP), (99, 3 * STEP)])  # more than there are frames
    return change(moov, TABLES, lambda content: content + late)


def shown_earlier(moov):
    early = table(b"ctts", [(60, -STEP)], ">Ii", 1)
    return change(moov, TABLES, lambda content: content + early)


def in_64_bits(tables):
    return struct.pack(">I4sQ", 1, b"moov", 8 + len(tables)) + tables[8:]


@pytest.mark.parametrize(
    ("edits", "more", "shown"),
    [
        ([(24, 30)], None, 30),
        ([(5, 10), (40, 7)], in_64_bits, 17),
        ([(None, 50), (24, 30)], None, 30),  # begins with a pause
        ([(50, 1000)], None, 10),
        ([(20, 20)], slower_from_30, 15),
        ([(0, 30)], shown_later, 27),
        ([(0, 30)], shown_earlier, 30),
    ],
)
def test_as_many_frames_count_as_are_read(tmp_path, film, edits, more, shown):
    path, (first, tables) = tmp_path / "cut.mp4", film
    for version in (0, 1):
        made = edited(tables, edits, version)
        path.write_bytes(first + (more(made) if more else made))
        assert mp4.shown_frames(path) == shown
        assert len(list(video.read_frames(path))) == shown


def test_the_edits_of_the_sound_are_not_those_of_the_frames(tmp_path, film):
    pictures, sound = edited(film[1]), edited(film[1], [(0, 5)])
    sound = change(sound, "moov/trak/mdia/hdlr", lambda c: c[:8] + b"soun" + c[12:])
    (track,) = (box(*one) for one in split(split(sound)[0][1]) if one[0] == b"trak")
    for join in (lambda c: c + track, lambda c: track + c):
        (tmp_path / "a.mp4").write_bytes(film[0] + change(pictures, "moov", join))
        assert mp4.shown_frames(tmp_path / "a.mp4") == 30


def test_a_trimmed_video_of_which_frames_are_damaged_is_noticed(tmp_path, film):
    first, tables = film
    share = len(first) // 3
    (tmp_path / "cut.mp4").write_bytes(first[:-share] + bytes(share) + edited(tables))
    with pytest.raises(InputError, match=r"cut.mp4: damaged or cut short: 1?[0-9] of 30 frames"):
        list(video.read_frames(tmp_path / "cut.mp4"))


def test_a_trimmed_video_makes_pairs_and_ends_where_it_is_said_to_end(tmp_path, film, command):
    path, out = tmp_path / "cut.mp4", tmp_path / "out"
    path.write_bytes(film[0] + edited(film[1]))
    code, told, _ = command("pairs", path, "-o", tmp_path / "mine")
    assert code == 0
    assert "cut: 4 pairs of 7 frames" in told
    method = ("--method", "unsharp-mask")
    code, _, err = command("restore", path, "--frames", "29,30", "-o", out, *method)
    assert (code, err) == (2, f"deblur: {path}: no frame 30; its last one is 29\n")
    assert [p.name for p in out.iterdir()] == ["cut-000029.png"]


def no_units(content):
    return content[:12] + bytes(4) + content[16:]


@pytest.mark.parametrize(
    ("place", "new"),
    [
        ("moov/trak/edts", lambda content: None),
        ("moov/trak/edts/elst", lambda content: b""),
        ("moov/trak/mdia/mdhd", no_units),
        ("moov/mvhd", no_units),
        (f"{TABLES}/stts", lambda content: bytes(8)),  # the frames are in fragments
        (f"{TABLES}/stts", lambda content: content[:8]),
        (f"{TABLES}/stts", lambda content: content[:8] + b"\xff" * 8),  # more than any memory
        ("moov", lambda content: None),
    ],
)
def test_what_cannot_be_told_is_not_told(tmp_path, film, place, new):
    (tmp_path / "a.mp4").write_bytes(film[0] + change(edited(film[1]), place, new))
    assert mp4.shown_frames(tmp_path / "a.mp4") is None


def test_a_box_of_64_bits_whose_size_is_cut_off_is_not_told(tmp_path, film):
    (tmp_path / "a.mp4").write_bytes(film[0] + struct.pack(">I4s", 1, b"moov"))
    assert mp4.shown_frames(tmp_path / "a.mp4") is None


def test_damage_of_any_kind_is_no_error(tmp_path, film):
    whole = np.frombuffer(edited(film[1]), np.uint8)
    rng, path, found = np.random.default_rng(0), tmp_path / "a.mp4", set()
    for i in range(300):
        data = whole.copy()
        places = rng.integers(0, len(data), rng.integers(1, 20))
        data[places] = rng.choice([0, 1, 127, 255, rng.integers(256)], len(places))
        path.write_bytes(data[: rng.integers(1, len(data)) if i % 4 == 0 else None].tobytes())
        found.add(type(mp4.shown_frames(path)))
    assert found == {int, type(None)}
