"""A preset of several comparisons: its parts as commands, what may be typed beside it, what is written down before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.comparison.parts import begun, parts_of, read_parts
from harness.errors import ConfigError, StoreError
from harness.settings.resolve import resolve

PRESET = {
    "common": "seed=0,1 cycles=2",
    "parts": {
        "code": {"under": "equal updates", "words": "recipe=stand,uniform budget.updates=5"},
        "text": {"under": "equal updates", "words": "recipe=cl-none,cl-hyb problems=tinypy benchmark=tinypy-execution"},
    },
    "claims": [],
}


@pytest.fixture(autouse=True)
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the preset above stand in a file of the folder at hand."""
    monkeypatch.chdir(tmp_path)
    Path("pair.yaml").write_text(json.dumps(PRESET))


def test_each_part_is_a_command_of_its_own_below_one_folder() -> None:
    found = parts_of(["preset=pair.yaml", "run=here"])
    assert found is not None
    assert [one.folder() for one in found.commands.values()] == ["here/code", "here/text"]
    assert [cell.name for cell in found.commands["code"].cells] == [
        "stand seed=0",
        "stand seed=1",
        "uniform seed=0",
        "uniform seed=1",
    ]
    code = found.commands["code"]
    assert resolve(code.words) == code  # as its run folder tells it


def test_what_is_typed_beside_the_preset_holds_for_every_part() -> None:
    found = parts_of(["preset=pair.yaml", "budget.updates=3", "seed=4,5"])
    assert found is not None
    assert {(one.run.budget.updates, one.run.seed) for one in found.commands.values()} == {(3, (4, 5))}


def test_a_recipes_own_key_goes_to_the_parts_that_run_it() -> None:
    found = parts_of(["preset=pair.yaml", "cl-hyb.rho=0.5"])
    assert found is not None
    assert [cell.config["rho"] for cell in found.commands["text"].cells if cell.recipe == "cl-hyb"] == [0.5, 0.5]


def test_the_folder_is_named_after_the_preset_and_all_that_decides_the_results() -> None:
    one, same, other = (parts_of(["preset=pair.yaml", *words]) for words in ([], ["jobs=1"], ["cycles=3"]))
    assert one is not None and same is not None and other is not None
    assert one.folder == same.folder != other.folder
    assert str(one.folder).startswith("runs/pair-")


def test_any_other_preset_has_no_parts() -> None:
    assert parts_of(["recipe=stand", "preset=smoke"]) is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["recipe=stand"], "recipe: preset=pair.yaml states it"),
        (["benchmark=humaneval"], "benchmark: preset=pair.yaml states it"),
        (["budget.updates=0"], "budget.updates=0: expected"),
        (["seed=0", "seed=1"], "seed: given twice"),
        (["iterkd.margin=0.1"], "iterkd.margin: no such key"),
    ],
)
def test_words_that_no_part_can_bear_are_errors_told_once(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parts_of(["preset=pair.yaml", *words])
    assert [told in one for one in caught.value.problems].count(True) == 1


def test_commands_of_one_comparison_refuse_such_a_preset() -> None:
    with pytest.raises(ConfigError, match="several comparisons"):
        resolve(["preset=pair.yaml"])


def test_parts_and_claims_are_written_down_and_read_again(tmp_path: Path) -> None:
    found = parts_of(["preset=pair.yaml", f"run={tmp_path}"])
    assert found is not None
    found.write()
    (tmp_path / "text").mkdir()
    assert read_parts(tmp_path)["parts"] == {"code": "equal updates", "text": "equal updates"}
    assert begun(tmp_path) == [tmp_path / "text"]
    assert begun(tmp_path / "text") == [tmp_path / "text"]  # any other folder is a run of its own


def test_a_damaged_file_of_parts_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "parts.json").write_text('{"command": ')
    with pytest.raises(StoreError, match=r"parts\.json: damaged"):
        read_parts(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"parts": []}, "expected a mapping of names"),
        ({"parts": {"one": {"words": "recipe=stand"}}}, "part one: expected `under`"),
        ({"parts": {"one": {"under": "x", "words": "seed=0"}}}, "recipe="),
        ({"claim": []}, "claim: no such key beside parts"),
    ],
)
def test_a_preset_that_is_laid_out_otherwise_is_an_error(change: dict[str, object], told: str) -> None:
    Path("other.yaml").write_text(json.dumps({**PRESET, **change}))
    with pytest.raises(ConfigError, match=told):
        parts_of(["preset=other.yaml"])


@pytest.mark.parametrize(
    ("text", "told"),
    [(None, "cannot be read.*No such file"), ("a: [1", "cannot be read"), ("- 1", "found list, expected a mapping")],
)
def test_a_file_that_holds_no_preset_is_an_error(text: str | None, told: str) -> None:
    if text is not None:
        Path("bad.yaml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        resolve(["preset=bad.yaml", "recipe=stand"])


def test_a_file_of_keys_is_a_preset_like_ours() -> None:
    Path("own.yaml").write_text("cycles: 2\nbudget: {updates: 7}\n")
    found = resolve(["preset=own.yaml", "recipe=stand"]).run
    assert (found.cycles, found.budget.updates) == (2, 7)
