"""Settings of a classification."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidatorFunctionWrapHandler, WrapValidator

from lenssim.learn.tasks.adaptable_config import AdaptableConfig

__all__ = ["ClassifyConfig"]

_Weight = Annotated[float, Field(gt=0)]
_WEIGHTS = TypeAdapter(dict[str, _Weight])


def _class_weights(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Read weights as a mapping or as a command line writes them; its faults are named alone."""
    if value is None or value == "balanced":
        return value
    if isinstance(value, str):
        pairs = [pair.rpartition("=") for pair in value.split(",")]
        if not all(name and weight for name, _, weight in pairs):
            raise ValueError(
                f"class_weights takes balanced, or weights such as no_sub=1,cdm=2; got {value!r}"
            )
        value = {name.strip(): weight for name, _, weight in pairs}
    return _WEIGHTS.validate_python(value)


class ClassifyConfig(AdaptableConfig):
    """Settings of a training of the task `classify`."""

    task: Literal["classify"] = Field(
        default="classify",
        description="Train a network to tell the classes of a data set apart",
    )
    class_weights: Annotated[
        Literal["balanced"] | dict[str, _Weight] | None, WrapValidator(_class_weights)
    ] = Field(
        default=None,
        description="Weights of the classes in the loss: balanced, or such as no_sub=1,cdm=2",
        json_schema_extra={"unset": "all alike"},
    )
