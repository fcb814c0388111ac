"""What people read."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from harness.types import Spent
from reports import export, published
from reports.card import model_card
from reports.checks import settings_label
from reports.render import markdown, terminal, wrapped
from reports.table import Table, build
from tests.reports.rows import example, row

COMMAND = (
    "harness compare recipe=standard_kd,iterkd,persd,curriculum iterkd.margin=0.1,0.2 benchmark=pipelines,humaneval"
)
LONG = "iterkd ablation.views=tool,rubric margin=0.1 weight=0.5"


def table(*labels: str, seeds: tuple[int, ...] = (0,), **how: object) -> Table:
    rows = example({label: 0.3 + 0.2 * i for i, label in enumerate(labels)}, seeds=seeds, **how)  # pyright: ignore
    times = {(one.recipe, settings_label(one.settings), one.seed): 71.3 for one in rows}
    return build(rows, seconds=times, command=COMMAND, budget="per cycle: 800 examples, 100 updates")


@pytest.mark.parametrize(
    ("labels", "how"),
    [
        (("standard_kd", "iterkd margin=0.1", "persd-combine"), {"humaneval": True}),
        (("standard_kd", LONG), {"seeds": (0, 1, 2), "cycles": 5}),
        (("a_recipe_of_an_uncommonly_long_name", "my_package.my_module.recipe x=1"), {"seeds": (0, 1)}),
        (("perfect",), {"cycles": 1}),
    ],
)
def test_terminal_fits_in_80_columns(labels: tuple[str, ...], how: dict[str, object]) -> None:
    assert max(map(len, terminal(table(*labels, **how)).splitlines())) <= 80  # pyright: ignore


def test_terminal_is_plain_ascii() -> None:
    assert terminal(table("standard_kd", "iterkd")).isascii()


def test_terminal_shows_every_recipe_score_with_its_interval() -> None:
    base, ours = row(correct=[1] * 119 + [0] * 281), row("iterkd", [1] * 125 + [0] * 275, seed=0, cycle=1)
    text = terminal(build([base, ours]))
    assert re.search(r"^iterkd +31\.2 \[26\.9, 36\.0\]$", text, re.MULTILINE)
    assert re.search(r"^untrained \(cycle 0\) +29\.8 \[25\.5, 34\.4\]$", text, re.MULTILINE)


def test_one_seed_is_the_first_thing_said() -> None:
    said = "one seed: this table decides nothing about a recipe; differences below are between checkpoints"
    assert terminal(table("iterkd")).replace("\n", " ").startswith(said)
    assert markdown(table("iterkd")).startswith(f"> {said}")
    assert "one seed" not in terminal(table("iterkd", seeds=(0, 1, 2)))


def test_an_unfinished_line_is_named_before_the_numbers() -> None:
    rows = [row(), row("iterkd", seed=0, cycle=1), row("iterkd", seed=1, cycle=1), row("iterkd", seed=0, cycle=2)]
    said = "unfinished: iterkd is shown up to cycle 1 of 2; "
    assert terminal(build(rows)).replace("\n", " ").startswith(said)
    assert markdown(build(rows)).startswith(f"> {said}")


def test_intervals_say_what_they_cover() -> None:
    assert "[95 % interval] over problems\n" in terminal(table("iterkd"))
    several = terminal(table("iterkd", seeds=(0, 1, 2)))
    assert "[95 % interval] over seeds and problems; over problems only: untrained" in several


def test_terminal_shows_differences_cost_and_levels() -> None:
    text = terminal(table("standard_kd", "iterkd"))
    assert "pipelines: final cycle minus untrained, in points of pass@1, paired by problem" in text
    assert re.search(r"^iterkd +2400 +3600 +6000 +300 +184k +0\.00 +71$", text, re.MULTILINE)
    assert re.search(r"^ +level 1 +level 2 +level 3 +level 4$", text, re.MULTILINE)


def test_result_word_needs_holms_p() -> None:
    """p = .031 alone would be called better; with a second comparison Holm leaves it open."""
    base = row(correct=[0] * 5 + [1] * 45)
    ours = row("iterkd", [1] * 50, seed=0, cycle=1)
    alone, beside = build([base, ours]), build([base, ours, replace(ours, recipe="persd")])
    assert re.search(r"^iterkd .* 0\.0312 +0\.0312 +better", terminal(alone), re.MULTILINE)
    assert re.search(r"^iterkd .* 0\.0312 +0\.0625 +open", terminal(beside), re.MULTILINE)


def test_footer_states_how_it_was_measured_and_the_command() -> None:
    text = terminal(table("iterkd", humaneval=True))
    for fact in ("164 problems", "hash 0123456789ab", "decoding=greedy", "isolation=full", "100 updates", "seeds "):
        assert fact in text
    command = text[text.index("harness compare") :].replace("\\\n", " ")
    assert command.split() == COMMAND.split()


def test_protocol_that_differs_by_benchmark_is_stated_for_each() -> None:
    rows = example({"iterkd": 0.3}, humaneval=True)
    changed = [
        replace(r, protocol=r.protocol | {"rule": "human-eval"}) if r.benchmark == "humaneval" else r for r in rows
    ]
    text = terminal(build(changed))
    assert "rule=human-eval" in text and "rule=strict" in text
    assert text.count("extractor=v1") == 1


def test_long_settings_wrap_below_the_recipe() -> None:
    assert wrapped(LONG, 22).split("\n") == [
        "iterkd",
        "  ablation.views=tool,",
        "    rubric",
        "  margin=0.1",
        "  weight=0.5",
    ]


def test_markdown_holds_all_in_one_table() -> None:
    text = markdown(table("standard_kd", "iterkd", humaneval=True))
    head = next(line for line in text.splitlines() if line.startswith("|"))
    for title in ("pipelines pass@1, cycle 3", "humaneval difference", "teacher calls", "seconds"):
        assert title in head


def test_best_is_bold_second_underlined_and_the_dagger_is_the_tests() -> None:
    rows = [row(correct=[0] * 50 + [1] * 50), row("persd", [0] * 42 + [1] * 58, seed=0, cycle=1)]
    rows.append(row("iterkd", [0] * 44 + [1] * 56, seed=0, cycle=1))
    text = markdown(build(rows))
    assert "**58.0**† [" in text and "<u>56.0</u>† [" in text and "50.0 [" in text
    assert "Bold: highest mean of the last column, underlined: second; neither is a test." in text
    open_rows = [rows[0], row("iterkd", [0] * 49 + [1] * 51, seed=0, cycle=1)]
    assert "**51.0** [" in markdown(build(open_rows))  # best, and no dagger: the test leaves it open


def test_scores_that_print_alike_rank_alike() -> None:
    rows = [row(correct=[0, 0, 0, 1]), row("persd", [1, 1, 0, 0], seed=0, cycle=1)]
    rows.append(row("iterkd", [0, 0, 1, 1], seed=0, cycle=1))
    assert markdown(build(rows)).count("**50.0**") == 2


def test_a_settings_value_cannot_break_out_of_a_markdown_cell() -> None:
    rows = [row(), row("iterkd", settings={"text": "a|b<script>"}, seed=0, cycle=1)]
    assert r"text=a\|b&lt;script>" in markdown(build(rows))


def test_price_of_a_point_needs_a_gain_that_is_sure() -> None:
    spent = Spent(teacher_calls=1000)
    base, sure = row(correct=[0] * 80 + [1] * 20), row("iterkd", [0] * 60 + [1] * 40, seed=0, cycle=1, spent=spent)
    unsure = row("persd", [0] * 79 + [1] * 21, seed=0, cycle=1, spent=spent)
    text = terminal(build([base, sure, unsure]))
    block = text[text.index("spent for each point") :]
    assert re.search(r"^iterkd +\+20\.0 +50 ", block, re.MULTILINE)
    assert re.search(r"^persd +\+1\.0 +- ", block, re.MULTILINE)


def test_published_numbers_stand_apart_and_are_in_no_test() -> None:
    rows = example({"iterkd": 0.3}, humaneval=True)
    plain = build(rows)
    shown = replace(plain, published=published.of(["humaneval"], published.load()))
    text = terminal(shown)
    assert text.index("published numbers, for orientation") > text.index("final cycle minus")
    assert "PERsD-combine" in text and shown.comparisons == plain.comparisons


def test_json_holds_every_number_and_no_infinity() -> None:
    read = json.loads(export.to_json(table("iterkd")))
    difference = read["lines"][1]["comparisons"][0]["difference"]
    assert difference["df"] is None and difference["covers"] == "problems"
    assert read["command"] == COMMAND


def test_csv_has_one_line_for_each_score_and_exact_counts() -> None:
    rows = example({"iterkd": 0.3})
    big = [replace(one, spent=replace(one.spent, training_tokens=123_456_789)) for one in rows]
    lines = export.to_csv(build(big)).splitlines()
    assert len(lines) == 1 + 1 + 3
    assert "123456789" in lines[-1] and "123456789" not in lines[-2]  # only beside the final cycle


def test_card_holds_front_matter_row_and_command() -> None:
    text = model_card(table("standard_kd", "iterkd"), "iterkd", student="tiny-0.3M", teacher="oracle")
    front, body = text.split("---\n")[1:3]
    assert 'base_model: "tiny-0.3M"' in front and 'type: "pass@1"' in front
    assert COMMAND in body and "| iterkd" in body and "| standard_kd" not in body


def test_card_of_one_seed_among_several_asks_which() -> None:
    several = table("iterkd", seeds=(3, 4))
    with pytest.raises(Exception, match=r"seed=None: iterkd has the seeds 3, 4"):
        model_card(several, "iterkd", student="tiny-0.3M")
    assert "seed 4) scores" in model_card(several, "iterkd", student="tiny-0.3M", seed=4)


def test_same_rows_render_to_the_same_bytes() -> None:
    assert terminal(table("iterkd", seeds=(0, 1))) == terminal(table("iterkd", seeds=(0, 1)))


def test_a_recipe_that_was_never_trained_is_named_before_the_numbers() -> None:
    rows = [row(), row("persd", (1, 1, 0, 0), seed=0, cycle=1, spent=Spent(updates=3)), row("lion", seed=0, cycle=1)]
    first = terminal(build(rows)).splitlines()[0]
    assert first.startswith("never trained, as no example was left (see the notes): lion")


def test_the_share_of_false_alarms_is_kept_where_that_was_asked_for() -> None:
    """p = .031 twice: Holm doubles it, Benjamini-Hochberg leaves it."""
    base = row(correct=[0] * 5 + [1] * 45)
    ours = row("iterkd", [1] * 50, seed=0, cycle=1)
    made = build([base, ours, replace(ours, recipe="persd")], adjust="bh")
    text = terminal(made)
    assert re.search(r"^iterkd .* 0\.0312 +0\.0312 +better", text, re.MULTILINE)
    assert "BH p: over the 2 comparisons of this table" in text.replace("\n", " ") and "Holm" not in text + markdown(
        made
    )
