"""The list of commands, in sections that follow the road from models to answers."""

from typing import Any, override

from typer.core import TyperGroup

__all__ = ["SECTIONS", "SectionedGroup"]

SECTIONS = {
    "The main road": ("generate", "show", "train", "evaluate", "predict", "probe", "run"),
    "What there is to choose from": (
        "models",
        "instruments",
        "nets",
        "pretrained",
        "recipes",
    ),
    "Real skies": (
        *("import", "fit", "extract", "search"),
        *("survey", "completeness", "mosaic", "population"),
    ),
    "Data sets": ("info", "verify", "audit", "export", "repack", "seal"),
    "Single images, engines, runs, this machine": ("render", "parity", "pack", "doctor"),
}
"""Commands by section. A command that stands in none comes last."""

_REST = "Other commands"


class SectionedGroup(TyperGroup):
    """A group whose help lists its commands by section, each with its whole first sentence."""

    @override
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands of each section."""
        names = set(self.list_commands(ctx))
        sections = dict(SECTIONS)
        listed = {name for section in sections.values() for name in section}
        sections[_REST] = tuple(sorted(names - listed))
        for title, section in sections.items():
            rows = [(name, self._sentence(ctx, name)) for name in section if name in names]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def _sentence(self, ctx: Any, name: str) -> str:
        """Return the first paragraph of a command's help."""
        command = self.get_command(ctx, name)
        if command is None or command.hidden:
            return ""
        return (command.help or "").partition("\n\n")[0].replace("\n", " ")
