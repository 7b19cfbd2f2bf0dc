"""What is said of restored pictures: to a reader, and to a program."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from .command import Told, printable, say, write_json

if TYPE_CHECKING:
    from ..restoration import Outcome

NAMES = 3  # kinds of files that are named at most, of those passed over


def with_lines(
    outcomes: Iterable[Outcome],
    kept: list[Outcome],
    target: str | None,
    about: Mapping[str, object],
) -> None:
    """Add outcomes to a list as they come; each is a line of JSON as well, if asked for.

    Args:
        about: what each line says of how it was done.
    """

    def records() -> Iterator[dict]:
        for outcome in outcomes:
            kept.append(outcome)
            yield _record(outcome) | dict(about)

    if target is None:
        kept.extend(outcomes)
    else:
        write_json(target, records())


def _record(outcome: Outcome) -> dict[str, object]:
    """What came of one picture, for a program."""
    o = outcome
    what = "skipped" if o.skipped else "sharp" if o.sharp else "done"
    what = "passed over" if o.passed_over is not None else what
    return {
        "source": str(o.source),
        "result": None if o.target is None else str(o.target),
        "state": what if o.error is None else "failed",
        "error": o.error,
        "size": list(o.size) if any(o.size) else None,
        "full_size": list(o.full_size) if any(o.full_size) else None,
        "frames": o.frames,
        "seconds": round(o.seconds, 3),
        "lost": list(o.lost),
        "compared": [str(path) for path in o.compared],
        "kernels": [str(path) for path in o.kernels],
        "trust": None
        if o.trust is None
        else {
            "map": str(o.trust.path),
            "flagged": o.trust.flagged,
            "answered": o.trust.answered,
        },
    }


def outcome_told(outcome: Outcome, dry_run: bool, aside: bool) -> Outcome:
    """Print what came of a picture; ``aside``: only what went wrong, for stdout has JSON."""
    if outcome.error is not None:
        print(f"deblur: {printable(outcome.error)}", file=sys.stderr)
    elif aside or Told.quiet:
        pass
    elif outcome.skipped:
        print(f"{printable(outcome.target)}  exists: skipped")
    elif outcome.sharp:
        what = "sharp already: left alone; --even-if-sharp restores it"
        print(f"{printable(outcome.source)}  {_size(outcome)}  {what}")
    elif outcome.target is not None:
        text = f"{printable(outcome.target)}  {_size(outcome)}"
        text += f"  of {printable(outcome.source)}" if dry_run else f"  {outcome.seconds:.1f} s"
        print(text + (f"  without {', '.join(outcome.lost)}" if outcome.lost else ""))
        if outcome.compared:
            print(f"  before and after: {', '.join(map(printable, outcome.compared))}")
        if outcome.kernels:
            print(f"  its kernel: {', '.join(map(printable, outcome.kernels))}")
        if outcome.mapped and dry_run:
            print(f"  a map of trust: {printable(outcome.mapped)}")
        if outcome.trust:
            found = outcome.trust
            share = f"{found.flagged:.1%} of the {found.answered:.0%} that could be checked"
            print(f"  {share} contradict the picture: {printable(found.path)}")
    return outcome


def _size(outcome: Outcome) -> str:
    (width, height), (across, down) = outcome.size, outcome.full_size
    text = f"{width} x {height}"
    text += "" if (width, height) == (across, down) else f", reduced from {across} x {down}"
    return text if outcome.frames is None else f"{text}, {outcome.frames} {outcome.called}"


def sum_up(outcomes: list[Outcome], how: str, dry_run: bool) -> None:
    if len(outcomes) == 1 and outcomes[0].error is not None:
        return  # that was said
    done = [o for o in outcomes if o.target is not None and not o.skipped]
    seconds = sum(outcome.seconds for outcome in outcomes)
    text = f"{len(done)} would be restored {how}" if dry_run else f"{len(done)} restored {how}"
    text += "" if dry_run else f" in {seconds:.1f} s"
    counts = {
        "sharp already": sum(outcome.sharp for outcome in outcomes),
        "skipped": sum(outcome.skipped for outcome in outcomes),
        "not": sum(outcome.error is not None for outcome in outcomes),
    }
    text += "".join(f", {count} {what}" for what, count in counts.items() if count)
    say(text + _passed_over(outcomes))


def _passed_over(outcomes: list[Outcome]) -> str:
    """What nobody asked for by name and could not be restored, the most frequent kinds first."""
    found = Counter(o.passed_over for o in outcomes if o.passed_over is not None)
    kinds = [f"{count} {kind}" for kind, count in found.most_common(NAMES)]
    others = found.total() - sum(count for _, count in found.most_common(NAMES))
    kinds += [f"{others} of other kinds"] if others else []
    return f"; passed over: {', '.join(kinds)}" if kinds else ""
