"""The base of all documents and settings: values that are checked once and then stay."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Record"]


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
