"""Choose and draw the pictures of srn's model card and of the page on restoring, by ``card.json``.

::

    DEBLURLIB_DATA=... python docs/draw_card.py

No picture is chosen by eye. Of the first set in the card, the images that gain most, least and the
median; of all sets that the network has not seen, the image that loses most; of the bundled
photographs as they are, the one that is changed most. The square that is enlarged is where the
blurred and the sharp image differ most or, of what is harmed, the restored and the sharp one. What
is drawn is said in ``pictures/drawn.json``. The page on restoring, the README and the site's start
page show the median.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from deblurlib import images, metrics, models, plots, restoration
from deblurlib.evaluation import Case
from deblurlib.files import Photo
from deblurlib.studies.srn import card as measured

OUT = models.WEIGHTS / "srn" / "pictures"
PAGE = Path(__file__).parent / "restoring"
BUNDLED = "sample-sharp"  # photographs that may be shown
GAP = 16  # white pixels between before and after
SQUARE = 112  # side of the enlarged square, pixels


def main() -> None:
    card = json.loads((models.WEIGHTS / "srn" / "card.json").read_text("utf-8"))
    method = restoration.find_method("srn")
    OUT.mkdir(exist_ok=True)
    drawn = {}
    for picture, (trial, image) in chosen(card).items():
        case = next(c for c in measured.cases_of(trial) if c.image == image)
        drawn[picture] = draw(case, method, picture)
        if picture == "median":
            draw_page(case, method)
    (OUT / "drawn.json").write_text(json.dumps(drawn, indent=1) + "\n", "utf-8")


def chosen(card: dict) -> dict[str, tuple[measured.Trial, str]]:
    """Picture -> the trial and the image that it shows."""
    gains = card["scores"][0]["gains"]
    order = sorted(gains, key=gains.get, reverse=True)
    first = measured.SCORED[card["scores"][0]["name"]]
    found = {"best": order[0], "median": order[len(order) // 2], "least": order[-1]}
    found = {picture: (first, image) for picture, image in found.items()}
    unseen = [one for one in card["scores"] if not one["contaminated"]]
    lost = min((gain, one["name"], i) for one in unseen for i, gain in one["gains"].items())
    if lost[0] < 0:
        found["harmed"] = (measured.SCORED[lost[1]], lost[2])
    psnrs = next(one["psnrs"] for one in card["sharp"] if one["name"] == BUNDLED)
    return found | {"sharp": (measured.SHARP[BUNDLED], min(psnrs, key=psnrs.get))}


def draw(case: Case, method: restoration.Method, picture: str) -> dict:
    """Write ``pictures/NAME.jpg``; return what it shows."""
    x_hat = images.quantise(method(case.y))
    harmed = picture in ("harmed", "sharp")
    place = most_different(x_hat if harmed else case.y, case.x)
    shown = {"sharp, as it was": case.y} if picture == "sharp" else {"blurred": case.y}
    shown |= {"restored": x_hat}
    if picture != "sharp":
        shown |= {"sharp": case.x}
    told = {name: psnr(z, case.x) for name, z in shown.items()}
    captions = {
        name: name if told[name] is None else f"{name}, {told[name]:.1f} dB" for name in shown
    }
    fig = plots.show({captions[name]: z[0] for name, z in shown.items()}, zoom=(*place, SQUARE))
    picture_file = Image.open(io.BytesIO(plots.png(fig, dpi=140))).convert("RGB")
    picture_file.save(OUT / f"{picture}.jpg", quality=85, optimize=True)
    return {"image": case.image, "psnr": told, "square": [*place, SQUARE]}


def draw_page(case: Case, method: restoration.Method) -> None:
    """Write ``first.jpg``, before and after, the two alone, and what ``--compare`` writes."""
    PAGE.mkdir(exist_ok=True)
    before, after = (images.to_array(z[0]) for z in (case.y, images.quantise(method(case.y))))
    picture, page = restoration.write_comparison(
        PAGE / "street.png", Photo(before), Photo(after), method.name
    )
    page.unlink()
    picture.rename(PAGE / "compare.jpg")
    between = np.full_like(before[:, :GAP], 255)
    pair = Image.fromarray(np.concatenate([before, between, after], 1))
    pair.save(PAGE / "first.jpg", quality=85, optimize=True)
    for name, pixels in (("blurred", before), ("restored", after)):  # for the start page's slider
        Image.fromarray(pixels).save(PAGE / f"{name}.jpg", quality=92, optimize=True)


def psnr(z: torch.Tensor, x: torch.Tensor) -> float | None:
    """PSNR in dB; ``None`` of equal images."""
    return None if torch.equal(z, x) else round(metrics.psnr(z, x).item(), 2)


def most_different(z: torch.Tensor, x: torch.Tensor) -> tuple[int, int]:
    """Top and left of the square in which two images differ most, on a grid of 8 pixels."""
    errors = F.avg_pool2d((z - x).square().mean(1, keepdim=True), SQUARE, 8)[0, 0]
    top, left = divmod(errors.argmax().item(), errors.shape[-1])
    return top * 8, left * 8


if __name__ == "__main__":
    main()
