"""
How do I read a claim?
======================

A claim is published with an estimate, its 95 % interval and a margin, the
difference that counts. It is *confirmed* if the whole interval lies where
the claim says, *refuted* if none of it does, and else, or where too few
trainings or Holm's adjustment for many claims forbid it, *undecided*.
:func:`deblurlib.report.ledger.read` reads all claims; on the command line,
``deblur claims`` does.
"""

import textwrap
from pathlib import Path

from deblurlib import plots
from deblurlib.report import keys, ledger

claims = ledger.read(keys.project_root())
print(textwrap.fill(ledger.sentence(claims), 76))

# %%
# The claims of chapter 02. What is compared with what, and on which images,
# the estimand says.

for claim in ledger.choose(claims, "02")[:6]:
    print(
        textwrap.fill(f"{claim.id} {claim.verdict}: {claim.estimand}", 76)
    )
    print(f"    claimed {claim.claimed}; from {claim.counted}:")
    print(f"    {claim.value}, interval {claim.interval}")

# %%
# Drawn: the axis is in margins, for claims have several units; confirmed
# claims are those that stand, refuted ones fall, undecided ones are open.
# What to see: dots in their pale bar, where the claim says, stand; dots
# outside fall; and the first open one shows that an interval within its bar
# is not enough where the adjusted p-value is above 0.05.

chosen = [c for c in ledger.choose(claims, "02") if c.sign is not None][:8]
fig = plots.forest([claim.to_json() for claim in chosen])
Path("read_claim.png").write_bytes(plots.png(fig))
