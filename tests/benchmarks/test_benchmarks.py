from __future__ import annotations

import ast
import doctest
import json
from pathlib import Path

import pytest

from harness.benchmarks import base, examples, humaneval, mbpp, mbpp_sanitized, pipelines, sources
from harness.benchmarks.registry import available, load, modules
from harness.errors import ConfigError, DataError
from harness.source.programs import assemble, cut_at, is_program
from harness.types import Check, Problem, Script
from tests.needs import data_folder


def of_function(body: str, *, prompt: str = 'def f(x):\n    """Do it."""\n') -> Problem:
    return Problem("p", prompt, "f", (), body)


# --- names --------------------------------------------------------------------------------------------------------


def test_every_module_is_a_benchmark_by_its_file_name() -> None:
    assert {"humaneval", "mbpp:test", "mbpp:train", "pipelines"} <= set(available())


def test_names_that_no_file_can_have_are_served() -> None:
    assert {"humaneval+", "mbpp+", "mbpp+v0.1.0", "mbpp-sanitized", "mbpp-sanitized:test", "gsm8k:test"} <= set(
        available()
    )
    assert not [name for name in available() if "_" in name]


def test_what_states_no_splits_is_no_benchmark() -> None:
    assert {"humaneval", "mbpp", "gsm8k"} <= set(modules())
    assert not {"base", "registry", "rows", "plus", "truths", "prove", "sources"} & set(modules())


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"benchmark=humanevel: .*did you mean humaneval\?.*pipelines"):
        load("humanevel")


def test_an_unknown_split_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean mbpp:test\?"):
        load("mbpp:tset")


def test_an_unknown_style_is_an_error() -> None:
    with pytest.raises(ConfigError, match="completion, instruct, few-shot"):
        base.build("x", 1, (), style="char", rule="strict", max_new_tokens=1)  # type: ignore[arg-type]


# --- HumanEval ----------------------------------------------------------------------------------------------------


def test_humaneval_is_whole_and_its_references_are_programs() -> None:
    found = humaneval.problems()
    assert [one.id for one in found] == [f"HumanEval/{number}" for number in range(164)]
    assert all(is_program(one.prompt + one.reference) for one in found)


def test_changed_humaneval_data_is_refused_with_both_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(humaneval, "DATA_HASH", "0" * 64)
    with pytest.raises(DataError, match=r"3c3148615a7e25da.*expects 0000"):
        humaneval.problems()


def test_shown_examples_of_humaneval_hold_for_its_references() -> None:
    shown = 0
    for problem in humaneval.problems():
        assert isinstance(problem.checks, Script)
        names: dict[str, object] = {}
        exec(assemble(problem, problem.reference), names)
        function = names[problem.entry_point]
        assert callable(function)
        for check in problem.checks.visible:
            assert function(*ast.literal_eval(repr(check.args))) == check.expected, (problem.id, check)
            shown += 1
    assert shown > 300


def test_the_digest_follows_content_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load("humaneval").digest
    assert load("humaneval").digest == first
    monkeypatch.setattr(humaneval, "VERSION", humaneval.VERSION + 1)
    assert load("humaneval").digest != first


# --- Pipelines ----------------------------------------------------------------------------------------------------


def test_pipelines_takes_its_size_and_keeps_its_levels() -> None:
    found = load("pipelines", size=12)
    assert len(found.problems) == 12
    assert {one.level for one in found.problems} == {1, 2, 3, 4}
    assert found.rule == "strict" and found.max_new_tokens == 96


def test_the_default_pipelines_are_the_pinned_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(pipelines.problems()) == 400
    monkeypatch.setattr(pipelines, "DATA_HASH", "0" * 64)
    with pytest.raises(DataError, match="WORLD_VERSION"):
        pipelines.problems()


# --- MBPP ---------------------------------------------------------------------------------------------------------

ROW = {
    "task_id": 1,
    "text": 'Say "hi\\n" to """x""".',
    "code": "K = 2\r\ndef g(x):\r\n\treturn x * K\r\ndef f(x):\r\n\treturn g(x)\r\n",
    "test_setup_code": "",
    "test_list": ["assert f(1) == 2", "assert f(2) == 4"],
}


def test_mbpp_is_put_as_a_header_with_text_and_first_assert() -> None:
    problem = mbpp.problem_from(ROW, "mbpp:test")
    tree = ast.parse(problem.prompt)
    assert isinstance(tree.body[0], ast.FunctionDef)
    assert ast.get_docstring(tree) is None
    assert ast.get_docstring(tree.body[0]) == f"{ROW['text']}\n\nassert f(1) == 2"
    assert problem.entry_point == "f" and problem.id == "Mbpp/1"


def test_only_the_first_assert_is_visible() -> None:
    problem = mbpp.problem_from(ROW, "mbpp:test")
    assert isinstance(problem.checks, Script)
    assert problem.checks.visible == (Check((1,), 2, visible=True),)
    assert problem.checks.text == "assert f(1) == 2\nassert f(2) == 4\n"


def test_the_reference_becomes_a_body_that_passes_the_asserts() -> None:
    problem = mbpp.problem_from(ROW, "mbpp:test")
    assert isinstance(problem.checks, Script)
    assert problem.reference == "    K = 2\n    def g(x):\n        return x * K\n    return g(x)\n"
    exec(assemble(problem, problem.reference) + problem.checks.text, {})


def test_a_class_that_the_tests_build_stands_in_the_prompt() -> None:
    code = "class P:\n    def __init__(self, a):\n        self.a = a\ndef f(x):\n    return x.a\n"
    problem = mbpp.problem_from({**ROW, "code": code, "test_list": ["assert f(P(3)) == 3"]}, "mbpp:test")
    assert problem.prompt.startswith("class P:\n") and problem.reference == "    return x.a\n"


def test_missing_mbpp_data_tells_where_it_was_sought(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{tmp_path}/mbpp/mbpp\.jsonl.*HARNESS_DATA"):
        load("mbpp:test", data=tmp_path)


def test_other_mbpp_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mbpp.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match=r"has sha256 .* expects"):
        load("mbpp", data=tmp_path)


def test_mbpp_has_its_published_splits() -> None:
    data = data_folder()
    assert len(load("mbpp:test", data=data).problems) == 500
    train = load("mbpp:train", data=data).problems
    assert len(train) == 374 and train[0].id == "Mbpp/601"


def test_every_mbpp_reference_is_a_program_behind_its_header() -> None:
    found = mbpp.problems("all", data_folder())
    assert len(found) == 974
    assert all(is_program(assemble(one, one.reference)) for one in found)
    assert not [one.id for one in found if one.reference.startswith("    pass\n")]


# --- MBPP, sanitized; the hub; errata; a file of one's own -------------------------------------------------------


def test_sanitized_mbpp_has_its_published_splits() -> None:
    data = data_folder()
    sizes = {name: len(load(name, data=data).problems) for name in ("mbpp-sanitized", "mbpp-sanitized:test")}
    assert sizes == {"mbpp-sanitized": 427, "mbpp-sanitized:test": 257}


def test_sanitized_tests_get_their_imports() -> None:
    row = {**ROW, "prompt": "Do it.", "test_imports": ["import math"]}
    problem = mbpp.problem_from(mbpp_sanitized.like_mbpp(row), "x")
    assert isinstance(problem.checks, Script) and problem.checks.text.startswith("import math\n")


def test_without_a_folder_or_the_hubs_cache_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    monkeypatch.setattr(sources, "from_hub", lambda *_: None)
    with pytest.raises(DataError, match=r"no data folder was given, and openai/gsm8k is not.*HARNESS_DATA.*https://"):
        load("gsm8k")


def test_problems_with_known_errors_can_be_left_out() -> None:
    kept, less = load("humaneval"), load("humaneval", errata="exclude")
    assert {one.id for one in kept.problems} - {one.id for one in less.problems} == set(humaneval.ERRATA)
    assert less.digest != kept.digest and less.name == "humaneval-errata"


def test_a_file_of_ones_own_problems_is_a_benchmark(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(ROW) + "\n")
    found = load(str(path))
    assert (found.name, [one.id for one in found.problems]) == ("mine", ["Mbpp/1"])
    path.write_text(json.dumps({**ROW, "text": "Other."}) + "\n")
    assert load(str(path)).digest != found.digest


def test_problems_of_ones_own_may_come_in_families(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [{**ROW, "task_id": at, "family": family} for at, family in enumerate(("a", "a", "b"))]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    assert base.families_of(load(str(path)).problems) == ("a", "a", "b")


@pytest.mark.parametrize(
    ("families", "said"),
    [(("a", "a"), r"all 2 problems are of the family 'a'"), (("a", 3), r"mine\.jsonl:2: family is 3, expected text")],
)
def test_families_that_allow_no_interval_are_refused(
    tmp_path: Path, families: tuple[str | int, ...], said: str
) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [{**ROW, "task_id": at, "family": family} for at, family in enumerate(families)]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    with pytest.raises(DataError, match=said):
        load(str(path))


def test_a_file_with_faults_is_refused_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(ROW) + "\n{}\nno\n")
    with pytest.raises(DataError, match=r"(?s)mine\.jsonl:2: no task_id.*mine\.jsonl:3: not JSON"):
        load(str(path))


# --- prompts, extraction, stops -----------------------------------------------------------------------------------


def test_a_header_completion_continues_the_prompt() -> None:
    problem = of_function("    return x\n")
    found = base.build("b", 1, (problem,), style="completion", rule="strict", max_new_tokens=10)
    assert found.prompt(problem) == problem.prompt
    assert found.program(problem, "    return x\n") == problem.prompt + "    return x\n"


def test_a_chat_answer_is_read_from_its_fence() -> None:
    problem = of_function("    return x\n", prompt='import math\ndef f(x):\n    """Do it."""\n')
    found = base.build("b", 1, (problem,), style="instruct", rule="strict", max_new_tokens=10)
    assert problem.prompt.strip() in found.prompt(problem) and found.stop == ()
    names: dict[str, object] = {}
    answer = "Sure:\n```python\nfrom __future__ import annotations\ndef f(x):\n    return math.pi * x\n```"
    exec(found.program(problem, answer), names)
    function = names["f"]
    assert callable(function) and function(2) == pytest.approx(6.2831853)


@pytest.mark.parametrize("answer", ["I do not know.", "```python\ndef f(x):\n    return ["])
def test_a_chat_answer_without_whole_code_is_no_program(answer: str) -> None:
    problem = of_function("    return x\n")
    found = base.build("b", 1, (problem,), style="instruct", rule="strict", max_new_tokens=10)
    program = found.program(problem, answer)
    assert program == "" or not is_program(program)


def test_stops_do_not_cut_a_reference() -> None:
    assert not [one.id for one in humaneval.problems() if cut_at(one.reference, base.STOPS) != one.reference]


def test_every_style_has_a_prompt_of_its_own() -> None:
    problem = of_function("    return x\n")
    made = [base.build("b", 1, (problem,), style=style, rule="r", max_new_tokens=1) for style in base.STYLES]
    assert len({one.prompt(problem) for one in made}) == len(made)


def test_the_solved_examples_of_few_shot_prompts_do_what_they_say() -> None:
    names: dict[str, object] = {}
    exec(base.SHOTS.read_text("utf-8"), names)
    tests = [test for one in names.values() if callable(one) for test in doctest.DocTestFinder().find(one, "shots")]
    runner = doctest.DocTestRunner(verbose=False)
    assert [runner.run(replace_globals(test, names)) for test in tests] == [doctest.TestResults(0, 1)] * 3


def replace_globals(test: doctest.DocTest, names: dict[str, object]) -> doctest.DocTest:
    test.globs = dict(names)
    return test


def test_a_benchmark_without_solved_examples_takes_no_few_shot_prompts() -> None:
    with pytest.raises(ConfigError, match="no solved examples"):
        base.build("b", 1, (), style="few-shot", rule="r", max_new_tokens=1, shots=None)


# --- examples in texts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        ">>> f([1, 2], 'a)')\n    3",
        "f([1, 2], 'a)') == 3",
        "f([1, 2], 'a)') ➞ 3",
        "f([1, 2], 'a)') => 3  # because",
        "For example f([1, 2], 'a)') should return 3.",
        "* f([1, 2], 'a)')  returns 3",
    ],
)
def test_examples_are_read_in_the_usual_spellings(text: str) -> None:
    assert examples.shown_examples(f"Text.\n    {text}\n", "f") == (Check(([1, 2], "a)"), 3, visible=True),)


@pytest.mark.parametrize(
    "text", ["f(x) == 3", "g.f(1) == 3", "f(1) == 3 + 4", "f(1, k=2) == 3", "f(1) is small", "f(1) ==> a list"]
)
def test_what_is_no_example_is_not_read_as_one(text: str) -> None:
    assert examples.shown_examples(text, "f") == ()
