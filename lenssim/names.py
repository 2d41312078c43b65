"""Names and texts that come from files: which of them may become paths, and how they are shown."""

import math
import re
import unicodedata
from collections.abc import Iterable

__all__ = ["is_name", "markdown", "name_fault", "printable", "shown", "twin_names"]

_LONGEST_NAME = (
    100  # characters; a file name may hold 255 bytes, and ours add a number and an ending
)
_LONGEST_VALUE = 100  # characters of a value in a message
_FORBIDDEN = re.compile(r"[/\\:*?\"<>|`$\x00-\x1f\x7f-\x9f]")


def is_name(text: str) -> bool:
    """Tell whether a text may name a class: a file or a folder can bear it, in any script.

    It is not empty, does not begin with a dot or a dash, has no space at either end, and holds no
    path separator, control character or character that a shell or a file system treats as its own.

    Example:
        >>> is_name("no_sub"), is_name("空白"), is_name("../up"), is_name("a/b"), is_name("")
        (True, True, False, False, False)
    """
    if not text or len(text) > _LONGEST_NAME or text != text.strip() or text[0] in ".-~":
        return False
    if len(text.encode("utf-8", "replace")) > 2 * _LONGEST_NAME or _FORBIDDEN.search(text):
        return False
    return all(
        unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn")
        for letter in text
    )


def name_fault(text: str, where: str) -> str | None:
    """Return why a text cannot become a file's name; None if it can (see `is_name`).

    Args:
        text: The name, as a file or a person gave it.
        where: What the name is and where it stands, such as "plan.json: class".

    Example:
        >>> name_fault("a/b", "the class").split(":")[0]
        "the class 'a/b' cannot be a name"
    """
    if is_name(text):
        return None
    return (
        f"{where} '{printable(text)}' cannot be a name: use letters, digits, '_', '-' and '.', "
        f"at most {_LONGEST_NAME}, and begin with a letter or digit"
    )


def twin_names(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two names that some disks mix up; None if there are none.

    Such names differ by capitals alone, or by how their accents are composed.

    Example:
        >>> twin_names(["no_sub", "CDM", "cdm"]), twin_names(["cdm", "cdm"])
        (('CDM', 'cdm'), None)
    """
    name_of: dict[str, str] = {}
    for name in names:
        plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        twin = name_of.setdefault(plain, name)
        if twin != name:
            return twin, name
    return None


def printable(text: str) -> str:
    """Return a text that a terminal shows and does not obey: control characters as escapes.

    Example:
        >>> printable("a\\x1b[2Jb")
        'a\\\\x1b[2Jb'
    """
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def shown(value: object) -> str:
    """Return a value in a few words for a message, whatever it is and however large.

    Example:
        >>> shown("big"), shown(2**70), shown(10**5000), shown([1, 2])
        ("'big'", '1180591620717411303424', 'a number of 5,001 digits', '[1, 2]')
    """
    if isinstance(value, int) and value.bit_length() > _LONGEST_VALUE:
        return f"a number of {int(value.bit_length() * math.log10(2)) + 1:,} digits"
    try:
        text = repr(value)
    except Exception:  # the repr of any class at all
        text = f"an object of type {type(value).__name__}"
    if len(text) > _LONGEST_VALUE:
        text = f"{text[:_LONGEST_VALUE]}..."
    return printable(" ".join(text.split()))


def markdown(text: str) -> str:
    """Return a text as one line of Markdown that shows it as it is: no markup, HTML, table cell or line of its own.

    Example:
        >>> print(markdown("<b> | `x`\\n# no_sub"))
        &lt;b&gt; \\| \\`x\\` # no_sub
    """
    line = printable(" ".join(text.split()))
    return _MARKUP.sub(lambda match: _ENTITIES.get(match[0], "\\" + match[0]), line)


_MARKUP = re.compile(r"[\\`*|<>&]|\](?=[(\[:])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
