"""What the tests of data share."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def pieces() -> ModuleType:
    """The module of cheap data sets, pieces.py."""
    spec = importlib.util.spec_from_file_location(
        "pieces", Path(__file__).with_name("pieces.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["pieces"] = module
    spec.loader.exec_module(module)
    return module
