"""Tables of numbers: written and read to the bit, from CSV and FITS; what is none is refused."""

import numpy as np
import pytest
from astropy.table import Table
from error_codes import has_code
from hypothesis import given
from hypothesis import strategies as st

from lenssim.errors import DataError
from lenssim.formats.tables import read_table, table_text

NUMBERS = st.lists(st.floats(width=64, allow_infinity=False), min_size=1, max_size=8)


@given(NUMBERS)
def test_numbers_are_read_to_the_bit(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    column = np.array(numbers)
    path.write_text(table_text({"a": column, "b": -column}))
    table = read_table(path)
    assert list(table) == ["a", "b"]
    assert np.array_equal(table["a"], column, equal_nan=True)
    assert np.array_equal(table["b"], -column, equal_nan=True)


def test_fits_and_csv_say_the_same(tmp_path):
    columns = {"theta_E": np.array([1.0, 1.5]), "count": np.array([2, 4])}
    Table({**columns, "name": ["a", "b"]}).write(tmp_path / "t.fits")
    (tmp_path / "t.csv").write_text("\ufefftheta_E, count ,name\n1,2,a\n1.5,4,b\n\n")
    for name in ("t.fits", "t.csv"):
        table = read_table(tmp_path / name)
        assert list(table) == ["theta_E", "count"]
        assert table["count"].tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "a,b\n",
        "a,b\n1\n",
        "a,a\n1,2\n",
        "name\nx\n",
        "\x00\x01",
        ",".join("abc"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, check=has_code("file-invalid")):
        read_table(path)


def test_binary_and_missing_files_are_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(DataError, check=has_code("file-invalid")):
        read_table(tmp_path / "t.csv")
    with pytest.raises(DataError, check=has_code("unreadable-file")):
        read_table(tmp_path / "none.csv")
    (tmp_path / "t.fits").write_bytes(b"SIMPLE" + b" " * 100)
    with pytest.raises(DataError):
        read_table(tmp_path / "t.fits")
    with pytest.raises(DataError, check=has_code("file-invalid")):
        read_table(tmp_path)
