from __future__ import annotations

import copy
import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sgp4.api import Satrec
from sgp4.io import compute_checksum

from satfl_env.orbits import Sgp4Orbits, load_elements, samples

TLE = samples()["sentinel-like"]
OMM = samples()["polar-like"]


def tle_lines() -> list[str]:
    """A comment, then name and two lines of each satellite."""
    return TLE.read_text(encoding="utf-8").splitlines()


def write(folder: Path, lines: list[str], name: str = "elements.tle") -> Path:
    path = folder / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def with_checksum(line: str) -> str:
    return line[:68] + str(compute_checksum(line))


@pytest.mark.parametrize("path", samples().values(), ids=lambda path: path.name)
def test_samples_say_that_they_are_synthesised(path: Path) -> None:
    assert "synthesised" in path.read_text(encoding="utf-8").splitlines()[0].lower()
    orbits = load_elements(path)
    assert orbits.epoch.isot == "2026-01-01T00:00:00.000"
    assert all(name.split()[0].endswith("LIKE") for name in orbits.names)


def test_states_are_those_of_sgp4() -> None:
    orbits = load_elements(TLE, "2026-01-02T03:00:00")
    lines = tle_lines()
    assert orbits.names[3] == "SENTINEL-2B-LIKE"
    time_s = np.array([0.0, 5000.0])
    position, velocity = orbits.states(time_s)
    for row, time in enumerate(time_s):
        error, r, v = Satrec.twoline2rv(*lines[11:13]).sgp4(2461042.5, (3 * 3600 + time) / 86_400)
        assert error == 0
        np.testing.assert_allclose(position[row, 3], np.array(r) * 1e3, atol=0.1)
        np.testing.assert_allclose(velocity[row, 3], np.array(v) * 1e3, atol=1e-3)


def test_bounds_hold() -> None:
    for path in samples().values():
        orbits = load_elements(path)
        position, velocity = orbits.states(np.arange(0, 86_400.0, 60.0))
        radius = np.linalg.norm(position, axis=-1)
        assert orbits.min_radius_m < radius.min() < radius.max() < orbits.max_radius_m
        assert np.linalg.norm(velocity, axis=-1).max() < orbits.max_speed_mps


def test_names_are_optional_and_may_be_marked(tmp_path: Path) -> None:
    lines = tle_lines()
    bare = load_elements(write(tmp_path, ["", *lines[2:4], "", "0 MARKED", *lines[5:7]]))
    assert bare.names == ("NORAD 99001", "MARKED")


def test_bad_lines_are_named(tmp_path: Path) -> None:
    lines = tle_lines()
    wrong_sum = [*lines[:2], lines[2][:68] + str((int(lines[2][68]) + 1) % 10), lines[3]]
    with pytest.raises(ValueError, match=r"elements\.tle: line 3: the checksum must be"):
        load_elements(write(tmp_path, wrong_sum))
    with pytest.raises(ValueError, match="line 4: a line of an element set has 69 characters, got 60"):
        load_elements(write(tmp_path, [*lines[:3], lines[3][:60]]))
    with pytest.raises(ValueError, match="line 4: line 2 of an element set must start with '2 '"):
        load_elements(write(tmp_path, [*lines[:3], lines[2]]))
    with pytest.raises(ValueError, match="line 4: satellite number '99002' differs from '99001'"):
        load_elements(write(tmp_path, [*lines[:3], lines[6]]))
    with pytest.raises(ValueError, match="line 3: line 1 of an element set must follow the name 'SENTINEL-1A-LIKE'"):
        load_elements(write(tmp_path, [*lines[:2], lines[3]]))
    with pytest.raises(ValueError, match="ends inside an element set"):
        load_elements(write(tmp_path, lines[:3]))


@pytest.mark.parametrize(
    ("row", "first", "text", "message"),
    [
        (2, 21, "400.0000", r"line 3: the day of the epoch \(columns 21 to 32\) must be a number in \[1, 367\]"),
        (2, 54, " 3x000-4", r"line 3: the drag term B\* \(columns 54 to 61\) must be like '-12345-6'.*got ' 3x000-4'"),
        (3, 9, " 9x.1800", r"line 4: the inclination \(columns 9 to 16\) must be a number.*got ' 9x\.1800'"),
        (3, 9, "198.1800", r"line 4: the inclination \(columns 9 to 16\) must be a number in \[0, 180\]"),
        (3, 27, "0 01200", "line 4: the eccentricity without its decimal point"),
        (3, 53, " 0.00000000", r"line 4: the mean motion \(columns 53 to 63\) must be a number in \[0\.01, 20\]"),
    ],
)
def test_bad_fields_are_named(tmp_path: Path, row: int, first: int, text: str, message: str) -> None:
    lines = tle_lines()[:4]
    lines[row] = with_checksum(lines[row][: first - 1] + text + lines[row][first - 1 + len(text) :])
    with pytest.raises(ValueError, match=message):
        load_elements(write(tmp_path, lines))


def test_impossible_elements_are_refused(tmp_path: Path) -> None:
    lines = tle_lines()
    # 17.9 turns a day would be an orbit inside the Earth.
    buried = with_checksum(lines[3][:52] + "17.90000000" + lines[3][63:])
    with pytest.raises(ValueError, match=r"lines 3 and 4: SGP4 refuses the elements: .*decayed"):
        load_elements(write(tmp_path, [*lines[:3], buried]))


def test_a_decayed_orbit_is_named_with_the_time(tmp_path: Path) -> None:
    lines = tle_lines()
    # 16.4 turns a day is an altitude of about 175 km, and the drag term is large.
    first = with_checksum(lines[2][:53] + " 90000-1" + lines[2][61:])
    second = with_checksum(lines[3][:52] + "16.40000000" + lines[3][63:])
    orbits = load_elements(write(tmp_path, [lines[1], first, second]))
    orbits.states(np.zeros(1))
    with pytest.raises(ValueError, match=r"'SENTINEL-1A-LIKE' has no state at 2026-.*decayed"):
        orbits.states(np.arange(0, 20 * 86_400.0, 3600.0))


def test_one_set_of_each_satellite_flies(tmp_path: Path) -> None:
    days = [
        [with_checksum(tle_lines()[2].replace("26001.00000000", f"2600{day}.00000000")), tle_lines()[3]]
        for day in (3, 1, 5)
    ]
    other = tle_lines()[4:7]
    path = write(tmp_path, [*days[0], *other, *days[1], *days[2]])
    midnight = 2461041.5
    for epoch, day in ((None, 5), ("2026-01-04", 3), ("2026-01-03", 3), ("2026-01-02T23:59:59", 1), ("2025-12-30", 1)):
        orbits = load_elements(path, epoch)
        assert orbits.names == ("NORAD 99001", other[0])
        assert orbits.satellites[0].jdsatepoch == midnight + day - 1
    # Equal times: the later set corrects the earlier.
    corrected = [days[2][0], with_checksum(days[2][1].replace("14.59198000", "14.60000000"))]
    again = load_elements(write(tmp_path, [*days[2], *corrected]))
    assert again.period_s[0] == pytest.approx(86_400 / 14.6)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_on_any_system(tmp_path: Path, mark: str, end: str) -> None:
    (tmp_path / "elements.tle").write_bytes((mark + end.join(tle_lines())).encode())
    assert load_elements(tmp_path / "elements.tle").names == load_elements(TLE).names


@pytest.mark.parametrize("ending", [".tle", ".csv", ".json", ".xml", ".kvn", ".txt"])
def test_text_in_another_encoding_is_refused_with_its_line(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"elements{ending}"
    path.write_bytes(b"\xef\xbb\xbf# one\n\n# H\xf6he\n")
    with pytest.raises(ValueError, match=rf"elements\{ending}: line 3: must be UTF-8 text, got byte 0xf6"):
        load_elements(path)


def test_the_home_of_a_path_is_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, tle_lines())
    assert load_elements("~/elements.tle").num_satellites == 7


def test_one_number_has_one_name(tmp_path: Path) -> None:
    lines = tle_lines()[1:4]
    assert load_elements(write(tmp_path, [*lines, *lines[1:]])).names == ("SENTINEL-1A-LIKE",)
    with pytest.raises(ValueError, match="satellite number 99001 must have one name, got 'SENTINEL-1A-LIKE' and 'B'"):
        load_elements(write(tmp_path, [*lines, "B", *lines[1:]]))


@pytest.mark.parametrize("ending", [".txt", "", ".JSON", ".elements"])
def test_the_first_line_decides_where_the_ending_does_not(tmp_path: Path, ending: str) -> None:
    expected = load_elements(OMM)
    rows = list(csv.DictReader(OMM.read_text(encoding="utf-8").splitlines()[1:]))
    texts = [json.dumps(rows)]
    if ending != ".JSON":
        texts += [OMM.read_text(encoding="utf-8"), "\n".join(f"{key} = {value}" for key, value in rows[0].items())]
    for text in texts:
        (tmp_path / f"elements{ending}").write_text(text, encoding="utf-8")
        assert load_elements(tmp_path / f"elements{ending}").names[0] == expected.names[0]
    if ending != ".JSON":
        assert load_elements(write(tmp_path, tle_lines(), f"elements{ending}")).num_satellites == 7


def test_copies_fly_to_the_bit(tmp_path: Path) -> None:
    # The Moon and the Sun pull at this orbit of twelve hours, for which the epoch counts to its last digit.
    high = [
        with_checksum("1 44001U 19001A   26001.98765432 -.00000123 -12345-7  12345-4 0  9999"),
        with_checksum("2 44001  63.4037 120.1234 7001234 270.0000  10.1234  2.00561234123456"),
    ]
    orbits = load_elements(write(tmp_path, high))
    for day in (0.0, 20 * 86_400.0):
        ours = orbits.states(np.array([day]))[0]
        np.testing.assert_array_equal(copy.deepcopy(orbits).states(np.array([day]))[0], ours)
        instant = orbits.epoch.jd1 + day / 86_400, orbits.epoch.jd2
        assert orbits.satellites[0].sgp4(*instant) == Satrec.twoline2rv(*high).sgp4(*instant)


def test_epochs_far_from_the_elements_are_refused() -> None:
    with pytest.raises(ValueError, match=r"epoch must be within 30 days .* 59\.0 days after those of 'SENTINEL-1A"):
        load_elements(TLE, "2026-03-01")
    with pytest.raises(ValueError, match=r"days before"):
        load_elements(TLE, "2025-11-01")
    with pytest.raises(ValueError, match="epoch must lie in the years"):
        load_elements(TLE, "1990-01-01")


@pytest.mark.parametrize(("year", "named"), [("57", 1957), ("99", 1999), ("36", 2036), ("56", 2056)])
def test_elements_of_other_years_are_refused_with_their_file(tmp_path: Path, year: str, named: int) -> None:
    lines = tle_lines()[1:4]
    lines[1] = with_checksum(lines[1].replace("26001.0", f"{year}001.0"))
    with pytest.raises(ValueError, match=rf"elements\.tle: epoch must lie in the years 2000\.\.2035, got {named}"):
        load_elements(write(tmp_path, lines))


def test_empty_constellations_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"elements\.tle: a constellation needs at least one satellite"):
        load_elements(write(tmp_path, ["# nothing here"]))
    (tmp_path / "image.tle").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"image\.tle: line 1: must be UTF-8 text, got byte 0x89"):
        load_elements(tmp_path / "image.tle")
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(100_000_001)
    with pytest.raises(ValueError, match=r"huge\.json: a file of elements has at most 100000000 bytes, got 100000001"):
        load_elements(tmp_path / "huge.json")
    with pytest.raises(FileNotFoundError, match=r"there is no file of orbital elements .*absent\.tle'$"):
        load_elements(tmp_path / "absent.tle")
    with pytest.raises(FileNotFoundError, match="sentinel-lik', did you mean 'sentinel-like'"):
        load_elements("sentinel-lik")
    with pytest.raises(ValueError, match=f"{tmp_path}: not a regular file"):
        load_elements(tmp_path)
    with pytest.raises(ValueError, match="names must have one entry for each of 7"):
        Sgp4Orbits(load_elements(TLE).satellites, ["only one"])
