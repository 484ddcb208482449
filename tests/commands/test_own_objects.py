from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from satfl_baselines import compare, make_policy
from satfl_env.commands import import_object, load_parts, make_app
from tests.factories import physics_only

MODULE = """
from satfl_baselines import make_policy
from satfl_env.links import IdealLinks

class Slow(IdealLinks):
    pass

def nearest(state):
    return make_policy("nearest-fedavg")(state)

links = {"links": Slow(rate_bps=1e6, transmit_power_w=2.0)}
def make():
    return links
def nothing():
    return None
both = links | {"model": int}
bound = {"combine": lambda updates, weights: weights @ updates}
number = 3
"""
FAST = ("--set", "training.engine=none", "--rounds", "2", "--seeds", "1")


@pytest.fixture
def module(tmp_path, monkeypatch) -> str:
    """A module in the current folder that no other test has."""
    name = f"mine_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def run_compare(*arguments: str, out: str = "out", policies: str = "nearest-fedavg") -> Result:
    words = ["compare", "--out", out, "--policies", policies, *FAST, *arguments]
    return CliRunner().invoke(make_app(), words)


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith("error: ")
    assert all(word in message for word in words), message


def test_an_object_is_found_in_the_current_folder_which_comes_last_afterwards(module):
    before = list(sys.path)
    assert import_object(f"{module}:number") == 3
    assert import_object(f"{module}:Slow.__name__") == "Slow"
    assert sys.path == [*before, str(Path.cwd())]
    import_object(f"{module}:number")
    assert sys.path == [*before, str(Path.cwd())]


def test_the_current_folder_comes_before_all_others(module, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / f"{module}.py").write_text("number = 4")
    sys.path.insert(0, str(elsewhere))
    assert import_object(f"{module}:number") == 3


@pytest.mark.parametrize("text", ["mine", "mine:", ":parts", "mine.py:parts", "a b:c", "mine:a:b", "./mine:parts"])
def test_text_of_another_form_is_refused(module, text):
    with pytest.raises(ValueError, match="expected MODULE:OBJECT"):
        import_object(text.replace("mine.py", f"{module}.p y"))


def test_what_is_not_there_is_named(module):
    with pytest.raises(ValueError, match=r"there is no module 'mein' in .* or among the installed packages"):
        import_object("mein:parts")
    with pytest.raises(ValueError, match=rf"there is no module '{module}.parts'"):
        import_object(f"{module}.parts:a")
    with pytest.raises(ValueError, match=rf"module '{module}' \(.*{module}.py\) has no 'partz'"):
        import_object(f"{module}:partz")


def test_a_module_that_needs_a_missing_one_tells_which(module):
    Path("needy.py").write_text("import absent_package")
    with pytest.raises(ModuleNotFoundError, match=r"module 'needy' cannot be imported: .* 'absent_package'"):
        import_object("needy:x")


def test_parts_are_a_mapping_or_what_a_function_returns(module):
    links = import_object(f"{module}:links")
    assert load_parts([f"{module}:links"]) == load_parts([f"{module}:make"]) == links
    assert load_parts(None) == {}


def test_parts_of_another_form_or_given_twice_are_refused(module):
    with pytest.raises(ValueError, match=r"must be a mapping of part names to parts, .* got int"):
        load_parts([f"{module}:number"])
    with pytest.raises(ValueError, match="got NoneType from the call"):
        load_parts([f"{module}:nothing"])
    with pytest.raises(ValueError, match=f"--parts {module}:links and --parts {module}:both both have a part 'links'"):
        load_parts([f"{module}:links", f"{module}:both"])


def test_own_parts_and_policies_are_compared_and_recorded(module):
    own = f"{module}:nearest"
    result = run_compare("--parts", f"{module}:links", "--json", "-", policies=f"nearest-fedavg,{own}")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert list(summary["policies"]) == ["nearest-fedavg", own]
    links = {"name": f"{module}:Slow", "kind": "ideal", "rate_bps": 1e6, "transmit_power_w": 2.0}
    assert summary["parts"] == {"links": links}
    energies = [policy["energy_j"]["mean"] for policy in summary["policies"].values()]
    assert energies[0] == energies[1]
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["parts"] == {"links": links}
    assert manifest["own"] == {own: own}
    record = json.loads(Path("out/run.json").read_text())
    assert (record["own"], record["parts"]) == ({own: own}, {"links": links})
    assert {file.name for file in Path("out/runs").iterdir()} == {"nearest-fedavg-0.json", f"{module}%3Anearest-0.json"}

    plain = json.loads(run_compare("--json", "-", out="plain").stdout)
    assert plain["parts"] == {}
    assert plain["policies"]["nearest-fedavg"]["energy_j"]["mean"] != energies[0]


def test_a_folder_refuses_other_parts(module):
    assert run_compare().exit_code == 0
    refused(run_compare("--parts", f"{module}:links"), f"parts.links.name is None there and '{module}:Slow' here")
    assert run_compare("--parts", f"{module}:links", out="own").exit_code == 0
    refused(run_compare(out="own"), f"parts.links.name is '{module}:Slow' there and None here")


def test_workers_play_with_the_same_parts(module):
    own = f"{module}:nearest"
    for out, workers in (("one", "1"), ("two", "2")):
        result = run_compare("--parts", f"{module}:links", "--workers", workers, out=out, policies=own)
        assert result.exit_code == 0, result.output
    assert Path("two/curves.csv").read_bytes() == Path("one/curves.csv").read_bytes()


def test_what_cannot_be_pickled_for_workers_is_named(module):
    result = run_compare("--parts", f"{module}:bound", "--workers", "2")
    refused(result, "part 'combine'", f"{module}:<lambda>", "cannot be pickled for worker processes", "one worker")


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ("{module}:number", ("must be a function NetworkState -> Decision", "got 3")),
        ("{module}:absent", ("has no 'absent'",)),
        ("full,nobody:policy", ("there is no module 'nobody'",)),
        ("full,randm", ("did you mean 'random'",)),
    ],
)
def test_policies_that_are_none_leave_no_folder(module, policies, words):
    refused(run_compare(policies=policies.format(module=module)), *words)
    assert not Path("out").exists()


def test_a_policys_name_stands_for_one_function(tmp_path):
    scenario = physics_only(1)

    def one(state):
        return make_policy("full")(state)

    def other(state):
        return make_policy("random")(state)

    compare(scenario, ["mine"], [0], tmp_path, own={"mine": one})
    with pytest.raises(ValueError, match=r"own\.mine is '.* there and '.* here"):
        compare(scenario, ["mine"], [0], tmp_path, own={"mine": other})
    compare(scenario, ["full"], [0], tmp_path)
    kept = json.loads((tmp_path / "manifest.json").read_text())["own"]
    assert list(kept) == ["mine"]
