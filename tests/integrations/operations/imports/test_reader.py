"""A file as rows: line numbers, and what is said of files that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.operations.imports.reader import CsvReader, Row, UnreadableFileError

COLUMNS = ("ref", "name")


def _read(tmp_path: Path, data: bytes) -> list[Row]:
    path = tmp_path / "file.csv"
    path.write_bytes(data)
    return list(CsvReader(path, COLUMNS))


def _refused(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(UnreadableFileError) as caught:
        _read(tmp_path, data)
    return str(caught.value)


def _values(rows: list[Row]) -> list[tuple[int, tuple[str, ...] | None]]:
    return [(row.line, row.values) for row in rows]


def test_rows_know_their_lines(tmp_path: Path) -> None:
    assert _values(_read(tmp_path, b"ref,name\na,1\n\nb,2\n")) == [(2, ("a", "1")), (4, ("b", "2"))]


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    assert _values(_read(tmp_path, b" name , ref\n1,a\n")) == [(2, ("a", "1"))]


def test_a_quoted_line_break_belongs_to_its_row(tmp_path: Path) -> None:
    rows = _read(tmp_path, b'ref,name\na,"one\ntwo, ""three"""\nb,2\n')

    assert _values(rows) == [(2, ("a", 'one\ntwo, "three"')), (4, ("b", "2"))]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_byte_order_mark_and_any_line_end_are_fine(tmp_path: Path, end: bytes) -> None:
    data = end.join([b"\xef\xbb\xbfref,name", "a,Núñez".encode()])

    assert _values(_read(tmp_path, data)) == [(2, ("a", "Núñez"))]


def test_a_row_with_too_few_or_too_many_fields_is_a_problem_of_that_row(tmp_path: Path) -> None:
    rows = _read(tmp_path, b"ref,name\na\nb,2,3\nc,3\n")

    assert [(row.line, row.key, row.values) for row in rows] == [(2, "a", None), (3, "b", None), (4, "c", ("c", "3"))]
    assert [str(row.problem) for row in rows[:2]] == [
        "line 2, row: This row has 1 fields; the header has 2.",
        "line 3, row: This row has 3 fields; the header has 2.",
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "The file is empty."),
        (b"ref\n", "line 1: missing column “name”."),
        (b"ref,name,nick,more\n", "line 1: unknown column “nick”, “more”."),
        (b"ref,name,ref\n", "line 1: column given more than once: “ref”."),
        (b"ref;name\n", "Columns are separated by commas."),
        (b"ref,name\na,\xe9\n", "line 2: byte 12 of the file (0xe9) is not UTF-8"),
        ("ref,name\n".encode("utf-16"), "The file is in UTF-16"),
        (b'ref,name\na,"open\nb,2\n', "line 2: this is not CSV as expected: unexpected end of data."),
        (b'ref,name\na,"x"y\n', "line 2: this is not CSV as expected"),
        (b"ref,name\ra,1\r", "line 1: this is not CSV as expected"),
        (b'ref,name\na,"' + b"x\n" * 70_000 + b'"\n', "line 2: this is not CSV as expected: field larger than"),
        (b"ref,name\na," + b"x" * 1_000_001, "line 2: longer than 1,000,000 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_where(tmp_path: Path, data: bytes, words: str) -> None:
    assert words in _refused(tmp_path, data)


def test_many_unknown_columns_are_cut_short(tmp_path: Path) -> None:
    header = ",".join(["ref", "name", *(f"c{number}" for number in range(40))]).encode()

    assert _refused(tmp_path, header).endswith("“c4” and 35 more.")


def test_a_nul_byte_is_left_to_the_validation_which_names_its_field(tmp_path: Path) -> None:
    assert _values(_read(tmp_path, b"ref,name\na,x\0y\n")) == [(2, ("a", "x\0y"))]


def test_the_digest_is_the_files(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"ref,name\na,1\n")
    reader = CsvReader(path, COLUMNS)

    assert len(list(reader)) == 1

    assert reader.digest == "8c0daf263117fb21a9495c4789421e23d1941a0244c8db480b39da22d279d68b"
    assert (reader.offset, reader.size) == (13, 13)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CsvReader(tmp_path / "nowhere.csv", COLUMNS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: b"ref,name\n" + text.encode())))
def test_whatever_the_bytes_only_an_unreadable_file_is_raised(tmp_path: Path, data: bytes) -> None:
    try:
        _read(tmp_path, data)
    except UnreadableFileError as error:
        assert str(error)  # noqa: PT017  the law is about whatever is raised


def test_an_optional_column_stands_anywhere_or_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("more,name,ref\nx,Ann,1\n")
    assert [row.values for row in CsvReader(path, COLUMNS, ("more", "most"))] == [("1", "Ann", "x")]
    path.write_text("name,ref\nAnn,1\n")
    assert [row.values for row in CsvReader(path, COLUMNS, ("more", "most"))] == [("1", "Ann")]
