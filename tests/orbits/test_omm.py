from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env.orbits import load_elements
from satfl_env.orbits.element_set import ElementSet
from satfl_env.orbits.omm import read_omm
from satfl_env.orbits.omm_formats import READERS
from tests.orbits.flying import assert_flies_or_refuses
from tests.timing import within_a_second

MESSAGE: dict[str, Any] = {
    "OBJECT_NAME": "MYSAT",
    "OBJECT_ID": "2019-001A",
    "CENTER_NAME": "EARTH",
    "REF_FRAME": "TEME",
    "TIME_SYSTEM": "UTC",
    "MEAN_ELEMENT_THEORY": "SGP4",
    "EPOCH": "2026-01-01T12:00:00.000000",
    "MEAN_MOTION": 15.2,
    "ECCENTRICITY": 0.0001234,
    "INCLINATION": 97.5,
    "RA_OF_ASC_NODE": 120.0,
    "ARG_OF_PERICENTER": 90.0,
    "MEAN_ANOMALY": 270.1234,
    "EPHEMERIS_TYPE": 0,
    "CLASSIFICATION_TYPE": "U",
    "NORAD_CAT_ID": 44001,
    "ELEMENT_SET_NO": 999,
    "REV_AT_EPOCH": 12345,
    "BSTAR": 1.2345e-6,
    "MEAN_MOTION_DOT": 1.23e-6,
    "MEAN_MOTION_DDOT": 0,
}
METADATA = ("OBJECT_NAME", "OBJECT_ID", "CENTER_NAME", "REF_FRAME", "TIME_SYSTEM", "MEAN_ELEMENT_THEORY")
NAMESPACE = "urn:ccsds:schema:ndmxml"


def as_csv(message: dict[str, Any], separator: str = ",") -> str:
    file = io.StringIO()
    rows = csv.writer(file, delimiter=separator, lineterminator="\n")
    rows.writerows([message, message.values()])
    return file.getvalue()


def as_json(message: dict[str, Any]) -> str:
    return json.dumps([message])


def as_kvn(message: dict[str, Any]) -> str:
    return "\n".join(["CCSDS_OMM_VERS = 2.0", "COMMENT two = 2", *(f"{key} = {message[key]}" for key in message)])


def as_xml(message: dict[str, Any]) -> str:
    root = ElementTree.Element("ndm")
    segment = ElementTree.SubElement(root, "segment")
    metadata, data = ElementTree.SubElement(segment, "metadata"), ElementTree.SubElement(segment, "data")
    mean = ElementTree.SubElement(data, "meanElements")
    for key, value in message.items():
        ElementTree.SubElement(metadata if key in METADATA else mean, key).text = None if value is None else str(value)
    return ElementTree.tostring(root, encoding="unicode")


WRITERS: dict[str, Callable[[dict[str, Any]], str]] = {
    ".csv": as_csv,
    ".json": as_json,
    ".kvn": as_kvn,
    ".xml": as_xml,
}
every_format = pytest.mark.parametrize("ending", WRITERS)


def read(message: dict[str, Any], ending: str = ".json") -> ElementSet:
    (only,) = read_omm(READERS[ending](WRITERS[ending](message)))
    return only


def elements(one: ElementSet) -> tuple[float, ...]:
    record = one.record
    return (record.jdsatepoch + record.jdsatepochF, record.ecco, record.inclo, record.nodeo, record.argpo, record.mo,
            record.no_kozai, record.bstar)  # fmt: skip


@every_format
def test_all_formats_give_the_same_elements(ending: str) -> None:
    one = read(MESSAGE, ending)
    assert (one.number, one.name) == (44001, "MYSAT")
    degrees = [math.radians(value) for value in (97.5, 120.0, 90.0, 270.1234)]
    expected = (2461042.0, 0.0001234, *degrees, 15.2 * 2 * math.pi / 1440, 1.2345e-6)
    assert elements(one) == pytest.approx(expected, rel=1e-15)


@every_format
@pytest.mark.parametrize(
    "name",
    [
        "OBJECT_ID", "REV_AT_EPOCH", "ELEMENT_SET_NO", "CLASSIFICATION_TYPE", "EPHEMERIS_TYPE", "MEAN_MOTION_DOT",
        "MEAN_MOTION_DDOT", "MEAN_ELEMENT_THEORY", "TIME_SYSTEM", "REF_FRAME", "CENTER_NAME", "OBJECT_NAME",
    ],
)  # fmt: skip
def test_what_sgp4_does_not_need_may_be_missing_or_empty(ending: str, name: str) -> None:
    without = {key: value for key, value in MESSAGE.items() if key != name}
    given_empty = [None, ""] if ending == ".json" else [""]
    for message in (without, *({**MESSAGE, name: empty} for empty in given_empty)):
        assert elements(read(message, ending)) == elements(read(MESSAGE, ending))


@every_format
@pytest.mark.parametrize(
    "name",
    ["EPOCH", "MEAN_MOTION", "ECCENTRICITY", "INCLINATION", "RA_OF_ASC_NODE", "ARG_OF_PERICENTER", "MEAN_ANOMALY",
     "BSTAR", "NORAD_CAT_ID"],
)  # fmt: skip
def test_what_sgp4_needs_may_not_be_missing_empty_or_no_number(ending: str, name: str) -> None:
    without = {key: value for key, value in MESSAGE.items() if key != name}
    for message in (without, {**MESSAGE, name: ""}, {**MESSAGE, "SEMI_MAJOR_AXIS": 6900.0, name: ""}):
        with pytest.raises(ValueError, match=rf"message 1 \(MYSAT\): the field {name} is missing"):
            read(message, ending)
    for value in ("nan", "inf", "-Infinity", "15,2", "1_5", "0x1", "1e999", "\u0661", "True", "15.2 [rad]"):
        with pytest.raises(ValueError, match=rf"message 1 \(MYSAT\): {name} must be "):
            read({**MESSAGE, name: value}, ending)


@pytest.mark.parametrize("value", [math.nan, math.inf, True, [15.2], {"value": 15.2}, 10**400])
@pytest.mark.parametrize("name", ["MEAN_MOTION", "BSTAR", "MEAN_ANOMALY", "NORAD_CAT_ID", "MEAN_MOTION_DOT", "EPOCH"])
def test_values_of_other_types_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"message 1 \(MYSAT\): {name} must be "):
        read({**MESSAGE, name: value})


@every_format
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ECCENTRICITY", 1), ("ECCENTRICITY", 1.5), ("ECCENTRICITY", -1e-9), ("INCLINATION", 200), ("INCLINATION", -1),
        ("RA_OF_ASC_NODE", 361), ("ARG_OF_PERICENTER", -361), ("MEAN_ANOMALY", 1e6), ("MEAN_MOTION", 0),
        ("MEAN_MOTION", -15), ("MEAN_MOTION", 21), ("NORAD_CAT_ID", 1_000_000_000), ("NORAD_CAT_ID", -1),
        ("NORAD_CAT_ID", 1.5), ("EPHEMERIS_TYPE", 4), ("EPHEMERIS_TYPE", 3), ("EPHEMERIS_TYPE", "XP"),
        ("MEAN_ELEMENT_THEORY", "SGP4-XP"), ("MEAN_ELEMENT_THEORY", "DSST"), ("TIME_SYSTEM", "TAI"),
        ("REF_FRAME", "EME2000"), ("CENTER_NAME", "MARS"), ("BTERM", 0.02), ("AGOM", 0.01),
    ],
)  # fmt: skip
def test_what_sgp4_must_not_fly_is_refused_by_name(ending: str, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"message 1 \(MYSAT\): {name} must "):
        read({**MESSAGE, name: value}, ending)


def test_elements_without_a_state_are_refused() -> None:
    for changes in ({"MEAN_MOTION": 17.9}, {"BSTAR": 1e300}):
        with pytest.raises(ValueError, match=r"message 1 \(MYSAT\): SGP4 refuses the elements"):
            read({**MESSAGE, **changes})


@every_format
@pytest.mark.parametrize("number", [0, 44001, 339_999, 340_000, 799_500_123, "44001", "44001.0", "+44001"])
def test_numbers_have_up_to_nine_digits_and_may_be_text(ending: str, number: Any) -> None:
    assert read({**MESSAGE, "NORAD_CAT_ID": number}, ending).number == float(number)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"INCLINATION": "97.5 [deg]", "MEAN_MOTION": "15.2 [REV/DAY]"}, MESSAGE),
        ({"RA_OF_ASC_NODE": "-240"}, MESSAGE | {"RA_OF_ASC_NODE": -240}),
        ({"MEAN_ELEMENT_THEORY": "SGP/SGP4", "EPHEMERIS_TYPE": "2", "REF_FRAME": "teme"}, MESSAGE),
    ],
)
def test_usual_ways_of_writing_are_read(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert elements(read({**MESSAGE, **changes}, ".kvn")) == elements(read(expected, ".kvn"))


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-01-01T12:00:00.000000", 2461042.0),
        ("2026-01-01T12:00:00", 2461042.0),
        ("2026-01-01T12:00:00.", 2461042.0),
        ("2026-01-01T12:00:00.000000Z", 2461042.0),
        ("2026-01-01T12:00:00+00:00", 2461042.0),
        ("2026-01-01 12:00:00", 2461042.0),
        ("2026-001T12:00:00.000", 2461042.0),
        ("2024-366T00:00:00Z", 2460675.5),
        ("2024-12-31T06:00:00.123456789123", 2460675.75 + 0.123456789123 / 86_400),
    ],
)
def test_epochs_have_the_forms_of_ccsds(text: str, date: float) -> None:
    record = read({**MESSAGE, "EPOCH": text}).record
    assert record.jdsatepoch % 1 == 0.5
    assert record.jdsatepochF == pytest.approx(date - record.jdsatepoch, abs=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "someday", "2026-01-01", "2026-13-01T00:00:00", "2026-02-29T00:00:00", "2025-366T00:00:00", "2026-000T00:00:00",
        "2026-01-01T24:00:00", "2026-01-01T12:60:00", "2026-01-01T12:00:61", "2026-01-01T12:00:00+02:00",
        "0000-01-01T00:00:00", "26-01-01T00:00:00", "20260101T000000",
    ],
)  # fmt: skip
def test_other_epochs_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="EPOCH must be UTC like '2026-01-31T12:00:00"):
        read({**MESSAGE, "EPOCH": text})


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_read(separator: str) -> None:
    (only,) = read_omm(READERS[".csv"](as_csv(MESSAGE, separator)))
    assert elements(only) == elements(read(MESSAGE))


def test_a_row_of_a_table_is_never_a_comment() -> None:
    text = "# a comment\n" + as_csv({**MESSAGE, "OBJECT_NAME": "#1"})
    assert [one.name for one in read_omm(READERS[".csv"](text))] == ["#1"]


def test_a_number_that_is_cut_in_two_is_refused() -> None:
    text = as_xml(MESSAGE).replace("15.2", "1<b>5</b>.2")
    with pytest.raises(ValueError, match="the field MEAN_MOTION must hold text alone, got the element 'b'"):
        list(read_omm(READERS[".xml"](text)))


def test_namespaces_and_units_are_read() -> None:
    plain = as_xml(MESSAGE).replace("<INCLINATION>", '<INCLINATION units="deg">')
    default = plain.replace("<ndm>", f'<ndm xmlns="{NAMESPACE}">')
    prefixed = plain.replace("</", "</n:").replace("<", "<n:").replace("<n:/n:", "</n:").replace(
        "<n:ndm>", f'<n:ndm xmlns:n="{NAMESPACE}">'
    )  # fmt: skip
    declared = '<?xml version="1.0" encoding="UTF-8"?>' + plain
    for text in (plain, default, prefixed, declared):
        (only,) = read_omm(READERS[".xml"](text))
        assert elements(only) == elements(read(MESSAGE))
    with pytest.raises(ValueError, match=r"INCLINATION must be a number in \[0, 180\], got '97.5 \[rad\]'"):
        list(read_omm(READERS[".xml"](plain.replace('"deg"', '"rad"'))))


def test_kvn_has_a_message_after_each_version() -> None:
    text = as_kvn(MESSAGE) + "\n\n" + as_kvn({**MESSAGE, "OBJECT_NAME": "OTHER [DEB]", "NORAD_CAT_ID": 44002})
    assert [one.name for one in read_omm(READERS[".kvn"](text))] == ["MYSAT", "OTHER [DEB]"]


@pytest.mark.parametrize(
    ("ending", "text", "message"),
    [
        (".json", "[", "not an OMM in JSON"),
        (".json", "[" * 100_000, "not an OMM in JSON"),
        (".json", '[{"OBJECT_NAME": 7}]', "message 1: OBJECT_NAME must be text, got 7"),
        (".json", '{"EPOCH": 1, "EPOCH": 2}', "the field 'EPOCH' is given twice"),
        (".json", json.dumps([MESSAGE, 7]), "message 2 must be an object of OMM fields, got 7"),
        (".csv", as_csv(MESSAGE) + "1,2\n", "message 2 must have 21 values, as the header has, got 2"),
        (".csv", 'EPOCH,"MEAN', "not an OMM in CSV"),
        (".csv", "EPOCH,EPOCH\n1,2", "the field 'EPOCH' is given twice"),
        (".kvn", "EPOCH 2026", "line 1: must be KEYWORD = VALUE, got 'EPOCH 2026'"),
        (".kvn", "EPOCH = 1\nEPOCH = 2", "the field 'EPOCH' is given twice"),
        (".xml", "<ndm", "not an OMM in XML"),
        (".xml", "<?xml version='1.0' encoding='nonsense'?><ndm/>", "a constellation needs at least one satellite"),
        (".xml", "<ndm/>", "a constellation needs at least one satellite"),
        (".xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "it must have no document type declaration"),
        (".xml", "<a>" * 100_000, "not an OMM in XML"),
    ],
)
def test_files_that_are_no_omm_are_refused_by_name(tmp_path: Path, ending: str, text: str, message: str) -> None:
    path = tmp_path / f"bad{ending}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"bad\{ending}: .*{message}"):
        load_elements(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*MESSAGE]), inner, max_size=3),
    max_leaves=5,
)


@every_format
@settings(deadline=None)
@given(changes=st.dictionaries(st.sampled_from([*MESSAGE]), json_values, max_size=4))
@within_a_second()
def test_any_fields_end_in_elements_or_a_value_error(ending: str, changes: dict[str, Any]) -> None:
    try:
        text = WRITERS[ending]({**MESSAGE, **changes})
    except (ValueError, csv.Error):  # text that the format cannot hold
        return
    assert_flies_or_refuses(lambda: read_omm(READERS[ending](text)))


@every_format
@settings(deadline=None)
@given(text=st.text(max_size=200), place=st.integers(0, 800), length=st.integers(0, 20))
@within_a_second()
def test_any_text_ends_in_elements_or_a_value_error(ending: str, text: str, place: int, length: int) -> None:
    valid = WRITERS[ending](MESSAGE)
    assert_flies_or_refuses(lambda: read_omm(READERS[ending](text)))
    assert_flies_or_refuses(lambda: read_omm(READERS[ending](valid[:place] + text + valid[place + length :])))


@settings(deadline=None)
@given(content=st.binary(max_size=200), ending=st.sampled_from([*WRITERS, ".tle", ".txt"]))
@within_a_second()
def test_any_bytes_end_in_elements_or_a_value_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"any{ending}: "):
        load_elements(path)
