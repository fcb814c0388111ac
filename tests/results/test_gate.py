"""A run held against a stored baseline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.cli import main
from harness.errors import ConfigError, DataError
from harness.results import baseline, gate
from harness.results.gate import Rules
from harness.types import Row
from reports import verdict
from tests.reports.folders import write_run
from tests.reports.rows import row

N = 200
GOOD = [1] * 120 + [0] * 80
SAME = GOOD
WORSE = [0] * 20 + [1] * 100 + [0] * 80
UNSURE = [0] * 8 + [1] * 112 + [1] * 5 + [0] * 75
BASE = row("untrained", [0] * N)


def trained(correct: Sequence[int], benchmark: str = "pipelines") -> Row:
    return row("iterkd", correct, seed=0, cycle=1, benchmark=benchmark)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    run = write_run(tmp_path / "old", [BASE, trained(GOOD)])
    baseline.write(baseline.of_run(run), tmp_path / "base.json")
    return tmp_path / "base.json"


def command(run: Path, stored: Path, *more: str) -> int:
    return main(["gate", str(run), "--baseline", str(stored), *more])


@pytest.mark.parametrize(("correct", "code"), [(SAME, 0), (WORSE, 1), (UNSURE, 3)])
def test_exit_code_says_passed_regressed_or_inconclusive(
    tmp_path: Path, stored: Path, correct: list[int], code: int
) -> None:
    assert command(write_run(tmp_path / "new", [BASE, trained(correct)]), stored) == code


def test_inconclusive_says_what_would_decide(tmp_path: Path, stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(write_run(tmp_path / "new", [BASE, trained(UNSURE)]), stored)
    told = " ".join(capsys.readouterr().out.split())
    assert "gate: INCONCLUSIVE" in told and "What would decide it" in told and "problems (now 200)" in told


def test_regression_names_the_flipped_problems(tmp_path: Path, stored: Path) -> None:
    run = write_run(tmp_path / "new", [BASE, trained(WORSE)])
    [found] = gate.check(run, Rules(baseline=str(stored))).benchmarks
    assert {flip.problem for flip in found.lost} == {f"pipelines/{at}" for at in range(20)}
    assert found.lost[0].reason == "wrong: a call returned a wrong value" and found.gained == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"benchmark_hash": "f" * 64}, "benchmark changed: data 0123456789ab → ffffffffffff"),
        ({"protocol": BASE.protocol | {"decoding": "T=0.8"}}, "decoding changed: decoding greedy → T=0.8"),
        ({"protocol": BASE.protocol | {"isolation": "process-only"}}, "judge changed: isolation full → process-only"),
        ({"protocol": BASE.protocol | {"extractor": "v2"}}, "prompt changed: extractor v1 → v2"),
        ({"protocol": BASE.protocol | {"new": "1"}}, "judge changed: new not stated → 1"),
    ],
)
def test_what_was_measured_otherwise_is_refused_and_named(
    tmp_path: Path, stored: Path, change: dict[str, object], told: str
) -> None:
    rows = [replace(one, **change) for one in (BASE, trained(SAME))]  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match=told):
        gate.check(write_run(tmp_path / "new", rows), Rules(baseline=str(stored)))


def test_refusal_is_exit_code_two(tmp_path: Path, stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "new", [replace(one, benchmark_hash="f" * 64) for one in (BASE, trained(SAME))])
    assert command(run, stored) == 2
    assert "nothing is compared" in capsys.readouterr().err


def test_a_benchmark_that_the_run_lacks_is_refused(tmp_path: Path, stored: Path) -> None:
    run = write_run(tmp_path / "new", [row("untrained", [0], benchmark="x"), trained([1], "x")])
    with pytest.raises(DataError, match="pipelines: the run was not evaluated on it, only on x"):
        gate.check(run, Rules(baseline=str(stored)))


def two_benchmarks(folder: Path, one: Sequence[int], other: Sequence[int]) -> Path:
    bases = [row("untrained", [0] * N, benchmark=name) for name in ("a", "b")]
    return write_run(folder, [*bases, trained(one, "a"), trained(other, "b")])


@pytest.mark.parametrize(
    ("one", "other", "whole"),
    [(SAME, SAME, "passed"), (SAME, WORSE, "regressed"), (SAME, UNSURE, "inconclusive"), (UNSURE, WORSE, "regressed")],
)
def test_whole_passes_only_where_every_benchmark_does(
    tmp_path: Path, one: list[int], other: list[int], whole: str
) -> None:
    baseline.write(baseline.of_run(two_benchmarks(tmp_path / "old", GOOD, GOOD)), tmp_path / "b.json")
    found = gate.check(two_benchmarks(tmp_path / "new", one, other), Rules(baseline=str(tmp_path / "b.json")))
    assert found.verdict == whole


def test_regression_is_adjusted_for_the_number_of_benchmarks(tmp_path: Path) -> None:
    slight = [0] * 9 + [1] * 111 + [1] * 2 + [0] * 78  # p about .017 alone
    baseline.write(baseline.of_run(two_benchmarks(tmp_path / "old", GOOD, GOOD)), tmp_path / "b.json")
    found = gate.check(two_benchmarks(tmp_path / "new", slight, SAME), Rules(baseline=str(tmp_path / "b.json")))
    assert found.benchmarks[0].p_worse == pytest.approx(2 * found.benchmarks[0].loss.p_worse)


def test_margin_of_a_single_benchmark(tmp_path: Path, stored: Path) -> None:
    run = write_run(tmp_path / "new", [BASE, trained(WORSE)])
    assert gate.check(run, Rules(baseline=str(stored), margins={"pipelines": 0.2})).verdict == "passed"
    with pytest.raises(ConfigError, match=r"margins\.pipeline: .*did you mean pipelines"):
        gate.check(run, Rules(baseline=str(stored), margins={"pipeline": 0.2}))


def test_rules_come_from_pyproject_and_the_command_line_goes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.harness.gate]\nbaseline = "q.json"\nmargin = 0.05\n')
    monkeypatch.chdir(tmp_path)
    assert gate.read_rules(None) == Rules(baseline="q.json", margin=0.05)
    assert gate.read_rules(None, margin=0.01, baseline=Path("r.json")) == Rules(baseline="r.json", margin=0.01)


def test_rules_may_stand_in_a_yaml_file(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("baseline: q.json\nmargins: {humaneval: 0.03}\n")
    assert gate.read_rules(tmp_path / "gate.yaml").margins == {"humaneval": 0.03}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("margn: 0.02\nbaseline: x", r"margn: no such key \(did you mean margin\?\)"),
        ("margin: 2\nbaseline: x", "margin=2: expected a share above 0 and below 1"),
        ("margin: .nan\nbaseline: x", "margin=nan: expected a share"),
        ("margin: 0.02", "baseline: none given"),
        ("margins: 3\nbaseline: x", "margins=3: expected a table"),
    ],
)
def test_bad_rules_are_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "gate.yaml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        gate.read_rules(tmp_path / "gate.yaml")


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "\x00"])
def test_rules_that_are_no_table_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "gate.yaml").write_text(text)
    with pytest.raises(DataError, match=r"gate\.yaml"):
        gate.read_rules(tmp_path / "gate.yaml")


def test_baseline_of_equal_results_has_equal_bytes_and_reads_back(tmp_path: Path, stored: Path) -> None:
    results = baseline.of_run(tmp_path / "old", ["recipe=iterkd"])
    baseline.write(results, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == stored.read_bytes()
    assert replace(results, reasons={}) == baseline.read(stored)


def test_one_changed_problem_changes_two_lines_of_a_baseline(tmp_path: Path, stored: Path) -> None:
    changed = write_run(tmp_path / "new", [BASE, trained([0, *GOOD[1:]])])
    baseline.write(baseline.of_run(changed), tmp_path / "new.json")
    pairs = zip(stored.read_text().splitlines(), (tmp_path / "new.json").read_text().splitlines(), strict=True)
    assert sum(a != b for a, b in pairs) == 2  # the problem's, and the digest's


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (('"version": 1', '"version": 9'), "a baseline of version 9, this harness reads up to 1"),
        (('"pipelines/0": 1', '"pipelines/0": 0'), "damaged or edited by hand"),
        (("{", "["), "not a baseline"),
        (('"version": 1,', ""), "not a baseline: no version"),
    ],
)
def test_damaged_edited_or_newer_baselines_are_refused(stored: Path, edit: tuple[str, str], told: str) -> None:
    stored.write_text(stored.read_text().replace(*edit, 1))
    with pytest.raises(DataError, match=told):
        baseline.read(stored)


def test_missing_baseline_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no baseline here.*harness baseline RUN --to"):
        baseline.read(tmp_path / "none.json")


def test_a_run_of_several_students_must_be_told_which(tmp_path: Path) -> None:
    rows = [BASE, trained(GOOD), replace(trained(GOOD), recipe="persd", weights="p")]
    run = write_run(tmp_path / "two", rows)
    with pytest.raises(ConfigError, match=r"holds iterkd, persd\. Say which"):
        baseline.of_run(run)
    assert baseline.of_run(run, ["recipe=persd"]).name == "persd"


def test_of_several_recipes_the_baselines_is_gated(tmp_path: Path, stored: Path) -> None:
    rows = [BASE, trained(GOOD), replace(trained(GOOD), recipe="persd", weights="p")]
    found = gate.check(write_run(tmp_path / "two", rows), Rules(baseline=str(stored)))
    assert found.candidate.startswith("iterkd")
    assert gate.check(tmp_path / "two", Rules(baseline=str(stored)), ["recipe=persd"]).candidate.startswith("persd")


def test_junit_fails_a_regression_and_skips_what_is_inconclusive(tmp_path: Path) -> None:
    baseline.write(baseline.of_run(two_benchmarks(tmp_path / "old", GOOD, GOOD)), tmp_path / "b.json")
    run = two_benchmarks(tmp_path / "new", WORSE, UNSURE)
    assert command(run, tmp_path / "b.json", "--junit", str(tmp_path / "gate.xml")) == 1
    suite = ElementTree.parse(tmp_path / "gate.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None and "lost: a/19 1/1 -> 0/1 wrong" in (failure.text or "")


def test_summary_is_appended_and_annotations_are_printed(
    tmp_path: Path, stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "summary.md").write_text("before\n")
    run = write_run(tmp_path / "new", [BASE, trained(WORSE)])
    command(run, stored, "--summary", str(tmp_path / "summary.md"), "--annotations")
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("before\n## Quality gate: regressed") and "20 problems lost" in text
    assert "::error title=pipelines regressed::worse by 2 points" in capsys.readouterr().out


def test_hostile_names_stay_text_in_every_form() -> None:
    evil = "a]]>\x00<script>|\n::error::x\ud800"
    flip = verdict.Flip(evil, "1/1", "0/1", evil)
    loss = gate.noninferiority.measure(WORSE, GOOD, (1, 1), 0.02)
    one = verdict.Gated(evil, "regressed", loss, 0.0, 0.02, None, (1, 1), (flip,), ())
    found = verdict.Gate("regressed", (one,), evil, evil, 0.05)
    assert "<script>" not in verdict.markdown(found)
    assert ElementTree.fromstring(verdict.junit(found).encode()).find("testcase") is not None
    assert all("\n" not in line for line in verdict.workflow_commands(found))
    assert not any(line.startswith("::") for line in verdict.terminal(found))


def test_output_that_cannot_be_written_is_told(
    tmp_path: Path, stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "new", [BASE, trained(SAME)])
    assert command(run, stored, "--junit", str(tmp_path / "no" / "gate.xml")) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_baseline_holds_what_is_refused_on(stored: Path) -> None:
    content = json.loads(stored.read_text())
    assert set(content["benchmarks"]["pipelines"]["hashes"]) == {"benchmark", "prompt", "judge", "decoding"}


def test_families_of_problems_count_once_at_the_gate(tmp_path: Path, stored: Path) -> None:
    lost = [0] * 20 + GOOD[20:]  # of one family, so it may be that family's doing
    families = tuple("one" if at < 40 else str(at) for at in range(N))
    run = write_run(tmp_path / "new", [BASE, trained(lost)])
    in_families = write_run(
        tmp_path / "families", [replace(BASE, families=families), replace(trained(lost), families=families)]
    )
    assert (command(run, stored), command(in_families, stored)) == (1, 3)
    baseline.write(baseline.of_run(in_families), tmp_path / "again.json")
    assert "families" not in (tmp_path / "again.json").read_text()
