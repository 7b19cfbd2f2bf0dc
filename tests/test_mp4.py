"""Videos of which an edit list shows a part, as phones leave them."""

import struct

import numpy as np
import pytest
from test_video import pan, save_video

from deblurlib import video
from deblurlib.errors import InputError
from deblurlib.video import mp4

FRAMES = 60
STEP = 512  # from frame to frame, in units of the track, at 25 a second
SCALES = (1000, 25 * STEP)  # units a second, of the movie and of the track


def split(data):
    """The boxes of some bytes, as lists of a kind and its content."""
    found = []
    while data:
        (size,) = struct.unpack_from(">I", data)
        found.append([data[4:8], data[8:size]])
        data = data[size:]
    return found


def box(kind, content, long=False):
    if long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
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


def table(kind, rows, version=0):
    """A full box with a number of rows and these."""
    return box(kind, struct.pack(">B3xI", version, len(rows)) + b"".join(rows))


def edit_list(edits, version=0):
    """``(first frame or None, frames)`` each, as a track's ``edts``."""
    rows = []
    for first, count in edits:
        time = -1 if first is None else first * STEP
        duration = count * STEP * SCALES[0] // SCALES[1]
        rows.append(struct.pack((">Iihh", ">qqhh")[version], duration, time, 1, 0))
    return box(b"edts", table(b"elst", rows, version))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """The bytes of a video of 60 frames without an edit list, its table of frames in front."""
    path = save_video(tmp_path_factory.mktemp("film") / "a.mp4", pan(FRAMES), "mp4v")
    data = change(path.read_bytes(), "moov/trak/edts", lambda content: None)
    parts = split(data)
    (moov,) = (content for kind, content in parts if kind == b"moov")
    (mdat,) = (content for kind, content in parts if kind == b"mdat")
    rest = box(*parts[0])
    assert struct.unpack_from(">I", dict(split(moov))[b"mvhd"], 12) == (SCALES[0],)

    def moved(content):  # where the chunks of frames are in the file
        (count,) = struct.unpack_from(">I", content, 4)
        places = np.frombuffer(content, ">u4", count, 8).astype(np.int64)
        places += len(rest) + 8 + len(moov) + 8 - path.read_bytes().index(mdat)
        return content[:8] + places.astype(">u4").tobytes()

    moov = change(box(b"moov", moov), "moov/trak/mdia/minf/stbl/stco", moved)
    return rest, moov, mdat


def with_edits(film, edts, long=False, more=lambda moov: moov):
    """The film with an edit list, and the places of its frames moved by as much."""
    rest, moov, mdat = film
    made = more(change(moov, "moov/trak", lambda content: edts + content))
    ((_, content),) = split(made)
    made = box(b"moov", content, long)
    grown = len(made) - len(moov)

    def moved(content):
        places = np.frombuffer(content, ">u4", -1, 8) + grown
        return content[:8] + places.astype(">u4").tobytes()

    ((_, content),) = split(change(box(b"moov", content), "moov/trak/mdia/minf/stbl/stco", moved))
    return rest + box(b"moov", content, long) + box(b"mdat", mdat)


def rows(*pairs, kind=">II"):
    return [struct.pack(kind, *pair) for pair in pairs]


def slower_from_30(moov):
    new = table(b"stts", rows((30, STEP), (30, 2 * STEP)))[8:]
    return change(moov, "moov/trak/mdia/minf/stbl/stts", lambda content: new)


def shown_later(moov):
    late = table(b"ctts", rows((20, 2 * STEP), (99, 3 * STEP)))  # more than there are frames
    return change(moov, "moov/trak/mdia/minf/stbl", lambda content: content + late)


def shown_earlier(moov):
    early = table(b"ctts", rows((60, -STEP), kind=">Ii"), 1)
    return change(moov, "moov/trak/mdia/minf/stbl", lambda content: content + early)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("edits", "more", "shown"),
    [
        ([(24, 30)], None, 30),
        ([(0, 55)], None, 55),
        ([(5, 10), (40, 7)], None, 17),
        ([(None, 50), (24, 30)], None, 30),  # begins with a pause
        ([(50, 1000)], None, 10),
        ([(20, 20)], slower_from_30, 15),
        ([(0, 30)], shown_later, 27),
        ([(0, 30)], shown_earlier, 30),
    ],
)
def test_as_many_frames_count_as_are_read(tmp_path, film, edits, more, shown, version):
    path = tmp_path / "cut.mp4"
    data = with_edits(film, edit_list(edits, version), version == 1, more or (lambda moov: moov))
    path.write_bytes(data)
    assert mp4.shown_frames(path) == shown
    assert len(list(video.read_frames(path))) == shown


def test_the_edits_of_the_sound_are_not_those_of_the_frames(tmp_path, film):
    rest, moov, mdat = film
    pictures = change(moov, "moov/trak", lambda c: edit_list([(24, 30)]) + c)
    sound = change(moov, "moov/trak", lambda c: edit_list([(0, 5)]) + c)
    sound = change(sound, "moov/trak/mdia/hdlr", lambda c: c[:8] + b"soun" + c[12:])
    (track,) = (box(*one) for one in split(split(sound)[0][1]) if one[0] == b"trak")
    both = (
        change(pictures, "moov", lambda c: c + track),
        change(pictures, "moov", lambda c: track + c),
    )
    for made in both:
        (tmp_path / "a.mp4").write_bytes(rest + made + box(b"mdat", mdat))
        assert mp4.shown_frames(tmp_path / "a.mp4") == 30


def test_a_trimmed_video_that_is_cut_short_is_noticed(tmp_path, film):
    path = tmp_path / "cut.mp4"
    path.write_bytes(with_edits(film, edit_list([(24, 30)]))[: -len(film[2]) // 3])
    with pytest.raises(InputError, match=r"cut.mp4: damaged or cut short: 1?[0-9] of 30 frames"):
        list(video.read_frames(path))


def test_a_trimmed_video_makes_pairs_and_ends_where_it_is_said_to_end(tmp_path, film, command):
    path = tmp_path / "cut.mp4"
    path.write_bytes(with_edits(film, edit_list([(24, 30)])))
    code, out, _ = command("pairs", path, "-o", tmp_path / "mine")
    assert (code, out) == (0, f"{tmp_path}/mine/cut: 4 pairs of 7 frames, average of light\n")
    out = tmp_path / "out"
    code, _, err = command(
        "restore", path, "--frames", "29,30", "-o", out, "--method", "unsharp-mask"
    )
    assert (code, err) == (2, f"deblur: {path}: no frame 30; its last one is 29\n")
    assert [p.name for p in out.iterdir()] == ["cut-000029.png"]


@pytest.mark.parametrize(
    "change_it",
    [
        lambda moov: change(moov, "moov/trak/edts", lambda content: None),
        lambda moov: change(moov, "moov/trak/mdia/mdhd", lambda c: c[:12] + bytes(4) + c[16:]),
        lambda moov: change(moov, "moov/mvhd", lambda c: c[:12] + bytes(4) + c[16:]),
        lambda moov: change(moov, "moov/trak/mdia/minf/stbl/stts", lambda c: bytes(8)),  # fragments
        lambda moov: change(moov, "moov/trak/mdia/minf/stbl/stts", lambda c: c[:8]),
        lambda moov: change(
            moov, "moov/trak/mdia/minf/stbl/stts", lambda c: c[:8] + b"\xff" * 8
        ),  # frames beyond all memory
        lambda moov: change(moov, "moov/trak/edts/elst", lambda c: b""),
        lambda moov: b"",
    ],
)
def test_what_cannot_be_told_is_not_told(tmp_path, film, change_it):
    moov = change(film[1], "moov/trak", lambda content: edit_list([(24, 30)]) + content)
    (tmp_path / "a.mp4").write_bytes(film[0] + change_it(moov) + box(b"mdat", film[2]))
    assert mp4.shown_frames(tmp_path / "a.mp4") is None


def test_damage_of_any_kind_is_no_error(tmp_path, film):
    whole = film[0] + change(film[1], "moov/trak", lambda c: edit_list([(24, 30)]) + c)
    whole = np.frombuffer(whole + box(b"mdat", b"frames"), np.uint8)
    rng, path, found = np.random.default_rng(0), tmp_path / "a.mp4", set()
    for i in range(2000):
        data = whole.copy()
        places = rng.integers(0, len(data), rng.integers(1, 20))
        data[places] = rng.choice([0, 1, 127, 255, rng.integers(256)], len(places))
        path.write_bytes(data[: rng.integers(1, len(data)) if i % 4 == 0 else None].tobytes())
        found.add(type(mp4.shown_frames(path)))
    assert found == {int, type(None)}
