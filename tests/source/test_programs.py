from __future__ import annotations

import ast

import pytest

from harness.source.programs import (
    assemble,
    completion_of,
    cut_at,
    extract,
    same_ast,
    strip_comments,
    strip_docstrings,
)
from harness.source.syntax import function_forms
from harness.types import Problem

PROMPT = 'import math\n\n\ndef f(xs):\n    """Do it."""\n'
PROBLEM = Problem("p", PROMPT, "f", (), "    return sum(xs)\n")


def value(program: str, *args: object, problem: Problem = PROBLEM) -> object:
    """Run a program of this file's own, as completion of the prompt."""
    completion = completion_of(problem, program)
    assert completion is not None, program
    names: dict[str, object] = {}
    exec(assemble(problem, completion), names)
    function = names[problem.entry_point]
    assert callable(function)
    return function(*args)


# --- completion_of ------------------------------------------------------------------------------------------------


def test_the_body_is_taken_as_written_with_its_comments() -> None:
    body = "    # add them\n    return sum(xs)  # all\n"
    assert completion_of(PROBLEM, PROMPT + body) == body


def test_the_docstring_is_left_to_the_prompt() -> None:
    assert completion_of(PROBLEM, 'def f(xs):\n    """Another text."""\n    return 1\n') == "    return 1\n"


def test_annotations_do_not_confuse() -> None:
    assert completion_of(PROBLEM, "def f(xs: list[int]) -> int:\n    return 1\n") == "    return 1\n"


def test_helpers_constants_and_imports_move_into_the_body() -> None:
    program = "import re\nimport math\nK = 2\ndef g(x):\n    return x * K\n"
    program += "def f(xs):\n    return [g(x) for x in xs], re.sub('a', 'b', 'a')\n"
    completion = completion_of(PROBLEM, program)
    assert completion is not None and completion.startswith("    import re\n    K = 2\n    def g(x):\n")
    assert "math" not in completion  # not used, and in the prompt anyway
    assert value(program, [1, 2]) == ([2, 4], "b")


def test_what_the_prompt_defines_stays_with_the_prompt() -> None:
    problem = Problem("p", 'def g(x):\n    return x + 1\n\n\ndef f(xs):\n    """Do it."""\n', "f", (), "")
    program = "def g(x):\n    return x + 1\n\ndef f(xs):\n    return g(xs)\n"
    assert completion_of(problem, program) == "    return g(xs)\n"


def test_examples_of_use_are_left_out() -> None:
    program = (
        "tests = [1]\ndef f(xs):\n    return xs\nprint(f(tests))\nassert f(1)\nif __name__ == '__main__':\n    f(2)\n"
    )
    assert completion_of(PROBLEM, program) == "    return xs\n"


def test_star_imports_become_the_names_that_are_used() -> None:
    assert value("from collections import *\ndef f(xs):\n    return Counter(xs)\n", "aab") == {"a": 2, "b": 1}


def test_a_decorator_keeps_its_effect() -> None:
    program = "from functools import cache\n@cache\ndef f(xs):\n    return xs if xs < 2 else f(xs - 1) + f(xs - 2)\n"
    assert value(program, 80) == 23416728348467685


def test_other_parameter_names_and_added_defaults_are_passed_on() -> None:
    assert value("def f(a, memo={}):\n\treturn f(a - 1, memo) + 1 if a else 0\n", 5) == 5


def test_a_helper_is_not_captured_by_a_local_of_the_same_name() -> None:
    assert value("n = 3\ndef g():\n    return n\ndef f(xs):\n    n = 4\n    return g(), n\n", 0) == (3, 4)


@pytest.mark.parametrize(
    "program",
    [
        "def f(xs: return",
        "def g(xs):\n    return xs\n",
        "class A:\n    def f(self, xs):\n        return xs\n",
        "def f():\n    return 1\n",
        "n = 0\ndef f(xs):\n    global n\n    n += 1\n    return n\n",
        "f\0",
        "(" * 100_000,
    ],
)
def test_what_has_no_completion_gives_none(program: str) -> None:
    assert completion_of(PROBLEM, program) is None


def test_strings_over_several_lines_keep_their_text_when_moved() -> None:
    program = 'T = """a\n  b"""\ndef f(xs):\n  return T + """c\nd"""\n'
    assert value(program, 0) == "a\n  bc\nd"


def test_mixed_tabs_and_blanks_become_one_consistent_indentation() -> None:
    assert value("def f(x):\n  if x == 1:\n\t   return True\n  else:\n     return False\n", 1) is True


def test_one_line_functions_have_a_body() -> None:
    assert completion_of(PROBLEM, "def f(xs): return len(xs)\n") == "    return len(xs)\n"


def test_the_last_definition_counts() -> None:
    assert completion_of(PROBLEM, "def f(xs):\n    return 1\ndef f(xs):\n    return 2\n") == "    return 2\n"


# --- stripping and comparing --------------------------------------------------------------------------------------


def test_comments_go_and_the_layout_stays() -> None:
    code = "# head\nx  =  1   # one\ns = '# no'\nif x :\n    # inside\n    y = (1,\n         2)\n"
    assert strip_comments(code) == "x  =  1\ns = '# no'\nif x :\n    y = (1,\n         2)\n"


def test_comments_of_a_bare_body_go_too() -> None:
    assert strip_comments("    # why\n    return 1  # one\n") == "    return 1\n"


def test_unreadable_code_is_left_alone() -> None:
    assert strip_comments("x = (1  # open\n") == "x = (1  # open\n"


def test_docstrings_go_and_other_strings_stay() -> None:
    code = '"""M."""\nclass A:\n    """C."""\n\ndef f():\n    """D\n    E."""\n    s = """no"""\n    return s\n'
    assert strip_docstrings(code) == 'class A:\n    pass\n\ndef f():\n    s = """no"""\n    return s\n'


def test_docstrings_of_helpers_in_a_bare_body_go() -> None:
    assert strip_docstrings('    def g():\n        """D."""\n        return 1\n    return g()\n') == (
        "    def g():\n        return 1\n    return g()\n"
    )


def test_layout_docstrings_and_annotations_do_not_make_programs_differ() -> None:
    a = 'def f(x: int) -> int:\n    """Doc."""\n    y: int = (x)\n    return y  # back\n'
    assert same_ast(a, "def f(x):\n  y=x\n  return y\n")


def test_an_operator_makes_programs_differ() -> None:
    assert not same_ast("def f(x):\n    return x < 1\n", "def f(x):\n    return x <= 1\n")


def test_bodies_compare_like_programs() -> None:
    assert same_ast("    return  1\n", "    return 1 # x\n")


def test_unreadable_code_equals_nothing() -> None:
    assert not same_ast("def f(", "def f(")


def test_function_forms_ignore_the_names_of_variables() -> None:
    first = function_forms("def total(values):\n    t = 0\n    for v in values:\n        t += v\n    return t\n")
    second = function_forms("def f(xs):\n    n = 0\n    for x in xs:\n        n += x\n    return n\n")
    other = function_forms("def f(xs):\n    n = 0\n    for x in xs:\n        n += n\n    return n\n")
    assert first == second != other


def test_a_completion_ends_before_its_first_stop() -> None:
    assert cut_at("    return 1\n\nprint(2)\ndef g(): 0\n", ("\ndef ", "\nprint(")) == "    return 1\n"


# --- chat answers -------------------------------------------------------------------------------------------------


def test_the_last_block_that_defines_the_entry_point_is_taken() -> None:
    text = "First:\n```python\ndef f(x):\n    return 1\n```\nBetter:\n```py\ndef f(x):\n    return 2\n```\n"
    text += "Use:\n```\nf(3)\n```\n"
    found = extract(text, "f")
    assert (found.program, found.how, found.truncated) == ("def f(x):\n    return 2\n", "fence", False)


def test_reasoning_is_not_the_answer() -> None:
    text = "<think>\n```python\ndef f(x):\n    return 1\n```\n</think>\n```python\ndef f(x):\n    return 2\n```"
    assert extract(text, "f").program == "def f(x):\n    return 2\n"


def test_reasoning_that_never_ends_answers_nothing() -> None:
    assert extract("<think>\n```python\ndef f(x):\n    return 1\n```\n", "f").program is None


def test_a_block_that_is_cut_off_is_marked() -> None:
    found = extract("```python\ndef f(x):\n    return [1,", "f")
    assert found.truncated and found.program == "def f(x):\n    return [1,\n"


def test_a_closed_block_is_preferred_to_one_that_is_cut_off() -> None:
    text = "```python\ndef f(x):\n    return 1\n```\nOr:\n```python\ndef f(x):\n    ret"
    assert extract(text, "f").program == "def f(x):\n    return 1\n"


def test_fences_inside_a_list_lose_its_indentation() -> None:
    assert (
        extract("1. So:\n   ```python\n   def f(x):\n       return 1\n   ```\n", "f").program
        == "def f(x):\n    return 1\n"
    )


def test_fences_within_a_longer_fence_are_text() -> None:
    text = "````python\ndef f(x):\n    return '''\n```\n'''\n````\n"
    assert extract(text, "f").program == "def f(x):\n    return '''\n```\n'''\n"


def test_code_among_prose_is_found_without_fences() -> None:
    text = "Here is the code:\n\nimport re\n\ndef f(x):\n    return re.escape(x)\n\nIt works because of magic.\n"
    found = extract(text, "f")
    assert (found.program, found.how) == ("import re\n\ndef f(x):\n    return re.escape(x)\n", "bare")


def test_prose_holds_no_program() -> None:
    assert extract("I cannot help with def f, sorry.", "f").how == "none"


def test_windows_line_ends_do_not_hide_a_fence() -> None:
    assert extract("```python\r\ndef f(x):\r\n    return 1\r\n```\r\n", "f").program == "def f(x):\n    return 1\n"


def test_extracting_never_runs_the_text() -> None:
    assert ast.parse(extract("```python\nraise SystemExit\ndef f(x):\n    return 1\n```", "f").program or "").body
