from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

from harness.decontaminate import index_of
from harness.types import Problem
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
