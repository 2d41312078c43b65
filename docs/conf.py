"""The documentation as a site: `uv run --group docs sphinx-build -W docs build/site`."""

from pathlib import Path
from typing import Any

import typer

import lenssim
from lenssim.cli.main import app
from lenssim.cli.sections import SECTIONS

HERE = Path(__file__).parent

project = "lenssim"
author = "The lenssim founders"
release = lenssim.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
html_theme = "furo"
html_title = f"lenssim {release}"
html_static_path: list[str] = []
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures have them
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
suppress_warnings = ["myst.strikethrough"]


def write_commands() -> None:
    """Write reference/commands.md: the help of every command, as a terminal of 88 columns has it."""
    group = typer.main.get_command(app)
    lines = ["# Commands", "", "What `lenssim COMMAND --help` prints.", ""]
    for title, names in SECTIONS.items():
        lines += [f"## {title}", ""]
        for name in names:
            lines += [*_help(group, (name,)), ""]
    (HERE / "reference" / "commands.md").write_text("\n".join(lines))


def _help(group: Any, names: tuple[str, ...]) -> list[str]:
    """Return the section of a command, and of the commands within it."""
    context = _context(group, names)
    command = context.command
    lines = [
        f"### lenssim {' '.join(names)}",
        "",
        "```text",
        command.get_help(context),
        "```",
    ]
    if hasattr(command, "list_commands"):
        for name in command.list_commands(context):
            lines += ["", *_help(group, (*names, name))]
    return lines


def _context(group: Any, names: tuple[str, ...]) -> Any:
    """Return the context of a command, as if it had been asked for in a terminal."""
    settings = {"resilient_parsing": True, "terminal_width": 88, "max_content_width": 88}
    context = group.make_context("lenssim", [], **settings)
    for name in names:
        command = context.command.get_command(context, name)
        context = command.make_context(name, [], parent=context, **settings)
    return context


write_commands()
