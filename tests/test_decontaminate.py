from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

from harness.decontaminate import index_of
from harness.types import Example, Problem
from harness.world import pool

TEXT = "Return the number of vowels that the given word holds, counting the letter y only when it ends the word."
BODY = """    n = 0
    for at, c in enumerate(word):
        if c in 'aeiou' or (c == 'y' and at == len(word) - 1):
            n += 1
    return n
"""
TESTED = Problem("B/0", f'def vowels(word):\n    """{TEXT}"""\n', "vowels", (), BODY, source="b")
OTHER = Problem(
    "x",
    'def f(a, b):\n    """Add b to a, then give back what that makes."""\n',
    "f",
    (),
    "    return a + b\n",
    source="mine",
)


@dataclass(frozen=True)
class Named:
    name: str
    problems: tuple[Problem, ...]


INDEX = index_of([Named("bench", (TESTED,))])


def with_text(text: str) -> Problem:
    return replace(OTHER, prompt=f'def f(a, b):\n    """{text}"""\n')


def test_another_problem_is_kept() -> None:
    assert INDEX.hits(OTHER) == ()


def test_an_equal_prompt_hits_whatever_its_layout() -> None:
    moved = replace(OTHER, prompt=TESTED.prompt.replace("    ", "  ").upper())
    assert "same prompt as in bench" in INDEX.hits(moved)


def test_ten_shared_words_in_a_row_hit_and_nine_do_not() -> None:
    words = TEXT.split()
    assert INDEX.hits(with_text("Please " + " ".join(words[4:14]) + " soon")) == (
        "shares 10 words in a row with bench",
    )
    assert INDEX.hits(with_text("Please " + " ".join(words[4:13]) + " soon")) == ()


def test_rows_of_numbers_are_no_words() -> None:
    numbers = ", ".join(map(str, range(30)))
    index = index_of([Named("bench", (replace(TESTED, prompt=f'def f(x):\n    """Sum [{numbers}]."""\n'),))])
    assert index.hits(with_text(f"Sort [{numbers}].")) == ()


def test_a_function_hits_under_other_names() -> None:
    code = BODY.replace("word", "s").replace("at,", "i,").replace("at ==", "i ==").replace(" n", " total")
    assert INDEX.hits(replace(OTHER, reference=f"    pass\n\n\ndef g(s):\n{code}")) == ("same function as in bench",)
    assert INDEX.holds_code(f"def g(s):\n{code}")


def test_a_changed_function_does_not_hit() -> None:
    assert not INDEX.holds_code("def vowels(word):\n" + BODY.replace("len(word) - 1", "len(word)"))


def test_a_function_of_one_expression_is_nobodys() -> None:
    index = index_of([Named("bench", (replace(TESTED, reference="    return len(word)\n"),))])
    assert not index.holds_code("def f(x):\n    return len(x)\n")


def test_unreadable_code_hits_nothing() -> None:
    assert not INDEX.holds_code("def f(:")


def test_a_text_is_checked_like_a_prompt() -> None:
    assert INDEX.hits(f"Task: {TEXT}")


def test_clean_names_what_it_drops_and_why() -> None:
    kept, dropped = INDEX.clean([OTHER, TESTED])
    assert kept == [OTHER]
    assert list(dropped) == ["B/0"] and "same prompt" in dropped["B/0"] and "same function" in dropped["B/0"]


def test_the_index_holds_no_text_and_can_be_sent_to_another_process() -> None:
    packed = pickle.dumps(INDEX)
    assert b"vowel" not in packed and pickle.loads(packed) == INDEX


def test_pipelines_hit_by_behaviour_and_not_by_words() -> None:
    tested = pool.test_set(40)
    index = index_of([Named("pipelines", tested)])
    kept, dropped = index.clean(pool.draw(60, seed=1, split="train"))
    assert len(kept) == 60 and not dropped
    renamed = replace(tested[0], prompt='def f(xs):\n    """Something else."""\n')
    assert index.hits(renamed) == ("same behaviour as in pipelines",)


def test_a_pipelines_id_of_someone_elses_problem_is_only_a_name() -> None:
    tested = pool.test_set(4)
    index = index_of([Named("pipelines", tested)])
    assert index.hits(replace(OTHER, id=tested[0].id)) == ()


# --- what matched -------------------------------------------------------------------------------------------------


def test_a_match_tells_the_problem_and_the_words_that_it_shares() -> None:
    [match] = INDEX.matches(["Please " + " ".join(TEXT.split()[4:16]) + " soon"])
    assert (match.kind, match.benchmark, match.problem) == ("words", "bench", "B/0")
    assert match.what == " ".join(TEXT.replace(",", "").split()[4:14])


def test_a_distinctive_name_hits_and_a_common_one_does_not() -> None:
    named = replace(TESTED, entry_point="count_vowels_at_end", reference="    return 0\n")
    common = replace(TESTED, id="B/1", entry_point="is_perfect_square", reference="    return 0\n")
    index = index_of([Named("bench", (named, common))])
    [match] = index.matches([], ["def Count_Vowels_At_End(w):\n    return len(w)\n"])
    assert (match.kind, match.problem, match.what) == ("name", "B/0", "Count_Vowels_At_End")
    assert index.matches([], ["def is_perfect_square(n):\n    return n\n"]) == ()


def test_a_docstring_hits_by_itself_without_its_examples() -> None:
    program = f'def g(x):\n    """{TEXT}\n    >>> g(1)\n    """\n    return x\n'
    index = index_of([Named("bench", (replace(TESTED, prompt=f'def f(w):\n    """{TEXT}\n\n    assert f(1)"""\n'),))])
    assert "prompt" in {one.kind for one in index.matches([program])}


def test_the_phrases_that_every_text_opens_with_are_no_copy() -> None:
    prompt = 'def f(x):\n    """Write a python function to find the gnus that graze in one row of many."""\n'
    index = index_of([Named("bench", (replace(TESTED, prompt=prompt),))])
    assert index.hits(with_text("Write a python function to find the gnus that graze, and count.")) == ()
    assert index.hits(with_text("Please find the gnus that graze in one row of many."))


def test_translated_identifiers_and_helpers_do_not_hide_a_function() -> None:
    helper = "def helper(c):\n    return c in 'aeiou'\n"
    loop = "    for at, c in enumerate(word):\n        if helper(c) and at % 2 == 0:\n            n += 1\n"
    body = f"    n = 0\n{loop}    return n\n"
    index = index_of([Named("bench", (replace(TESTED, prompt=helper + TESTED.prompt, reference=body),))])
    german = body.replace("helper", "hilfe").replace("word", "wort").replace("n += 1", "zahl += 1")
    german = german.replace("n = 0", "zahl = 0").replace("return n", "return zahl")
    assert index.holds_code(helper.replace("helper", "hilfe") + "def selbstlaute(wort: str) -> int:\n" + german)


def test_an_example_is_checked_by_its_answer_and_by_its_faulty_one() -> None:
    clean = Example("def g(s):\n", "    return s\n")
    assert INDEX.of_example(clean) == ()
    assert INDEX.of_example(replace(clean, completion=BODY.replace("word", "s")))
    assert INDEX.of_example(replace(clean, rejected=BODY.replace("word", "s")))
