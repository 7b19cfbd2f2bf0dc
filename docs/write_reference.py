"""Write what docs/command.md and docs/recipes.md take from the code; run it after a change."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

from typer.main import get_command

from deblurlib import cli
from deblurlib.runs import Recipe

DOCS = Path(__file__).parent
KINDS = {int: "N", float: "X", Path: "PATH"}


def commands() -> str:
    """All commands, from what the command itself knows of them."""
    group = get_command(cli.app)
    parts, panel = [], None
    for name, command in group.commands.items():
        if command.rich_help_panel != panel:
            panel = command.rich_help_panel
            parts.append(f"\n## {panel}\n")
        parts += _described(f"deblur {name}", command)
    return "\n".join(parts)


def _described(name: str, command) -> list[str]:
    if hasattr(command, "commands"):
        lines = [f"### {name}\n", f"{command.help}\n"]
        for inner, part in command.commands.items():
            lines += _described(f"{name} {inner}", part)
        return lines
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    shared = {"quiet", "verbose", "help"}
    usage = " ".join([name, "[OPTIONS]", *(_usage(p) for p in arguments)])
    lines = [f"### {name}\n", f"{_text(command.help)}\n", f"```text\n{usage}\n```\n"]
    lines += ["| | |", "| :--- | :--- |"]
    lines += [f"| `{_usage(p)}` | {_cell(p)} |" for p in arguments]
    lines += [f"| {_names(p)} | {_cell(p)} |" for p in options if p.name not in shared]
    return [*lines, ""]


def _text(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


def _usage(p) -> str:
    word = p.metavar or p.name.upper()
    word += "..." if p.nargs == -1 and not word.endswith("...") else ""
    return word if p.required else f"[{word}]"


def _names(p) -> str:
    takes = "" if p.is_flag else f" {p.metavar or KINDS.get(p.type_descriptor.annotation, 'TEXT')}"
    return ", ".join(f"`{o}{takes}`" for o in [*p.opts, *p.secondary_opts])


def _cell(p) -> str:
    text = " ".join((p.help or "").replace("|", "\\|").split())
    default = p.default
    if default in (None, False, "", ()) or p.is_flag or p.required:
        return text
    return f"{text} By default `{default}`."


def recipe_table() -> str:
    """A row for each field of a recipe: its type, its default, and the source's comment on it."""
    source = inspect.getsource(Recipe)
    lines = ["| field | by default | what it is |", "| :--- | :--- | :--- |"]
    for field in fields(Recipe):
        found = re.search(rf"((?:    #: .*\n)*)    {field.name}: [^#\n]*(?:# (.*))?", source)
        said = " ".join(re.findall(r"#: (.*)", found[1])) or found[2] or ""
        line = re.search(rf"    {field.name}: [^#\n]*", source)[0]
        default = line.partition("=")[2].strip() if "=" in line else "must be given"
        default = default.replace("field(default_factory=dict)", "{}")
        default = re.sub(r"field\(default_factory=lambda: (.*)\)", r"\1", default)
        default = default if default == "must be given" else f"`{default}`"
        lines.append(f"| `{field.name}` | {default} | {said.replace('|', '/')} |")
    return "\n".join(lines)


def filled(page: Path, mark: str, content: str) -> str:
    """A page's text with what stands between its two marks as the code has it now."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, _, rest = page.read_text("utf-8").partition(begin)
    return f"{before}{begin}{content}\n{end}{rest.partition(end)[2]}"


def pages() -> dict[Path, str]:
    """The pages, each with its text."""
    command, recipes = DOCS / "command.md", DOCS / "recipes.md"
    return {
        command: filled(command, "commands", commands()),
        recipes: filled(recipes, "fields", recipe_table()),
    }


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, "utf-8")
