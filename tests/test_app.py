"""The web app over HTTP: the right picture or one sentence, for everybody, whatever comes."""

import io
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from urllib.parse import unquote

import cv2
import gradio_client
import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image
from serving import serving, wait_until

from deblurlib import files, images, psf, restoration
from deblurlib.app import parts
from deblurlib.app.visits import Visits
from deblurlib.errors import InputError

MANY = {"seconds": 60.0, "pixels": 1_000_000, "waiting": 6}


@pytest.fixture(scope="module")
def app():
    with serving(**MANY) as served:
        yield served


@pytest.fixture
def noise(rand):
    """``noise(h, w)``: pixels of 8 bits."""
    return lambda height, width, seed=0: images.to_array(rand(3, height, width, seed=seed))


# ---- pictures of all kinds


def rotated(path, pixels):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(pixels).save(path.with_suffix(".jpg"), exif=exif)
    return path.with_suffix(".jpg")


def deep(path, pixels):
    cv2.imwrite(str(path.with_suffix(".png")), pixels.astype(np.uint16) * 257)
    return path.with_suffix(".png")


def inks(path, pixels):
    Image.fromarray(pixels).convert("CMYK").save(path.with_suffix(".jpg"))
    return path.with_suffix(".jpg")


def disguised(path, pixels):
    Image.fromarray(pixels).save(path.with_suffix(".png"))
    return path.with_suffix(".png").rename(path.with_suffix(".jpg"))


def tagged(path, pixels):
    tifffile.imwrite(path.with_suffix(".tif"), pixels, compression="deflate")
    return path.with_suffix(".tif")


def named(path, pixels):
    Image.fromarray(pixels).save(path.with_name("été & co <b>.webp"), lossless=True)
    return path.with_name("été & co <b>.webp")


@pytest.mark.parametrize("make", [rotated, deep, inks, disguised, tagged, named])
def test_a_picture_is_restored_to_the_file_that_the_command_writes(app, tmp_path, noise, make):
    photo = make(tmp_path / "photo", noise(40, 56))
    answer = app.post("restore", photo, method="unsharp-mask", set="amount=2")
    method = restoration.find_method("unsharp-mask").with_settings(amount=2)
    (outcome,) = restoration.restore_files([photo], restoration.Request(method))
    assert answer.status_code == 200, answer.text
    assert answer.content == outcome.target.read_bytes()
    assert photo.suffix in answer.headers["content-disposition"]


def huge_png():
    """13,000 x 13,000 pixels that take a few hundred kB as a file, and 507 MB as pixels."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    side = 13_000
    pixels = zlib.compress(bytes(1 + 3 * side) * side, 1)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def animated(kind):
    data, frames = io.BytesIO(), [Image.new("RGB", (20, 20), c) for c in ("red", "blue")]
    frames[0].save(data, kind, save_all=True, append_images=frames[1:])
    return data.getvalue()


REFUSED = {
    "cut.jpg": (lambda: cv2.imencode(".jpg", np.zeros((90, 90, 3)))[1].tobytes()[:500], "damaged"),
    "text.png": (lambda: b"not a picture", "not an image file"),
    "empty.png": (lambda: b"", ""),
    "page.jpg": (lambda: b"<script>alert(1)</script>", "not an image file"),
    "film.gif": (lambda: animated("GIF"), "GIF cannot be read"),
    "film.webp": (lambda: animated("WEBP"), "2 pictures"),
    "film.mp4": (lambda: b"\0\0\0\x18ftypmp42" + bytes(100), "video"),
    "phone.heic": (lambda: b"\0\0\0\x18ftypheic" + bytes(100), "HEIC"),
    "huge.png": (huge_png, "13000 x 13000 pixels are more than the limit of 1,000,000"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_picture_gets_one_sentence(app, tmp_path, name):
    make, why = REFUSED[name]
    (tmp_path / name).write_bytes(make())
    answer = app.post("restore", tmp_path / name, method="unsharp-mask")
    told = answer.json()["error"]
    assert answer.status_code == 422
    assert why in told
    assert not re.search(r"/|Traceback|--\w|\n", told), told


def test_a_huge_picture_is_refused_before_it_is_decoded(app, tmp_path):
    (tmp_path / "huge.png").write_bytes(huge_png())
    before = peak(app.desk.restoring.pid)
    assert app.post("restore", tmp_path / "huge.png").status_code == 422
    assert peak(app.desk.restoring.pid) - before < 50


def peak(pid):
    """The most memory that a process ever had, MB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


@pytest.mark.parametrize("said", [True, False])
def test_a_request_that_is_too_large_is_refused_as_it_comes(app, said):
    size = app.desk.limits.bytes + 2_000_000
    begin = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n'
    pieces = (begin, *[bytes(2**16)] * (size // 2**16 + 1))
    content = b"".join(pieces) if said else iter(pieces)
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{app.url}/restore", content=content, headers=kind, timeout=60)
    assert answer.status_code == 413
    assert "20 MB" in answer.json()["error"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"method": "nonesuch"}, "no method 'nonesuch'"),
        ({"method": "../../etc"}, "no method"),
        ({"method": "wiener"}, "needs to know the blur"),
        ({"set": "amount"}, "NAME=VALUE"),
        ({"method": "unsharp-mask", "set": "amount=x"}, "amount"),
        ({"method": "unsharp-mask", "strength": "2"}, "strength"),
        ({"method": "unsharp-mask", "size": "-4"}, "size is a whole number"),
    ],
)
def test_what_cannot_be_asked_is_said(app, tmp_path, save_picture, fields, why):
    save_picture(tmp_path / "a.png")
    answer = app.post("restore", tmp_path / "a.png", **fields)
    assert answer.status_code == 422
    assert why in answer.json()["error"]


def test_a_sharp_picture_is_left_alone_unless_it_is_asked_for(app, tmp_path):
    pixels = np.kron(np.random.default_rng(0).integers(0, 2, (24, 24)), np.ones((16, 16))) * 255
    cv2.imwrite(str(tmp_path / "sharp.png"), pixels)
    answer = app.post("restore", tmp_path / "sharp.png")
    assert "sharp already" in answer.json()["error"]
    assert app.post("restore", tmp_path / "sharp.png", even_if_sharp="true").status_code == 200


# ---- kernels and trust


def test_a_kernel_is_taken_found_and_cut_as_by_the_command(app, tmp_path, rand):
    k = psf.motion(7, 20)
    lamp = np.full((90, 90), 20, np.uint8)
    lamp[40 : 40 + k.shape[0], 30 : 30 + k.shape[1]] += (k / k.max() * 200).byte().numpy()
    cv2.imwrite(str(tmp_path / "lamp.png"), lamp)
    answer = app.post("kernel", tmp_path / "lamp.png", box="26,36,46,56")
    assert answer.status_code == 200, answer.text
    (tmp_path / "k.npy").write_bytes(answer.content)
    cut = files.read_kernel(tmp_path / "k.npy")
    peak = np.unravel_index(lamp.argmax(), lamp.shape)
    expected = restoration.kernel_by_streak(
        files.read_photo(tmp_path / "lamp.png"), int(peak[1]), int(peak[0]), 21
    )
    assert np.array_equal(cut, expected.kernel)
    answer = app.post("restore", tmp_path / "lamp.png", kernel=tmp_path / "k.npy")
    restored = tmp_path / "by_command.png"
    request = restoration.Request(restoration.METHODS["richardson-lucy-tv"], kernel=cut)
    list(restoration.restore_files([tmp_path / "lamp.png"], request, restored))
    assert answer.content == restored.read_bytes()
    for fields in ({"box": "1,2,3"}, {"box": "900,900,950,950"}, {"size": "4"}):
        assert app.post("kernel", tmp_path / "lamp.png", **fields).status_code == 422


def test_trust_is_drawn_as_by_the_command(app, tmp_path, noise):
    for name, seed in (("a.png", 0), ("b.png", 1)):
        Image.fromarray(noise(120, 130, seed)).save(tmp_path / name)
    answer = app.post("trust", tmp_path / "a.png", restored=tmp_path / "b.png")
    pair = [files.read_photo(tmp_path / name) for name in ("a.png", "b.png")]
    drawn = restoration.write_trust(tmp_path / "b.png", *pair)
    assert answer.content == drawn.path.read_bytes()
    assert float(answer.headers["x-flagged"]) == pytest.approx(drawn.flagged, abs=1e-4)


# ---- who may see what


def test_nobody_reaches_a_file_of_the_server_or_of_another(app, tmp_path, save_picture):
    save_picture(tmp_path / "mine.png")
    secret = tmp_path / "secret.txt"
    secret.write_text("not for you")
    token = app.desk.visits.new()
    (app.desk.visits.folder(token) / "theirs.png").write_bytes(b"theirs")
    assert app.client.get(f"/pictures/{token}/theirs.png").content == b"theirs"
    ways = [
        f"/pictures/{token}/..%2f..%2f..%2f..%2f{secret}",
        f"/pictures/..%2f..%2f/{secret.name}",
        f"/pictures/{token[:-1]}/theirs.png",
        f"/gradio_api/file={secret}",
        f"/gradio_api/file={app.desk.visits.folder(token) / 'theirs.png'}",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=http://127.0.0.1:1/x",
        "/gradio_api/proxy=http://127.0.0.1:1/x",
        "/monitoring/summary",
        "/file=/etc/passwd",
    ]
    for way in ways:
        answer = app.client.get(way)
        assert answer.status_code in (403, 404), way
        assert not re.search("not for you|theirs\\b(?!.png)|root:", answer.text), way
    for way in ("process_recording", "component_server", "deep_link"):
        assert app.client.post(f"/gradio_api/{way}", content=b"x").status_code == 404, way
    for text in (str(secret), "/etc/passwd"):  # a field where a file belongs
        answer = app.client.post("/restore", data={"photo": text})
        assert answer.json()["error"] == "the form lacks the file photo"
    form = {"photo": ("../../../escaped.png", (tmp_path / "mine.png").read_bytes())}
    answer = app.client.post("/restore", files=form, data={"method": "unsharp-mask"})
    assert answer.status_code == 200
    assert not list(app.desk.visits.root.rglob("*escaped*"))


def test_a_client_restores_what_it_uploads_and_nothing_else(app, tmp_path, save_picture):
    save_picture(tmp_path / "a.png", height=30, width=30)
    client = gradio_client.Client(app.url, verbose=False)
    photo = gradio_client.handle_file(tmp_path / "a.png")
    restored = client.predict(photo, "unsharp-mask", None, api_name="/restore")
    request = restoration.Request(restoration.METHODS["unsharp-mask"])
    (outcome,) = restoration.restore_files([tmp_path / "a.png"], request)
    assert Path(restored).read_bytes() == outcome.target.read_bytes()
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/restore"]
    for path in ("/etc/passwd", "http://127.0.0.1:1/x.png"):
        data = {"path": path, "meta": {"_type": "gradio.FileData"}}
        given = [data, "unsharp-mask", None, "", 0, 1, False]
        job = app.client.post("/gradio_api/call/restore", json={"data": given})
        told = app.client.get(f"/gradio_api/call/restore/{job.json()['event_id']}").text
        assert "event: error" in told
        assert "root:" not in told


def test_an_event_of_the_page_takes_what_was_uploaded_alone(app, tmp_path, save_picture):
    save_picture(tmp_path / "server.png")
    config = app.client.get("/config").json()
    events = [one for one in config["dependencies"] if one["backend_fn"]]
    for path in (str(tmp_path / "server.png"), "/etc/passwd", "https://example.org/far.png"):
        for event in events:
            for given in ({"path": path}, {"path": path, "meta": {"_type": "gradio.FileData"}}):
                data = {"data": [given] * len(event["inputs"]), "fn_index": event["id"]}
                answer = app.client.post(
                    "/gradio_api/run/predict", json=data | {"session_hash": "a"}
                )
                assert "pictures/" not in answer.text
    names = {path.name for path in app.desk.visits.root.rglob("*")}
    assert not names & {"server.png", "passwd", "far.png"}


def test_what_a_page_says_is_short_whatever_it_says(app):
    data = {"data": ["x" * 300_000], "fn_index": 0, "session_hash": "b"}
    assert app.client.post("/gradio_api/run/predict", json=data).status_code == 413


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("shown.jpg", "shown_deblurred.jpg"),
        (".shown.jpg", "shown_deblurred.jpg"),
        ("写" * 90 + ".jpg", "写" * 40 + "_deblurred.jpg"),
        ("runs proxy=http.jpg", "runs proxy=http_deblurred.jpg"),
    ],
)
def test_a_name_is_kept_as_far_as_it_can_be(app, tmp_path, save_picture, name, kept):
    save_picture(tmp_path / "a.jpg")
    form = {"photo": (name, (tmp_path / "a.jpg").read_bytes())}
    answer = app.client.post("/restore", files=form, data=METHOD)
    assert answer.status_code == 200, answer.text
    assert (
        unquote(answer.headers["content-disposition"]).rpartition("'")[2].strip('"').endswith(kept)
    )


def test_a_kernel_that_unpacks_to_gigabytes_is_refused(app, tmp_path, save_picture):
    save_picture(tmp_path / "a.png", height=40, width=40)
    np.savez_compressed(tmp_path / "bomb.npz", np.zeros((8000, 8000)))
    assert (tmp_path / "bomb.npz").stat().st_size < 1_000_000
    before = peak(app.desk.restoring.pid)
    answer = app.post("restore", tmp_path / "a.png", kernel=tmp_path / "bomb.npz")
    assert "a kernel of more than" in answer.json()["error"]
    assert peak(app.desk.restoring.pid) - before < 50


def test_only_who_knows_the_password_comes_in(tmp_path, save_picture):
    save_picture(tmp_path / "a.png")
    with serving(password="so secret") as served:
        data = {"method": "unsharp-mask"}
        for auth in (None, ("deblur", "wrong"), ("", "")):
            photo = {"photo": (tmp_path / "a.png").read_bytes()}
            served.client.auth = auth
            assert served.client.get("/").status_code == 401
            assert served.client.get("/config").status_code == 401
            assert served.client.post("/restore", files=photo, data=data).status_code == 401
        served.client.auth = ("deblur", "so secret")
        assert served.client.get("/").status_code == 200
        assert served.post("restore", tmp_path / "a.png", **data).status_code == 200
        folder = served.desk.visits.root
    assert not folder.exists()  # everything goes with the server


def test_pictures_are_deleted_after_a_while_and_the_oldest_first(tmp_path):
    visits = Visits(keep=3600, most=1000)
    old, new = visits.new(), visits.new()
    for token, hours in ((old, 2), (new, 0)):
        visits.put(token, "a.png", bytes(400))
        then = time.time() - 3600 * hours
        for path in (visits.folder(token) / "a.png", visits.folder(token)):
            os.utime(path, (then, then))
    visits.sweep()
    assert (visits.folder(new) / "a.png").exists()
    with pytest.raises(InputError, match="deleted after 60 minutes"):
        visits.folder(old)
    (visits.uploads / "cut off").write_bytes(bytes(300))
    os.utime(visits.uploads / "cut off", (0, 0))
    newest = visits.new()
    visits.put(newest, "a.png", bytes(700))
    visits.sweep()
    assert [path.name for path in (visits.root / "pictures").iterdir()] == [newest]
    assert list(visits.uploads.iterdir()) == []
    visits.close()
    assert not visits.root.exists()


def test_what_a_visitor_or_a_file_says_is_escaped():
    bad = "<img src=x onerror=alert(1)>"
    found = {"name": bad, "size": [4, 4], "sharp": False}
    done = {"target": bad, "size": [4, 4], "seconds": 1.0, "lost": [bad], "title": bad}
    done |= {"beside": ['"><script>.html']}
    kernel = {"title": bad, "picture": bad, "numbers": bad, "spread": bad, "certainty": bad}
    texts = [parts.seen(found, {}), parts.wrong(bad), parts.hint(bad)]
    texts += [parts.result("t", done, bad, [bad]), parts.found("t", kernel, [bad])]
    for text in texts:
        assert "<script" not in text
        assert bad not in text


# ---- a crowd


def test_a_crowd_is_answered_or_told_that_the_line_is_full(app, tmp_path, save_picture):
    save_picture(tmp_path / "a.png", height=64, width=64)
    data, answers = (tmp_path / "a.png").read_bytes(), []

    def ask():
        for _ in range(5):
            form = {"photo": ("a.png", data)}
            answers.append(httpx.post(f"{app.url}/restore", files=form, data=METHOD, timeout=60))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answered = [answer for answer in answers if answer.status_code == 200]
    full = [answer for answer in answers if answer.status_code == 503]
    assert len(answered) + len(full) == 100
    assert len({answer.content for answer in answered}) == 1
    assert full, "20 at once are more than the line holds"
    assert all("are waiting already" in answer.json()["error"] for answer in full)
    assert full[0].headers["retry-after"]
    assert app.desk.restoring.waiting == 0


METHOD = {"method": "unsharp-mask"}


def slow_form(app, tmp_path, noise):
    """A photo that takes ten seconds and more."""
    Image.fromarray(noise(900, 1000)).save(tmp_path / "slow.png")
    return {"photo": ("slow.png", (tmp_path / "slow.png").read_bytes())}


def test_who_goes_away_is_not_worked_for_any_longer(app, tmp_path, noise, save_picture):
    form = slow_form(app, tmp_path, noise)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{app.url}/restore", files=form, data={"even_if_sharp": "1"}, timeout=1.5)
    began = time.monotonic()
    wait_until(lambda: app.desk.restoring.waiting == 0, 8)
    assert time.monotonic() - began < 8
    save_picture(tmp_path / "a.png")
    assert app.post("restore", tmp_path / "a.png", **METHOD).status_code == 200


def test_a_worker_that_is_killed_is_told_to_its_visitor_and_comes_back(
    app, tmp_path, noise, save_picture
):
    form, answers = slow_form(app, tmp_path, noise), []

    def ask():
        answers.append(httpx.post(f"{app.url}/restore", files=form, data=SHARP, timeout=60))

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: app.desk.restoring.waiting == 1, 10)
    time.sleep(1)
    os.kill(app.desk.restoring.pid, signal.SIGKILL)
    thread.join()
    assert answers[0].status_code == 503
    assert "starts again by itself" in answers[0].json()["error"]
    save_picture(tmp_path / "a.png")
    assert app.post("restore", tmp_path / "a.png", **METHOD).status_code == 200


SHARP = {"even_if_sharp": "1"}


# ---- the command


def test_the_command_says_where_it_is_and_ends_with_nothing_left(tmp_path):
    command = [sys.executable, "-m", "deblurlib", "app", "--port", "0"]
    settings = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=settings) as process:
        url = process.stdout.readline().split()[-1]
        assert url.startswith("http://127.0.0.1:")  # this machine alone
        wait_until(lambda: answers(url), 60)
        with httpx.stream("GET", f"{url}/gradio_api/heartbeat/abc"):  # as of a page that is open
            process.send_signal(signal.SIGINT)
            assert process.wait(20) in (0, 130, -signal.SIGINT)
    assert not list(tmp_path.glob("deblur-app-*"))


def answers(url):
    try:
        return httpx.get(f"{url}/health").json()["ready"]
    except httpx.TransportError:
        return False


def test_a_place_that_is_taken_is_said(command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = command("app", "--port", taken.getsockname()[1])
    assert code == 2
    assert "cannot be listened at" in err
