"""Commands as text that a shell takes as it stands."""

import re
import shlex

__all__ = ["command", "quoted"]


def command(*words: object) -> str:
    """Return the line `lenssim WORDS...`, each word quoted where a shell needs it.

    Args:
        words: Words of the command, paths and numbers among them; each becomes one word for the shell.

    Example:
        >>> command("show", "di/uni co de/x")
        "lenssim show 'di/uni co de/x'"
    """
    return " ".join(["lenssim", *(quoted(word) for word in words)])


def quoted(word: object) -> str:
    """Return a word as a shell reads it; one that a terminal would obey or could not show is escaped.

    Args:
        word: A word of a command.

    Example:
        >>> quoted("D"), quoted("a b"), quoted("a\\nb")
        ('D', "'a b'", "$'a\\\\nb'")
    """
    text = str(word)
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + re.sub(r"[\\']|[^ -~]", _escaped, text) + "'"


def _escaped(match: re.Match[str]) -> str:
    letter = match.group()
    if letter in "\\'":
        return "\\" + letter
    if letter == "\n":
        return "\\n"
    if letter.isprintable():
        return letter
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))
