"""Result folders: several writers at once, files that were touched, and anything in place of what they should hold."""

from __future__ import annotations

import errno
import json
import multiprocessing
import multiprocessing.connection
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from filelock import FileLock, Timeout
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satfl_baselines import compare
from satfl_baselines.evaluate import Run, play_all
from satfl_baselines.files import one_writer, write_whole
from satfl_baselines.identity import require_same
from satfl_baselines.results import ResultFolder, summarise
from satfl_env import Decision, NetworkState, __version__
from satfl_env.scenarios import load
from satfl_env.settings import MOST_WORKERS
from tests.factories import physics_only
from tests.timing import within_a_second

SCENARIO = physics_only(2)
FULL, RANDOM = Run("full", 0), Run("random", 0)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
ANYTHING = st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode())
any_content = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def opened(path, *policies, **changes) -> ResultFolder:
    return ResultFolder(path, load("leo-multitask", **changes) if changes else SCENARIO, policies, [0])


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A folder with two episodes."""
    out = tmp_path_factory.mktemp("played") / "out"
    compare(SCENARIO, ["full", "random"], [0], out)
    return out


@pytest.fixture
def folder(played, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(played, tmp_path / "out")


def renamed(records, name, value):
    return [{**record, name: value} for record in records]


CHANGES = {
    "nothing": lambda records: [],
    "too short": lambda records: records[:-1],
    "one record": lambda records: records[:1],
    "doubled": lambda records: records + records,
    "too long": lambda records: [*records, {**records[-1], "round": 3.0}],
    "turned round": lambda records: records[::-1],
    "one metric missing": lambda records: [{k: v for k, v in r.items() if k != "accuracy"} for r in records],
    "one metric missing in the last round": lambda records: [
        *records[:-1],
        {k: v for k, v in records[-1].items() if k != "accuracy"},
    ],
    "another number": lambda records: renamed(records, "accuracy", 0.5),
    "null": lambda records: renamed(records, "accuracy", None),
    "NaN": lambda records: renamed(records, "accuracy", float("nan")),
    "infinite": lambda records: renamed(records, "accuracy", float("inf")),
    "text": lambda records: renamed(records, "accuracy", "0.5"),
    "truth": lambda records: renamed(records, "accuracy", True),
    "a list": lambda records: renamed(records, "accuracy", [0.5]),
    "another form": lambda records: {"records": records},
    "lists": lambda records: [list(record.values()) for record in records],
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_episode_that_was_touched_is_refused_by_name(folder, change):
    file = folder / "runs" / "random-0.json"
    file.write_text(json.dumps(CHANGES[change](json.loads(file.read_text()))))
    with pytest.raises(ValueError, match=re.escape(str(file))) as refusal:
        compare(SCENARIO, ["full", "random"], [0], folder)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("source", "target"), [("random-0", "full-0"), ("full-0", "full-1")])
def test_an_episode_of_another_policy_or_seed_is_refused(folder, source, target):
    runs = folder / "runs"
    shutil.copy(runs / f"{source}.json", runs / f"{target}.json")
    with pytest.raises(ValueError, match=f"{target}.json"):
        compare(SCENARIO, ["full"], [0, 1], folder)


def test_an_episode_of_another_scenario_is_refused(folder, tmp_path):
    other = physics_only(2, **{"onboard.energy.mean_j": 20.0})
    compare(other, ["full"], [0], tmp_path / "other")
    shutil.copy(folder / "runs" / "full-0.json", tmp_path / "other" / "runs" / "full-0.json")
    with pytest.raises(ValueError, match=r"full-0\.json.*not the episode"):
        compare(other, ["full"], [0], tmp_path / "other")


def test_an_episode_that_ended_early_is_kept(folder, tmp_path):
    # Own scenes can end an episode, too: where a satellite of theirs comes down.
    there = opened(tmp_path / "early", "full")
    early = opened(folder).load(FULL)[:-1]
    there.save(FULL, early)
    assert there.load(FULL) == early


def test_episodes_that_record_different_quantities_are_not_summarised(folder):
    there, file = opened(folder, "full", "random"), folder / "runs" / "random-0.json"
    episode = [{k: v for k, v in record.items() if k != "accuracy"} for record in there.load(RANDOM)]
    opened(folder, "random").save(RANDOM, episode)
    there.load(FULL)
    with pytest.raises(ValueError, match=re.escape(str(file))):
        compare(SCENARIO, ["full", "random"], [0], folder)


@given(ANYTHING)
@any_content
@within_a_second()
def test_any_content_of_an_episode_is_refused_by_name(folder, content):
    file = folder / "runs" / "full-0.json"
    there = opened(folder)
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"full-0\.json"):
        there.load(FULL)


@given(ANYTHING | JSON.map(lambda value: json.dumps({"format": value, "policies": value, "own": value}).encode()))
@any_content
@within_a_second()
def test_any_content_of_a_manifest_is_refused_by_name(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(folder))):
        opened(folder, "full")


def test_what_is_no_file_is_refused_and_never_waited_for(folder):
    for name in ("manifest.json", "runs/full-0.json"):
        whole = (folder / name).read_bytes()
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(ValueError, match=re.escape(name)):
            compare(SCENARIO, ["full"], [0], folder)
        (folder / name).unlink()
        (folder / name).write_bytes(whole)


def test_writers_of_one_folder_lose_nothing(folder, tmp_path):
    content = {run: opened(folder).load(run) for run in (FULL, RANDOM)}

    def write(number):
        for seed in range(10):
            there = ResultFolder(tmp_path / "shared", SCENARIO, [f"p{number}", "full"], range(seed + 1))
            there.save(Run(f"p{number}", seed), content[RANDOM])
            there.save(FULL, content[FULL])
            assert there.load(FULL) == content[FULL]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    manifest = json.loads((tmp_path / "shared" / "manifest.json").read_text())
    assert sorted(manifest["policies"]) == ["full", "p0", "p1", "p2", "p3"]
    assert manifest["seeds"] == list(range(10))
    assert len(list((tmp_path / "shared" / "runs").iterdir())) == 41
    same = (tmp_path / "shared" / "runs" / "full-0.json", folder / "runs" / "full-0.json")
    assert same[0].read_bytes() == same[1].read_bytes()
    assert not list((tmp_path / "shared").glob("**/*.part"))


def test_a_folder_that_others_took_meanwhile_takes_no_episode(folder, tmp_path):
    episode = opened(folder).load(FULL)
    first = opened(tmp_path / "new", "full")
    opened(tmp_path / "new", "random")
    assert json.loads((tmp_path / "new" / "manifest.json").read_text())["policies"] == ["full", "random"]
    opened(tmp_path / "new", "full", **{"rounds.episode": 3})
    with pytest.raises(ValueError, match="another comparison meanwhile"):
        first.save(FULL, episode)


def test_left_over_parts_go_and_a_stopped_start_is_none(tmp_path):
    (tmp_path / "half.part").write_text("[{")
    opened(tmp_path, "full")
    assert not (tmp_path / "half.part").exists()
    for name in ("manifest.json", "scenario.yaml"):
        (tmp_path / name).unlink()
    (tmp_path / "runs").rmdir()
    opened(tmp_path, "full")


def test_a_held_folder_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("satfl_baselines.files.LONGEST_WAIT_S", 0.05)
    with FileLock(tmp_path / ".lock"), pytest.raises(OSError, match="held by another process"):
        opened(tmp_path, "full")


def test_who_holds_a_folder_may_take_it_once_more_and_holds_it_until_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("satfl_baselines.files.LONGEST_WAIT_S", 0.05)
    with one_writer(tmp_path):
        with one_writer(tmp_path):
            pass
        with pytest.raises(Timeout):
            FileLock(tmp_path / ".lock", timeout=0).acquire()
    FileLock(tmp_path / ".lock", timeout=0).acquire().lock.release()


def test_a_full_disk_leaves_what_was_there_and_names_the_file(tmp_path, monkeypatch):
    file = tmp_path / "file.json"
    write_whole(file, b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"No space left on device: '{file}'"):
        write_whole(file, b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file.json": b"old"}


def test_standard_output_that_is_a_pipe_is_written():
    code = "import pathlib, satfl_baselines.files as f; f.write_whole(pathlib.Path('/dev/stdout'), b'1')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"1"


def test_values_of_another_kind_are_named_by_their_place_alone(folder):
    path = folder / "runs" / "full-0.json"
    records = json.loads(path.read_text())
    path.write_text(json.dumps([{**records[0], "accuracy": True}, *records[1:]]))
    with pytest.raises(ValueError, match=r"full-0\.json' is damaged \(0\.accuracy: Input should be a valid number\)"):
        compare(SCENARIO, ["full"], [0], folder)


def test_links_are_followed_and_devices_stay_devices(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "far" / "file")
    (tmp_path / "far").mkdir()
    write_whole(tmp_path / "link", b"1")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "file").read_bytes() == b"1"
    (tmp_path / "null").symlink_to(os.devnull)
    write_whole(tmp_path / "null", b"1")
    assert (tmp_path / "null").is_char_device()


@given(st.lists(st.text(st.characters(codec=None), min_size=1, max_size=300), min_size=2, max_size=5, unique=True))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_of_any_policies_are_safe_and_distinct(folder, policies):
    there = opened(folder)
    files = [there._run_path(Run(policy, 0)) for policy in policies]
    assert len({file.name.lower() for file in files}) == len(policies)
    for file in files:
        assert file.parent == folder / "runs"
        assert re.fullmatch(r"[\w.~%-]{1,130}\.json", file.name, re.ASCII)


def test_policies_that_differ_in_capitals_have_files_that_differ_in_more(folder):
    there = opened(folder)
    assert there._run_path(Run("A:b", 0)).name.lower() != there._run_path(Run("a:B", 0)).name.lower()


def test_a_summary_needs_the_folder_of_a_comparison(folder):
    comparison = compare(SCENARIO, ["full"], [0], folder)
    (folder / "manifest.json").write_text('{"scenario": 1}')
    with pytest.raises(ValueError, match=r"manifest\.json"):
        summarise(folder, comparison)


@pytest.mark.parametrize("workers", [0, -1, MOST_WORKERS + 1])
def test_workers_have_limits(folder, workers):
    with pytest.raises(ValueError, match=f"workers must lie in 1..{MOST_WORKERS}"):
        compare(SCENARIO, ["full"], [0, 1], folder, workers=workers)


@pytest.mark.parametrize("workers", [True, 1.0, "2"])
def test_workers_are_a_whole_number(folder, workers):
    with pytest.raises(TypeError, match="workers must be an integer, got"):
        compare(SCENARIO, ["full"], [0], folder, workers=workers)


@pytest.mark.parametrize(
    ("policies", "seeds", "told"),
    [
        ([], [0], "policies must not be empty"),
        (["full"], [], "seeds must not be empty"),
        (["full"], [0, 1, 0], "seeds must be distinct, got 0 2 times"),
        (["full", "random", "full"], [0], "policies must be distinct, got 'full' 2 times"),
    ],
)
def test_every_policy_and_seed_counts_once(tmp_path, policies, seeds, told):
    with pytest.raises(ValueError, match=told):
        compare(SCENARIO, policies, seeds, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_one_policy_is_a_list_of_one(tmp_path):
    with pytest.raises(TypeError, match="policies must be a list, got the text 'full'"):
        compare(SCENARIO, "full", [0], tmp_path / "new")


def asleep(state: NetworkState) -> Decision:
    time.sleep(600)
    raise AssertionError("nobody waits that long")


def test_workers_end_with_what_ends_the_playing():
    runs = [Run("random", 0), Run("asleep", 0), Run("asleep", 1)]
    playing = play_all(physics_only(1), runs, own={"asleep": asleep}, workers=2)
    next(playing)
    workers = multiprocessing.active_children()
    assert workers
    with pytest.raises(KeyboardInterrupt):
        playing.throw(KeyboardInterrupt)
    for worker in workers:
        # One may still be starting. `is_alive` is wrong for a moment if another thread has asked first.
        assert multiprocessing.connection.wait([worker.sentinel], 60)


def test_a_killed_worker_is_told():
    playing = play_all(physics_only(30), [Run("random", seed) for seed in range(40)], own={}, workers=2)
    next(playing)
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="a process that played episodes died"):
        list(playing)


def test_what_differs_inside_a_list_is_named_by_its_place(tmp_path):
    there = {"scenario": {"fleet": [{"name": "large", "kappa": 1e-27}, {"name": "small", "kappa": 2e-27}]}}
    here = {"scenario": {"fleet": [{"name": "large", "kappa": 1e-27}, {"name": "small", "kappa": 3e-27}]}}
    with pytest.raises(ValueError, match=r"comparison: scenario\.fleet\.1\.kappa is 2e-27 there and 3e-27 here$"):
        require_same(tmp_path, "comparison", there, here)
    require_same(tmp_path, "comparison", there, there)


def test_a_whole_episode_that_lacks_what_is_recorded_now_is_of_another_version(folder, monkeypatch):
    older = [{k: v for k, v in record.items() if k != "untestable"} for record in opened(folder).load(FULL)]
    opened(folder).save(FULL, older)
    with pytest.raises(ValueError, match=rf"full-0\.json' was written by .* satfl {__version__}.*it lacks untestable"):
        opened(folder).load(FULL)
    file = folder / "runs" / "full-0.json"
    file.write_text(file.read_text().replace('"lost": 0.0', '"lost": 1.0'))
    with pytest.raises(ValueError, match="is damaged"):
        opened(folder).load(FULL)


def test_a_comparison_of_another_version_says_how_to_go_on(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": "0.0.9"}))
    with pytest.raises(ValueError, match=rf"version is '0\.0\.9' there and '{__version__}' here; go on with that"):
        opened(folder)
