"""
How do I know where a result can be trusted?
============================================

:func:`deblurlib.restoration.trust` needs no sharp picture: it marks where
no blur of the restored picture is the photograph that it was made from.
What is marked was made up, or moved; what is not marked may still be wrong,
for other pictures blur to the same photograph.
"""

from pathlib import Path

import deblurlib
from deblurlib import degrade, metrics, plots, restoration
from deblurlib.data import open_images

photo = open_images("sample", "test")[1][None, :, 60:300, 200:440]
pair = degrade.sample(photo, degrade.SETTINGS["shake"], seed=2, index=[0])
x, y = pair.x, pair.y
x_hat = deblurlib.restore(y, "srn")

# %%
# An honest result, and one with a forged part: a piece of another place,
# put where it was not.

forged = x_hat.clone()
forged[..., 40:104, 120:184] = x_hat[..., 120:184, 10:74]
pictures = {"identity": y, "srn": x_hat, "forged": forged, "sharp": x}
found = {n: restoration.trust(y, z) for n, z in pictures.items()}
for name, trust in found.items():
    marked, answered = trust.flagged_share, trust.answered_share
    print(f"{name:9} {marked.item():.1%} of {answered.item():.0%} marked")

# %%
# Scores need the sharp picture, and see the forgery as a loss in the mean
# alone. On the command line, ``deblur restore photo.jpg --trust`` writes
# the map beside the result.

for name in ("identity", "srn", "forged"):
    print(f"{name:9} {metrics.psnr(pictures[name], x).item():.2f} dB")

# %%
# What to see: bright is what contradicts the photograph. It fills the
# forged square, and hardly anything elsewhere; where there is no detail,
# there is no answer, and nothing is marked.

where = found["forged"].disagreement[0].nan_to_num(0) / 2
shown = {"photograph": y[0], "forged": forged[0]}
fig = plots.show(shown | {"contradicts": where.clamp(0, 1)})
Path("trust.png").write_bytes(plots.png(fig))
