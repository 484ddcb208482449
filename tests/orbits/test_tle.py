from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sgp4.api import Satrec
from sgp4.io import compute_checksum

from satfl_env.orbits.tle import read_tle
from tests.orbits.flying import assert_flies_or_refuses
from tests.timing import within_a_second

FIRST = "1 44001U 19001A   26001.51234567 -.00000123 -12345-7  12345-4 0  999"
SECOND = "2 44001  97.5037 120.1234 0001234  90.0000 270.1234 15.20000000 1234"


def line(text: str) -> str:
    return text + str(compute_checksum(text))


def with_columns(text: str, first: int, new: str) -> str:
    return text[: first - 1] + new + text[first - 1 + len(new) :]


def read(first: str = FIRST, second: str = SECOND, name: str = "MYSAT") -> Satrec:
    (only,) = read_tle("\n".join([name, line(first), line(second)]))
    return only.record


@pytest.mark.parametrize(
    "first",
    [
        FIRST,
        with_columns(FIRST, 34, " .00000123"),
        with_columns(FIRST, 34, "+.00000123"),
        with_columns(FIRST, 45, " 00000+0"),
        with_columns(FIRST, 54, "-99999-2"),
        with_columns(FIRST, 19, "99365.00000000"),
        with_columns(FIRST, 63, " "),
        with_columns(FIRST, 65, "    "),
        with_columns(FIRST, 8, " " * 10),
    ],
)
def test_elements_are_those_that_sgp4_itself_reads(first: str) -> None:
    ours, theirs = read(first), Satrec.twoline2rv(line(first), line(SECOND))
    names = ["jdsatepoch", "jdsatepochF", "bstar", "ecco", "argpo", "inclo", "mo", "no_kozai", "nodeo"]
    # Their reader loses its place where columns 8 to 17 are blank.
    names += [] if first[7] == " " else ["ndot", "nddot"]
    for name in names:
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize(
    ("text", "number"), [("44001", 44001), ("    5", 5), ("00005", 5), ("A0001", 100_001), ("Z9999", 339_999)]
)
def test_catalogue_numbers_have_five_digits_or_a_letter(text: str, number: int) -> None:
    lines = [line(with_columns(FIRST, 3, text)), line(with_columns(SECOND, 3, text))]
    (only,) = read_tle("\n".join(lines))
    assert (only.number, only.name) == (number, "")


@pytest.mark.parametrize(
    ("title", "name"),
    [("0 MYSAT", "MYSAT"), ("MYSAT ", "MYSAT"), ("0 ", ""), ("0", ""), ("0 0", "0"), ("ÑU 1", "ÑU 1")],
)
def test_titles_may_be_marked_and_empty(title: str, name: str) -> None:
    (only,) = read_tle("\n".join(["# a comment", "", title, line(FIRST) + "  ", "", line(SECOND), " "]))
    assert only.name == name


@pytest.mark.parametrize(
    ("row", "first", "text", "columns"),
    [
        (3, 3, "B 001", "columns 3 to 7"),
        (3, 3, "I0001", "columns 3 to 7"),
        (3, 3, "     ", "columns 3 to 7"),
        (3, 9, "x", "column 9"),
        (3, 19, "  ", "columns 19 to 20"),
        (3, 21, "  1 51234567", "columns 21 to 32"),
        (3, 21, "001.5 234567", "columns 21 to 32"),
        (3, 21, "368.51234567", "columns 21 to 32"),
        (3, 33, "1", "column 33"),
        (3, 34, " " * 10, "columns 34 to 43"),
        (3, 34, " .0000-123", "columns 34 to 43"),
        (3, 34, " 000000123", "columns 34 to 43"),
        (3, 34, "       nan", "columns 34 to 43"),
        (3, 45, " " * 8, "columns 45 to 52"),
        (3, 45, " 1234-75", "columns 45 to 52"),
        (3, 54, " 1e345-4", "columns 54 to 61"),
        (3, 63, "4", "column 63"),
        (3, 63, "x", "column 63"),
        (3, 65, " 9x9", "columns 65 to 68"),
        (4, 9, " " * 8, "columns 9 to 16"),
        (4, 9, "     nan", "columns 9 to 16"),
        (4, 9, "180.0001", "columns 9 to 16"),
        (4, 9, "-97.5037", "columns 9 to 16"),
        (4, 18, "1 0.1234", "columns 18 to 25"),
        (4, 18, "360.0001", "columns 18 to 25"),
        (4, 26, "0", "column 26"),
        (4, 27, "       ", "columns 27 to 33"),
        (4, 27, " 001234", "columns 27 to 33"),
        (4, 35, "     inf", "columns 35 to 42"),
        (4, 44, "    270 ", "columns 44 to 51"),
        (4, 53, " " * 11, "columns 53 to 63"),
        (4, 53, " 0.00000000", "columns 53 to 63"),
        (4, 53, "-15.2000000", "columns 53 to 63"),
        (4, 64, "12 45", "columns 64 to 68"),
    ],
)
def test_every_column_is_checked(row: int, first: int, text: str, columns: str) -> None:
    lines = {3: FIRST, 4: SECOND}
    lines[row] = with_columns(lines[row], first, text)
    with pytest.raises(ValueError, match=rf"line {row - 1}: .*{columns}.* must "):
        read(lines[3], lines[4])


@pytest.mark.parametrize(("day", "days"), [("26366.00000000", 365), ("24367.00000000", 366)])
def test_days_after_the_end_of_a_year_are_refused(day: str, days: int) -> None:
    read(with_columns(FIRST, 19, f"{day[:2]}{days}.99999999"))
    with pytest.raises(ValueError, match=rf"lines 2 and 3: 20{day[:2]} has {days} days, got the day"):
        read(with_columns(FIRST, 19, day))


@pytest.mark.parametrize("row", [2, 3])
@pytest.mark.parametrize("column", [2, 3, 8, 9, 16, 24, 33, 36, 44, 53, 63, 69])
@pytest.mark.parametrize("sign", ["\u00a0", "\u0661", "\u2212", "\t", "\x1b"])
def test_lines_are_ascii(row: int, column: int, sign: str) -> None:
    lines = {2: line(FIRST), 3: line(SECOND)}
    lines[row] = with_columns(lines[row], column, sign)
    # At its end a line may have blanks of any kind: then it is one too short.
    expected = (
        "69 characters, got 68" if column == 69 and sign.isspace() else f"column {column} must be printable ASCII"
    )
    with pytest.raises(ValueError, match=f"line {row}: .*{expected}"):
        list(read_tle("\n".join(["MYSAT", *lines.values()])))


def test_a_second_line_alone_is_named() -> None:
    with pytest.raises(ValueError, match="line 1: line 1 of an element set must come first, got '2 44001"):
        list(read_tle(line(SECOND)))


STARTS = [line(FIRST), line(SECOND), "MYSAT", "0 ", "# comment", ""]


@settings(deadline=None)
@given(st.lists(st.one_of(st.sampled_from(STARTS), st.text(max_size=80)), max_size=6).map("\n".join))
@within_a_second()
def test_any_text_ends_in_elements_or_a_value_error(text: str) -> None:
    assert_flies_or_refuses(lambda: read_tle(text))


@settings(deadline=None)
@given(st.integers(0, 69), st.sampled_from([0, 1]), st.characters(codec="utf-8"), st.booleans())
@example(33, 0, "\u00a0", True)
@within_a_second()
def test_any_changed_sign_ends_in_elements_or_a_value_error(column: int, row: int, sign: str, corrects: bool) -> None:
    lines = [FIRST, SECOND]
    changed = with_columns(line(lines[row]), column + 1, sign)
    lines[row] = line(changed[:68]) if corrects and changed.isascii() else changed
    lines[1 - row] = line(lines[1 - row])
    assert_flies_or_refuses(lambda: read_tle("\n".join(lines)))
