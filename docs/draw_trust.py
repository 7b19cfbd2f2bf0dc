"""Draw the picture of the section "Can I trust it?" of the page on restoring.

::

    DEBLURLIB_DATA=gopro_scenes=... python docs/draw_trust.py

It shows the case that the model card of ``srn`` names: frame 12 of ``gopro_scenes``, reduced as
``--size 480`` does, where the network makes a white post of a plain block.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image

from deblurlib import data, images, plots, restoration
from deblurlib.files import Photo, read_photo, reduce
from deblurlib.restoration.trust_map import write_trust

PAGE = Path(__file__).parent / "restoring"
FRAME, SIDE = "12", 480
PLACE = (150, 24, 112)  # what is enlarged: top, left, side, pixels; the post and the car below it


def main() -> None:
    pairs = data.open_pairs("gopro_scenes", "test")
    (place,) = (i for i, name in enumerate(pairs.names) if Path(name).stem == FRAME)
    before = reduce(Photo(images.to_array(pairs[place][0])), SIDE)
    after = Photo(restoration.restore(before.pixels, "srn"))
    with tempfile.TemporaryDirectory() as folder:
        written = write_trust(Path(folder) / "frame.png", before, after)
        drawn = read_photo(written.path).pixels[: before.pixels.shape[0]]  # less its legend
    shown = {"before": before.pixels, "after, by srn": after.pixels, "where it contradicts": drawn}
    fig = plots.show({name: images.to_tensor(z) for name, z in shown.items()}, zoom=PLACE)
    picture = Image.open(io.BytesIO(plots.png(fig, dpi=120))).convert("RGB")
    picture.save(PAGE / "trust.jpg", quality=85, optimize=True)
    print(f"{written.flagged:.1%} flagged, {written.answered:.0%} answered")


if __name__ == "__main__":
    main()
