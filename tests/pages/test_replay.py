"""The replay of an episode: what its page says, and how a browser shows it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from hashlib import sha256
from html.parser import HTMLParser
from itertools import product
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from satfl_baselines import make_policy
from satfl_baselines.commands.replay import replay
from satfl_baselines.pages import page, recording
from satfl_baselines.pages.page import html_page
from satfl_baselines.pages.recording import COLUMNS, record_replay
from satfl_env import Outcome
from satfl_env.scenarios import build, load

FAST = {"rounds.episode": 3, "training.max_epochs": 1, "data.test_samples": 8}
ROUNDS = 3
SMALL_SHELL = {
    "constellation.satellites": 6,
    "constellation.planes": 3,
    "constellation.phasing": 1,
    "constellation.gateways": ["Kourou", "Svalbard"],
    "rounds.cohort": None,
}
WIDTHS = (1280, 390)
HOSTILE = "</script><script>document.title='run'</script><!-- \u2028 & \"quoted\" https://nowhere"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Elements(HTMLParser):
    """The elements of a page: their attributes, and the text in them."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inside = False
        self.feed(content.decode())

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.texts.append("")
        self.inside = True

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.texts[-1] += data

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(own, text) for (name, own), text in zip(self.found, self.texts, strict=True) if name == tag]


@pytest.fixture(scope="module")
def scenario():
    return load("leo-multitask", **FAST)


@pytest.fixture(scope="module")
def data(scenario):
    return record_replay(scenario, "full", 4)


@pytest.fixture(scope="module")
def twin(scenario):
    """States, snapshots, decisions and reports of the same episode, played without the replay."""
    simulation, policy = build(scenario), make_policy("full")
    state, rounds = simulation.reset(4), []
    while not simulation.finished:
        before, decision = (state, simulation.snapshot), policy(state)
        state, report = simulation.step(decision)
        rounds.append((*before, decision, report))
    return rounds


def test_the_table_holds_what_the_rounds_report(data, twin):
    assert len(data["rounds"]) == len(twin) + 1
    for shown, (state, _, decision, report) in zip(data["rounds"][1:], twin, strict=True):
        rows = dict(zip([column["name"] for column in data["columns"]], shown["rows"], strict=True))
        assert rows["gateway"] == decision.association.tolist()
        assert [Outcome[data["outcomes"][k].upper()] for k in rows["outcome"]] == report.outcome.tolist()
        assert rows["lost"] == report.lost.tolist()
        assert rows["epochs"] == report.epochs.tolist()
        assert rows["cluster"] == decision.cluster.tolist()
        for name, expected in (
            ("energy", report.energy_j),
            ("weight", report.weights),
            ("window", np.where(decision.associated, state.window_s[decision.pairs], state.window_s[:, 0])),
            ("CPU", decision.cpu_frequency / 1e9),
        ):
            np.testing.assert_allclose(rows[name], expected, rtol=5e-4)
        np.testing.assert_allclose(shown["losses"], report.test_loss, rtol=5e-4)
        np.testing.assert_allclose(shown["metrics"], report.metrics[data["metric"]], rtol=5e-4)
        np.testing.assert_allclose(shown["chargesJ"], report.charge_j, rtol=5e-4)
        assert shown["merged"] == report.merged
        assert sum(shown["reasons"].values()) == report.lost.sum() == shown["record"]["lost"]
        assert all((report.outcome == Outcome[why.upper()]).sum() == n for why, n in shown["reasons"].items())


def test_positions_are_those_from_which_the_round_was_decided(data, twin):
    for shown, (_, snapshot, _, _) in zip(data["rounds"][1:], twin, strict=True):
        steps = np.frombuffer(base64.b64decode(shown["positions"]), dtype="<i2").reshape(-1, 3)
        np.testing.assert_allclose(steps * data["stepM"], snapshot.position_m, atol=data["stepM"])
        assert np.abs(np.array(shown["gatewaysM"]) - snapshot.gateway_position_m).max() <= 0.5
    assert data["rounds"][0]["positions"] == data["rounds"][1]["positions"]
    assert data["land"] is None
    assert data["coverageM"] == 2.2e6


def test_of_many_satellites_those_that_took_part_are_shown(scenario, data, monkeypatch):
    monkeypatch.setattr(recording, "FEW", 3)
    monkeypatch.setattr(recording, "MOST_ROWS", 2)
    few = record_replay(load("leo-multitask", **FAST, **{"rounds.cohort": 4}), "full", 4)
    untrained, *rounds = few["rounds"]
    assert few["many"]
    assert untrained["shown"] == []
    for shown in rounds:
        sat_out = int(shown["record"]["sat_out"])
        assert len(shown["shown"]) == 2
        assert len(shown["shown"]) + shown["hidden"] == 10 - sat_out
        outcomes = shown["rows"][[column.name for column in COLUMNS].index("outcome")]
        assert Outcome.SAT_OUT not in outcomes
    assert not data["many"]


@pytest.fixture(scope="module")
def earth():
    return record_replay(load("starlink-shell", **FAST, **SMALL_SHELL), "nearest-fedavg", 0)


def test_a_globe_has_land_where_the_mask_has_it(earth):
    land = earth["land"]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(land["bits"]), dtype=np.uint8))
    is_land = bits.reshape(land["height"], land["width"])
    places = {"Sahara": (23, 10), "South Pole": (-89, 0), "Pacific": (0, -140), "Gulf of Guinea": (0, 0)}
    found = [name for name, (lat, lon) in places.items() if is_land[int((90 - lat) * 2), int((lon + 180) * 2)]]
    assert found == ["Sahara", "South Pole"]
    assert earth["gateways"] == SMALL_SHELL["constellation.gateways"]
    assert earth["coverageM"] is None


def test_a_page_asks_for_nothing_and_runs_its_own_script_alone(data):
    content = html_page("replay", "an episode", data)
    elements = Elements(content)
    for tag, attributes in elements.found:
        assert not {"src", "href", "srcset", "action", "style"} & attributes.keys(), tag
        assert not any(name.startswith("on") for name in attributes)
    own = re.sub(rb'<script type="application/json".*?</script>', b"", content, flags=re.DOTALL)
    assert not re.search(rb"https?:|//[a-z]|@import|url\(", own)
    (policy,) = [own["content"] for own, _ in elements.of("meta") if own.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    (_, script), (_, style) = elements.of("script")[-1], elements.of("style")[0]
    digests = [base64.b64encode(sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert policy.split("; ")[:3] == [
        "default-src 'none'",
        f"script-src 'sha256-{digests[0]}'",
        f"style-src 'sha256-{digests[1]}'",
    ]


def contrast(*colours: np.ndarray) -> float:
    """Between two colours, (3,) in 0 to 255 each (WCAG 2.2, relative luminance)."""
    linear = [np.where(c <= 10, c / 255 / 12.92, ((c / 255 + 0.055) / 1.055) ** 2.4) for c in colours]
    dark, light = sorted(float(c @ (0.2126, 0.7152, 0.0722)) for c in linear)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(scheme):
    style = page._template("page.css")
    pairs = re.findall(r"--(\w+): light-dark\(#(\w{6}), #(\w{6})\)", style)
    colours = {name: np.array(list(bytes.fromhex(pair[scheme]))) for name, *pair in pairs}
    for name, ground in product(("ink", "muted", "lost"), ("paper", "panel")):
        assert contrast(colours[name], colours[ground]) >= 4.5, name
    (share,) = re.findall(r"\.name { fill: color-mix\(in srgb, currentColor (\d+)%, var\(--ink\)\); }", style)
    lines = [name for name in colours if re.fullmatch(r"c\d", name)]
    assert len(lines) == 8
    for name in lines:
        text = colours["ink"] + int(share) / 100 * (colours[name] - colours["ink"])
        assert contrast(text, colours["paper"]) >= 4.5, name
        assert contrast(colours[name], colours["paper"]) >= 3, name


def test_text_of_the_users_stays_text(data):
    hostile = {**data, "scenario": HOSTILE, "description": "\ud800 half of a character"}
    elements = Elements(html_page("replay", HOSTILE, hostile))
    scripts = elements.of("script")
    assert [attributes.get("type") for attributes, _ in scripts] == ["application/json", None]
    assert json.loads(scripts[0][1])["scenario"] == HOSTILE
    assert "document.title" not in scripts[1][1]
    assert elements.of("title")[0][1] == HOSTILE


TELLING = """
const told = () => ({ now, slider: byId("slider").value, text: byId("now").textContent, hash: location.hash,
  widths: [document.documentElement.scrollWidth, innerWidth], table: byId("table").innerText.split(/\\s+/) });
const seen = [told()];
for (const key of ["ArrowRight", "End", "ArrowRight", "ArrowLeft", "Home"]) {
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  seen.push(told());
}
console.log("SEEN" + btoa(encodeURIComponent(JSON.stringify(seen))));
"""


def in_browser(folder, content: bytes, fragment: str) -> dict[int, list[dict[str, Any]]]:
    """What a page tells of itself on a desktop and on a phone, by width; fails if the browser complains."""
    assert CHROMIUM is not None
    (folder / "episode.html").write_bytes(content)
    frames = (f'<iframe src="episode.html#{fragment}" width="{width}" height="800"></iframe>' for width in WIDTHS)
    hidden = '<iframe src="episode.html" hidden></iframe>'
    (folder / "frames.html").write_text("".join([*frames, hidden]))
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom")
    profile = f"--user-data-dir={folder / 'profile'}"
    where = (folder / "frames.html").as_uri()
    command = [CHROMIUM, *options, profile, "--virtual-time-budget=1000", "--window-size=1800,900", where]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120).stderr
    assert all("SEEN" in line for line in said.splitlines() if "CONSOLE" in line), said
    told = [json.loads(unquote(base64.b64decode(text).decode())) for text in re.findall(r'"SEEN([^"]+)"', said)]
    return {one[0]["widths"][1]: one for one in told if one[0]["widths"][1]}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_the_round_of_the_address_and_keys_go_on(data, tmp_path, monkeypatch):
    # The page's own script tells, since no other may run.
    templates = page._template
    monkeypatch.setattr(page, "_template", lambda name: templates(name) + (TELLING if name == "replay.js" else ""))
    told = in_browser(tmp_path, html_page("replay", HOSTILE, {**data, "scenario": HOSTILE}), "round=1")
    assert sorted(told) == sorted(WIDTHS)
    for seen in told.values():
        assert [one["now"] for one in seen] == [1, 2, ROUNDS, ROUNDS, ROUNDS - 1, 0]
        for one in seen:
            scrolled, width = one["widths"]
            assert scrolled <= width
            assert one["slider"] == str(one["now"])
            assert one["hash"] == f"#round={one['now']}"
            assert one["text"] == (f"round {one['now']} of {ROUNDS}" if one["now"] else f"untrained, {ROUNDS} rounds")
            metrics = [float(f"{value:.4g}") for value in data["rounds"][one["now"]]["metrics"]]
            assert {f"{value:g}" for value in metrics} <= set(one["table"])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_globe_in_a_hidden_frame_waits_until_it_is_shown(earth, tmp_path):
    in_browser(tmp_path, html_page("replay", "earth", earth), "round=1")  # fails if the browser complains


def test_the_command_writes_the_page(tmp_path, data):
    app = typer.Typer()
    app.command()(replay)
    out = tmp_path / "episode.html"
    changes = [word for key, value in FAST.items() for word in ("--set", f"{key}={value}")]
    done = CliRunner().invoke(app, ["leo-multitask", *changes, "--seed", "4", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert json.loads(Elements(out.read_bytes()).of("script")[0][1]) == json.loads(json.dumps(data))


@pytest.mark.parametrize(
    ("out", "problem"),
    [("absent/episode.html", "is not there"), ("", "is a folder"), ("episode.txt", r"must end in \.html, got")],
)
def test_a_page_that_cannot_be_written_is_told_before_anything_is_played(tmp_path, out, problem):
    with pytest.raises((OSError, ValueError), match=problem):
        replay("leo-multitask", tmp_path / out, "full", 0)
