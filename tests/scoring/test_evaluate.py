from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.benchmarks import base
from harness.benchmarks.base import Benchmark
from harness.benchmarks.prove import fooled, prove
from harness.benchmarks.registry import load
from harness.errors import ConfigError, DataError, SandboxError
from harness.sandbox import Limits, Program, Sandbox
from harness.scoring import evaluate as evaluation
from harness.scoring import samples as files
from harness.scoring.evaluate import Evaluation, Judge, Progress, evaluate
from harness.scoring.score import score
from harness.settings.config import Judging, Run, World
from harness.store.rows import read_rows
from harness.types import Check, Problem, Status, Verdict


def problem(name: str) -> Problem:
    return Problem(name, 'def f(x):\n    """Do it."""\n', "f", (Check((1,), 2),), "    return x + 1\n")


BENCHMARK = base.build(
    "b", 1, tuple(map(problem, ("B/0", "B/1"))), style="completion", rule="strict", max_new_tokens=10
)


def scored(
    path: Path,
    judge: Judge,
    benchmark: Benchmark = BENCHMARK,
    k: tuple[int, ...] = (1, 10, 100),
    *,
    allow_missing: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Check and evaluate one file, as `harness eval` does, without its sandbox and proofs."""
    [samples] = files.found_at(path)
    counted = files.check(samples, {one.id: one for one in benchmark.problems}, allow_missing=allow_missing)
    as_it_stands = replace(benchmark, extractor="none")
    return evaluate(samples, as_it_stands, judge, k, counted, protocol={"extractor": "none"}, progress=progress)


class FakeJudge:
    """Judges by words in the program, the last first, as a sandbox may; keeps what it was given."""

    level = "fake"

    def __init__(self) -> None:
        self.seen: list[Program] = []

    def judge(self, programs: Iterable[Program], /) -> Iterator[tuple[int, Verdict]]:
        self.seen = list(programs)
        for at, program in reversed(list(enumerate(self.seen))):
            words: dict[str, Status] = {"good": "passed", "slow": "timeout", "broken": "infrastructure"}
            status = next((status for word, status in words.items() if word in program.source), "wrong")
            yield at, Verdict(status, "" if status == "passed" else "told why", None, 0, 1, float(at), 0.0, 0, "fake")


def sample(name: str, completion: str, **more: Any) -> dict[str, Any]:
    return {"task_id": name, "completion": completion, **more}


def write(path: Path, *rows: dict[str, Any] | str | bytes) -> Path:
    texts = [row if isinstance(row, str | bytes) else json.dumps(row) for row in rows]
    lines = [text.encode() if isinstance(text, str) else text for text in texts]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "samples.jsonl"


# --- scores and results -------------------------------------------------------------------------------------------


def test_results_keep_lines_and_order_and_add_the_verdict(path: Path) -> None:
    rows = [sample("B/1", "bad", mine=[1]), sample("B/0", "good"), sample("B/1", "slow")]
    found = scored(write(path, *rows), FakeJudge())
    assert found.results == Path(f"{path}_results.jsonl")
    assert results(found.results) == [
        {**rows[0], "result": "failed: told why", "passed": False},
        {**rows[1], "result": "passed", "passed": True},
        {**rows[2], "result": "timed out", "passed": False},
    ]


def test_pass_at_k_is_the_mean_over_problems(path: Path) -> None:
    rows = [sample("B/0", f"{word} {n}") for n, word in enumerate(["good", "bad", "bad", "bad"])]
    found = scored(write(path, *rows, *[sample("B/1", "good")] * 2), FakeJudge(), k=(1, 2, 3))
    assert found.pass_at_k[1].value == pytest.approx((1 / 4 + 1) / 2)
    assert found.pass_at_k[2].value == pytest.approx((1 / 2 + 1) / 2)
    assert found.pass_at_k[1].low < found.pass_at_k[1].value < found.pass_at_k[1].high
    assert set(found.without) == {3} and "2 samples" in found.without[3]
    assert found.correct == {"B/0": (1, 4), "B/1": (2, 2)}


def test_statuses_count_samples_and_the_slowest_come_first(path: Path) -> None:
    found = scored(write(path, *[sample("B/0", "slow")] * 2, sample("B/1", "bad")), FakeJudge())
    assert found.statuses == {"timeout": 2, "wrong": 1}
    assert [(one.problem_id, one.place) for one in found.slowest] == [
        ("B/1", f"{path}:3"),
        ("B/0", f"{path}:2"),
        ("B/0", f"{path}:1"),
    ]


def test_a_whole_program_counts_where_a_line_holds_both(path: Path) -> None:
    judge = FakeJudge()
    row = {"task_id": "B/0", "solution": "def f(x):\n    return 'good'\n", "completion": "bad"}
    found = scored(write(path, row, sample("B/1", "good")), judge)
    assert found.correct["B/0"] == (1, 1)
    compile(judge.seen[0].source, "program", "exec")


def test_packed_files_are_read_whatever_their_name(path: Path) -> None:
    path.write_bytes(gzip.compress(json.dumps(sample("B/0", "good")).encode() + b"\n\n"))
    found = scored(path, FakeJudge(), allow_missing=True)
    assert found.samples == 1 and found.missing == ("B/1",) and found.pass_at_k[1].n == 1


def test_lone_surrogates_in_a_completion_are_kept(path: Path) -> None:
    write(path, '{"task_id": "B/0", "completion": "good \\ud800"}', sample("B/1", "bad"))
    found = scored(path, FakeJudge())
    assert results(found.results)[0]["completion"] == "good \ud800"


def test_progress_ends_at_all(path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write(path, sample("B/0", "good"), sample("B/1", "bad"))
    scored(path, FakeJudge(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


# --- what a bad file gets -----------------------------------------------------------------------------------------


def refused(path: Path, allow_missing: bool = True) -> str:
    """Return the error that the file gets, having seen that nothing was written."""
    before = sorted(path.parent.iterdir())
    with pytest.raises(DataError) as caught:
        scored(path, FakeJudge(), allow_missing=allow_missing)
    assert sorted(path.parent.iterdir()) == before
    return str(caught.value)


def test_all_bad_lines_are_told_with_their_numbers(path: Path) -> None:
    bad: list[dict[str, Any] | str | bytes] = [
        "{",
        b'{"task_id": "B/0", "completion": "\xff"}',
        "[1]",
        {"task_id": "B/0"},
        {"taskid": "B/0", "completion": ""},
        sample("B/O", ""),
        {"task_id": "B/0", "completion": 3},
    ]
    told = refused(write(path, sample("B/0", "good"), *bad)).splitlines()
    assert [line.removeprefix(f"{path}:").partition(":")[0] for line in told] == [str(n) for n in range(2, 9)]
    wanted = ["not JSON", "not UTF-8", "found a list", "no completion", "no task_id (did you mean taskid?)"]
    wanted += ["not in the benchmark (did you mean B/", "completion is int"]
    assert all(part in line for part, line in zip(wanted, told, strict=True)), told


def test_more_than_ten_bad_lines_are_counted(path: Path) -> None:
    told = refused(write(path, *["{"] * 13)).splitlines()
    assert len(told) == 11 and told[-1] == "and 3 more lines"


def test_missing_problems_are_an_error_unless_allowed(path: Path) -> None:
    write(path, sample("B/0", "good"))
    assert "1 of 2 problems have no sample (B/1)" in refused(path, allow_missing=False)
    assert scored(path, FakeJudge(), allow_missing=True).pass_at_k[1].value == 1.0


def test_an_empty_file_is_an_error(path: Path) -> None:
    assert "no samples" in refused(write(path, ""))


def test_a_missing_file_names_the_nearest(path: Path) -> None:
    write(path)
    assert "did you mean samples.jsonl?" in refused(path.with_name("sample.jsonl"))


def test_a_truncated_gzip_is_an_error(path: Path) -> None:
    rows = "".join(json.dumps(sample("B/0", f"good {number}")) + "\n" for number in range(1000))
    path.write_bytes(gzip.compress(rows.encode())[:-20])
    assert "cut off" in refused(path)


def test_a_program_that_could_not_be_judged_stops_the_score(path: Path) -> None:
    write(path, sample("B/0", "good"), sample("B/1", "broken"))
    with pytest.raises(SandboxError, match=r"samples\.jsonl:2 \(B/1\): .*\(told why\)"):
        scored(path, FakeJudge())
    assert [one.name for one in path.parent.iterdir()] == ["samples.jsonl"]


def test_a_failed_run_leaves_older_results_alone(path: Path) -> None:
    write(path, sample("B/0", "good"), sample("B/1", "bad"))
    older = scored(path, FakeJudge()).results.read_bytes()
    write(path, sample("B/0", "broken"), sample("B/1", "bad"))
    with pytest.raises(SandboxError):
        scored(path, FakeJudge())
    assert Path(f"{path}_results.jsonl").read_bytes() == older


def test_a_file_that_grows_meanwhile_is_refused(path: Path) -> None:
    write(path, sample("B/0", "good"), sample("B/1", "bad"))

    class Growing(FakeJudge):
        def judge(self, programs: Iterable[Program], /) -> Iterator[tuple[int, Verdict]]:
            yield from super().judge(programs)
            write(path, *[sample("B/0", "good")] * 5)

    with pytest.raises(DataError, match="changed while it was judged"):
        scored(path, Growing())


@pytest.mark.parametrize("k", [(), (0,), (1, -1)])
def test_a_k_below_one_is_an_error(path: Path, k: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="k="):
        scored(write(path, sample("B/0", "good")), FakeJudge(), k=k, allow_missing=True)


# --- with the sandbox ---------------------------------------------------------------------------------------------


def test_references_pass_and_wrong_ones_are_named() -> None:
    wrong = Problem("B/2", 'def f(x):\n    """Do it."""\n', "f", (Check((1,), 2),), "    return x\n")
    bench = base.build("b", 1, (*BENCHMARK.problems, wrong), style="completion", rule="strict", max_new_tokens=10)
    with Sandbox(limits=Limits(cpu_s=2)) as sandbox:
        assert [(name, verdict.status) for name, verdict in prove(bench, sandbox)] == [("B/2", "wrong")]


def test_humaneval_references_score_one_through_a_file(path: Path) -> None:
    bench = load("humaneval")
    write(path, *(sample(one.id, one.reference) for one in bench.problems))
    with Sandbox(workers=2, limits=Limits(cpu_s=10)) as sandbox:
        found = scored(path, sandbox, bench, k=(1,))
    assert found.pass_at_k[1].value == 1.0 and found.statuses == {"passed": 164} and found.in_process == 0


def run(**more: Any) -> Run:
    return Run(benchmark=("pipelines",), workers=1, sandbox=Judging(cpu_s=2), world=World(test=8), **more)


def test_a_score_names_its_conditions_and_stands_in_a_row_of_ours(path: Path) -> None:
    bench = load("pipelines", size=8)
    write(path, *(sample(one.id, one.reference) for one in bench.problems))
    [found] = score(files.found_at(path), run(), ("none",))
    assert (found.benchmark, found.digest, found.protocol["rule"]) == ("pipelines", bench.digest, "strict")
    assert found.row is not None
    [row] = read_rows(found.row)
    assert row.correct == (1,) * 8 and row.protocol == found.protocol and row.benchmark_hash == bench.digest


def test_problems_with_unequal_numbers_of_samples_make_no_row(path: Path) -> None:
    bench = load("pipelines", size=8)
    rows = [sample(one.id, one.reference) for one in bench.problems]
    [found] = score(files.found_at(write(path, *rows, rows[0])), run(), ("none",))
    assert found.row is None and found.samples == 9


def test_samples_answer_one_benchmark(path: Path) -> None:
    two = replace(run(), benchmark=("pipelines", "humaneval"))
    with pytest.raises(ConfigError, match="one benchmark"):
        score(files.found_at(write(path, sample("B/0", ""))), two, ("none",))


def test_each_extractor_gets_results_of_its_own(path: Path) -> None:
    bench = load("pipelines", size=8)
    fenced = [f"Sure!\n```python\n{one.prompt}{one.reference}```\nDone." for one in bench.problems]
    write(path, *(sample(one.id, text) for one, text in zip(bench.problems, fenced, strict=True)))
    none, auto, last = score(files.found_at(path), run(), ("none", "auto", "last-block"))
    assert [one.pass_at_k[1].value for one in (none, auto, last)] == [0.0, 1.0, 1.0]
    assert len({one.results for one in (none, auto, last)}) == 3


def test_programs_known_to_be_bad_all_fail_where_an_answer_counts() -> None:
    takes_anything = replace(problem("B/2"), checks=(Check((1,), 2, "anything"),))
    with Sandbox(limits=Limits(cpu_s=2)) as sandbox:
        assert fooled(replace(BENCHMARK, problems=(*BENCHMARK.problems, takes_anything)), sandbox) == []
        half = replace(problem("B/3"), checks=(Check((1,), False, "given"),))
        assert fooled(replace(BENCHMARK, problems=(half,)), sandbox) == [("B/3", "nothing returned")]


# --- resume and memory ---------------------------------------------------------------------------------------------


class Dying(FakeJudge):
    """Judges in order and is interrupted at a number of programs."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def judge(self, programs: Iterable[Program], /) -> Iterator[tuple[int, Verdict]]:
        for number, program in enumerate(programs):
            if len(self.seen) == self.at:
                raise KeyboardInterrupt
            self.seen.append(program)
            yield number, Verdict("passed", "", None, 1, 1, 0.0, 0.0, 0, "fake")


def test_a_killed_evaluation_goes_on_where_it_stopped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "CHUNK", 4)
    write(path, *[sample(f"B/{n % 2}", f"good {n}") for n in range(20)])
    with pytest.raises(KeyboardInterrupt):
        scored(path, Dying(10))
    rest = Dying(99)
    found = scored(path, rest)
    assert len(rest.seen) == 12  # two chunks of four were kept
    assert found.samples == 20 and found.statuses == {"passed": 20}
    assert not list(path.parent.glob("*partial"))


def test_what_was_judged_under_other_conditions_is_judged_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "CHUNK", 4)
    write(path, *[sample(f"B/{n % 2}", f"good {n}") for n in range(20)])
    with pytest.raises(KeyboardInterrupt):
        scored(path, Dying(10))
    rest = Dying(99)
    scored(path, rest, replace(BENCHMARK, digest="another"))
    assert len(rest.seen) == 20


def test_what_was_judged_beside_another_numpy_is_judged_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "CHUNK", 4)
    write(path, *[sample(f"B/{n % 2}", f"good {n}") for n in range(20)])
    with pytest.raises(KeyboardInterrupt):
        scored(path, Dying(10))
    monkeypatch.setattr(evaluation, "version_of", lambda package: {package: "0.1"})
    rest = Dying(99)
    scored(path, rest)
    assert len(rest.seen) == 20


def test_memory_does_not_grow_with_the_number_of_samples(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "CHUNK", 64)

    class Forgetful(FakeJudge):
        def judge(self, programs: Iterable[Program], /) -> Iterator[tuple[int, Verdict]]:
            for number, _ in enumerate(programs):
                yield number, Verdict("passed", "", None, 1, 1, 0.0, 0.0, 0, "fake")

    def peak(count: int) -> int:
        write(path, *(sample(f"B/{n % 2}", f"{n}" * 500) for n in range(count)))
        tracemalloc.start()
        scored(path, Forgetful(), k=(1,))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    first = peak(2000)  # what is made once is made here
    assert peak(4000) < 1.2 * first
