"""The base of all documents and settings: values that are checked once and then stay."""

from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["Record", "split_values"]


def split_values(words: Any) -> Any:
    """Return the values of an option that takes several: typed with commas, one number, or as they are.

    Example:
        >>> split_values("g, r"), split_values(3)
        (('g', 'r'), (3,))
    """
    if isinstance(words, str):
        return tuple(word.strip() for word in words.split(","))
    if isinstance(words, int | float):
        return (words,)
    return words


class Record(BaseModel):
    """Named values with types. They cannot be changed, and no unknown name is taken.

    Example:
        >>> class Exposure(Record):
        ...     seconds: float
        >>> exposure = Exposure(seconds=600)
        >>> exposure.seconds, exposure.model_copy(update={"seconds": 300.0}).seconds
        (600.0, 300.0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
