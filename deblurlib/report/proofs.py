"""The proofs of what is published: ``reports/results/NN_proof.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping


def to_text(proof: Mapping) -> str:
    """A proof as JSON, a line for each part or row, so that a difference shows where it is."""

    def line(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    entries = [f' "{key}": {line(proof[key])}' for key in proof if key not in ("recipes", "rows")]
    if "rows" in proof:
        entries.append(' "rows": [\n  ' + ",\n  ".join(map(line, proof["rows"])) + "\n ]")
    if "recipes" in proof:
        blocks = []
        for name, one in proof["recipes"].items():
            parts = ",\n    ".join(f"{line(k)}: {line(v)}" for k, v in one["parts"].items())
            rest = ", ".join(f"{line(k)}: {line(v)}" for k, v in one.items() if k != "parts")
            blocks.append(f'  {line(name)}: {{{rest}, "parts": {{\n    {parts}}}}}')
        entries.append(' "recipes": {\n' + ",\n".join(blocks) + "\n }")
    return "{\n" + ",\n".join(entries) + "\n}\n"
