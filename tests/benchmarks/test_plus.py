"""HumanEval+ and MBPP+: their data, the arguments made of it, the values expected, and the verdicts that follow."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.benchmarks import humaneval_plus, mbpp_plus, plus, truths
from harness.benchmarks.registry import load
from harness.benchmarks.truths import Question, Truth
from harness.errors import DataError, HarnessError
from harness.sandbox import Program, Sandbox
from harness.sandbox.digests import digest_of
from harness.steps.engine import program_of
from harness.types import Check, Problem
from tests.needs import data_folder

ROW = {"task_id": "Mbpp/1", "prompt": "", "entry_point": "f", "canonical_solution": "def f(x): return x", "atol": 0}


@pytest.fixture(autouse=True)
def own_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give a quick test a cache of its own; the slow ones share the user's, or each would compute for a minute."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, release: plus.Release, numbers: set[str]) -> Path:
    """Return a data folder whose release holds some problems only."""
    _, whole = plus.rows("test", release, data_folder())
    text = "".join(json.dumps(row) + "\n" for row in whole if row["task_id"].partition("/")[2] in numbers)
    (tmp_path / "evalplus").mkdir()
    (tmp_path / release.names[0]).write_bytes(gzip.compress(text.encode()))
    monkeypatch.setattr(plus, "pinned", lambda expected, found: True)
    return tmp_path


def statuses(problem: Problem, *sources: str) -> list[str]:
    """Return the verdicts on whole programs for a problem."""
    with Sandbox() as sandbox:
        programs = [Program(one, problem.entry_point, problem.checks) for one in sources]
        return [verdict.status for _, verdict in sorted(sandbox.judge(programs))]


# --- data ---------------------------------------------------------------------------------------------------------


def test_a_missing_release_tells_where_it_was_sought_and_where_it_is_published(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"HumanEvalPlus-v0\.1\.10\.jsonl\.gz.*HARNESS_DATA.*github.com/evalplus/humane"
    ):
        load("humaneval+", data=tmp_path)


@pytest.mark.parametrize("content", [b"{}\n", gzip.compress(b"{}\n", mtime=0)], ids=["plain", "gzip"])
def test_another_release_is_refused_with_both_hashes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "MbppPlus-v0.2.0.jsonl.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"has sha256 ca3d163b.*expects b54e762755248ca4"):
        load("mbpp+", data=tmp_path)


def test_a_release_that_was_cut_off_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "MbppPlus-v0.2.0.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 100)[:-9])
    with pytest.raises(DataError, match=r"MbppPlus-v0\.2\.0\.jsonl\.gz: the gzip data is damaged"):
        load("mbpp+", data=tmp_path)


# --- arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "found", "made"),
    [
        (1, [[1], [2]], [[1], [2]]),
        (2, [[1], [2]], [(1,), (2,)]),
        (63, [[[1], [2]]], [[(1,), (2,)]]),
        (75, [[[1]], 3], [[(1,)], 3]),
        (106, [[1], [2]], [[1], (2,)]),
        (115, [[[1, 1], [], {}]], [[{1}, {}, {}]]),
        (124, ["1.5", "2+1j"], [1.5, 2 + 1j]),
        (250, [[1], 2], [(1,), 2]),
        (259, [[[1], [2]]], [((1,), (2,))]),
        (278, [[1, [2, [3]]]], [(1, (2, [3]))]),
        (307, [[1], 2, 3], [(1,), 2, 3]),
        (722, [{"a": [1]}, 2, 3], [{"a": (1,)}, 2, 3]),
        (252, ["1j"], [1j]),
        (580, [[1, [2, [3]]]], [(1, (2, (3,)))]),
    ],
)
def test_arguments_get_the_types_that_json_lacks(number: int, found: list[object], made: list[object]) -> None:
    assert list(mbpp_plus.arguments(f"Mbpp/{number}")(found)) == made


def test_equal_inputs_are_called_once_in_their_first_order() -> None:
    row = {**ROW, "base_input": [[1], [2]], "plus_input": [[2], [1.0], [3]]}
    assert repr(plus.inputs_of(row, list)) == "((1,), (2,), (1.0,), (3,))"


def test_an_empty_list_of_inputs_may_be_an_object() -> None:
    assert plus.inputs_of({**ROW, "base_input": [[1]], "plus_input": {}}, list) == ((1,),)


# --- expected values ----------------------------------------------------------------------------------------------


def test_expected_values_are_what_the_reference_returns_and_inputs_stay_as_they_are() -> None:
    source = "def f(x):\n    print('lost')\n    x.append(1)\n    return x"
    [found], made = truths.truths("t", [Question(source, "f", (([],), ([5],)))])
    assert found == [Truth([1]), Truth([5, 1])] and len(made) == 64


def test_a_second_load_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [Question("def f(): return 1", "f", ((),))]
    first = truths.truths("t", questions)
    monkeypatch.setattr(truths, "ask", lambda questions: pytest.fail("asked again"))
    assert truths.truths("t", questions) == first


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:40] + b"!" + data[41:], lambda data: b""]
)
def test_a_damaged_cache_is_computed_anew(damage: object) -> None:
    questions = [Question("def f(): return 1", "f", ((),))]
    first = truths.truths("t", questions)
    [path] = truths.cache_folder().glob("*.truths")
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    assert truths.truths("t", questions) == first


def test_a_cache_that_cannot_be_written_costs_time_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file"))
    assert truths.truths("t", [Question("def f(): return 1", "f", ((),))])[0] == [[Truth(1)]]


def test_references_that_return_other_values_than_the_pinned_ones_are_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = few(monkeypatch, tmp_path, humaneval_plus.RELEASE, {"0"})
    monkeypatch.setattr(plus, "pinned", lambda expected, found: expected != humaneval_plus.RELEASE.truths)
    with pytest.raises(DataError, match=r"return here have sha256 [0-9a-f]{64}, this version expects 0cf56237"):
        humaneval_plus.problems(data)


def test_a_large_answer_is_kept_as_its_digest_but_not_one_of_floats() -> None:
    source = "def f(x): return [x] * 100_000"
    [found], _ = truths.truths("t", [Question(source, "f", ((1,), (0.5,)))])
    assert found[0] == Truth(digest_of([1] * 100_000), digest=True)
    assert not found[1].digest


def test_a_counter_is_kept_as_the_dict_that_it_is() -> None:
    source = "from collections import Counter\ndef f(x): return Counter(x)"
    [[found]], _ = truths.truths("t", [Question(source, "f", (("aab",),))])
    assert found == Truth({"a": 2, "b": 1})


def test_a_reference_that_fails_is_named() -> None:
    with pytest.raises(HarnessError, match=r"(?s)the references of f could not be run.*ZeroDivisionError"):
        truths.truths("t", [Question("def f(): return 1 / 0", "f", ((),))])


# --- rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "value", "expected", "rule"),
    [
        ("f", (1,), 2, 2, "evalplus"),
        ("find_char_long", (1,), [1], [1], "members"),
        ("check_str", (1,), True, True, "given"),
        ("are_equivalent", (1,), True, True, "anything"),
        ("find_zero", ([1, 2],), -0.5, [1, 2], "root"),
        ("sum_div", (6,), 12, [12, 0], "one-of"),
        ("surface_Area", (3, 4), 33, [33, 35], "one-of"),
        ("digit_distance_nums", (23, 156), 4, [4, 7], "one-of"),
    ],
)
def test_a_special_case_is_a_rule_and_a_value(
    name: str, args: tuple[int, ...], value: object, expected: object, rule: str
) -> None:
    assert plus.expectation({**ROW, "entry_point": name}, args, Truth(value)) == (expected, rule)  # type: ignore[arg-type]


def test_a_shown_example_is_visible_unless_its_value_is_another() -> None:
    shown = (Check((1,), 1), Check((2,), 3))
    found = plus.checks(ROW, ((1,), (2,), (3,)), (Truth(1), Truth(2), Truth(3)), shown)
    assert [one.visible for one in found] == [True, False, False]


def test_any_root_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = few(monkeypatch, tmp_path, humaneval_plus.RELEASE, {"32"})
    [whole] = humaneval_plus.problems(data)
    assert isinstance(whole.checks, tuple)
    problem = replace(whole, checks=whole.checks[:100])  # beyond, a root must be found to the last digit
    right = problem.prompt + problem.reference
    newton = (
        "def find_zero(xs):\n    lo, hi = -1.0, 1.0\n    f = lambda x: sum(c * x**i for i, c in enumerate(xs))\n"
        "    while f(lo) * f(hi) > 0: lo, hi = lo * 2, hi * 2\n"
        "    for _ in range(200):\n        mid = (lo + hi) / 2\n"
        "        lo, hi = (lo, mid) if f(lo) * f(mid) <= 0 else (mid, hi)\n    return lo\n"
    )
    assert statuses(problem, right, newton, "def find_zero(xs): return 0.0") == ["passed", "passed", "wrong"]


def test_an_answer_of_megabytes_is_judged_by_its_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    [pile] = humaneval_plus.problems(few(monkeypatch, tmp_path, humaneval_plus.RELEASE, {"100"}))
    assert isinstance(pile.checks, tuple) and {one.rule for one in pile.checks} == {"evalplus", "digest"}
    right = "def make_a_pile(n):\n    return [n + 2 * i for i in range(n)]\n"
    late = (
        "def make_a_pile(n):\n    out = [n + 2 * i for i in range(n)]\n    if n > 1e5: out[-1] += 1\n    return out\n"
    )
    assert statuses(pile, right, late) == ["passed", "wrong"]


@pytest.mark.slow
def test_a_recursion_that_is_too_deep_for_the_large_inputs_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    [tri] = humaneval_plus.problems(few(monkeypatch, tmp_path, humaneval_plus.RELEASE, {"130"}))
    recursive = (
        "def term(n):\n    if n < 2: return [1, 3][n]\n    if n % 2 == 0: return 1 + n / 2\n"
        "    return term(n - 2) + term(n - 1) + 1 + (n + 1) / 2\n"
        "def tri(n):\n    return [term(i) for i in range(n + 1)] if n < 1e5 else [term(n | 1)]\n"
    )
    assert statuses(tri, tri.prompt + tri.reference, recursive) == ["passed", "exception"]


def test_sets_of_items_and_found_or_not_compare_as_evalplus_has_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = few(monkeypatch, tmp_path, mbpp_plus.RELEASES["v0.2.0"], {"2", "787"})
    similar, match = load("mbpp+", data=data).problems
    assert statuses(
        similar,
        "def similar_elements(a, b): return sorted(set(a) & set(b), key=repr, reverse=True)",
        "def similar_elements(a, b): return list(a)",
        "def similar_elements(a, b): return 7",
    ) == ["passed", "wrong", "wrong"]
    assert statuses(
        match,
        "import re\ndef text_match_three(t): return re.search('ab{3}?', t)",
        "import re\ndef text_match_three(t): return bool(re.search('ab{3}?', t))",
        "def text_match_three(t): return None",
    ) == ["passed", "passed", "wrong"]


def test_a_problem_says_the_time_that_its_checks_need(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = few(monkeypatch, tmp_path, humaneval_plus.RELEASE, {"0", "36"})
    quick, slow = humaneval_plus.problems(data)
    assert quick.cpu_s is None and slow.cpu_s == 10
    assert program_of(slow, slow.reference, 5.0).cpu_s == 10
    assert program_of(slow, slow.reference, 30.0).cpu_s == 30
    assert replace(slow, cpu_s=None) != slow


# --- whole releases -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("name", "problems", "calls"), [("humaneval+", 164, 123_981), ("mbpp+", 378, 40_633)])
def test_a_release_is_whole(name: str, problems: int, calls: int) -> None:
    found = load(name, data=data_folder())
    assert len(found.problems) == problems
    assert sum(len(one.checks) for one in found.problems if isinstance(one.checks, tuple)) == calls
    assert load(name, data=data_folder()).digest == found.digest


def test_the_installed_packages_own_copy_is_used_where_no_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HARNESS_DATA", raising=False) if (data := data_folder()) else None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    release = mbpp_plus.RELEASES["v0.2.0"]
    (tmp_path / "evalplus").mkdir()
    with gzip.open(data / release.names[0]) as packed, (tmp_path / "evalplus" / release.names[-1]).open("wb") as out:
        shutil.copyfileobj(packed, out)
    where, rows = plus.rows("test", release, None)
    assert len(rows) == 378 and where.startswith(str(tmp_path))
