"""The page, in headless Chromium where there is one, and as text everywhere."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.results.finished import load, table_of
from harness.types import Row
from reports import evidence, html
from reports.evidence import Run
from tests.reports.folders import write_run
from tests.reports.rows import example, row

EVIL = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 1'>\u2028"


def made(folder: Path, rows: list[Row], completion: str = "    return x\n", **run: Any) -> str:
    found = load([write_run(folder, rows, completion)])
    prompts = {name: {f"{name}/0": f"def f(x):\n    {EVIL}\n"} for name in {row.benchmark for row in rows}}
    given: dict[str, Any] = {"configuration": found.facts, "prompts": prompts} | run
    return html.page(table_of(found), Run(rows=found.rows, samples=found.samples, **given), f"Run {EVIL}")


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def small(**change: Any) -> list[Row]:
    base = row("untrained", [1, 0, 0, 0, 1, 0], levels=[1, 1, 1, 2, 2, 2])
    ours = row("iterkd", [1, 1, 0, 0, 1, 1], seed=0, cycle=1, levels=base.levels, settings={"text": EVIL})
    return [replace(one, **change) for one in (base, ours)]


def test_model_text_cannot_end_the_element_it_stands_in(tmp_path: Path) -> None:
    page = made(tmp_path / "run", small(), EVIL)
    assert page.count("<script") == 2 and "<img" not in page  # the data, and the page's own
    assert EVIL in data_of(page)["texts"]


def test_policy_allows_this_pages_script_and_nothing_from_outside(tmp_path: Path) -> None:
    page = made(tmp_path / "run", small())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy and "default-src &#39;none&#39;" in policy[1] and "unsafe" not in policy[1]
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)


def test_page_holds_what_fits_and_says_what_it_left_out(tmp_path: Path) -> None:
    found = load([write_run(tmp_path / "run", example({"iterkd": 0.4}), "x" * 300 + "\n")])
    run = Run(found.rows, lambda own: numbered(found.samples(own), own), {}, [])
    data = evidence.gather(table_of(found), run, limit=60_000)
    assert 0 < data["kept"] < data["total"] == 1600
    assert len(json.dumps(data["texts"])) < 70_000
    assert all(len(column["correct"]) == 400 for column in data["columns"])  # counts are never sampled


def numbered(samples: list[dict[str, Any]], own: Row) -> list[dict[str, Any]]:
    return [one | {"completion": f"{own.weights}{at}" + "y" * 300} for at, one in enumerate(samples)]


def test_answers_that_differ_are_kept_first(tmp_path: Path) -> None:
    rows = [row("untrained", [0] * 50), row("iterkd", [0] * 49 + [1], seed=0, cycle=1)]
    found = load([write_run(tmp_path / "run", rows)])
    assert next(evidence.wanted(table_of(found), found.rows)) == (0, 49)


def test_page_of_five_recipes_three_seeds_and_a_thousand_problems_stays_small(tmp_path: Path) -> None:
    base = row("untrained", [0] * 1000)
    rows = [
        row(f"recipe{r}", [(i * r + seed + cycle) % 2 for i in range(1000)], seed=seed, cycle=cycle)
        for r in range(1, 6)
        for seed in range(3)
        for cycle in range(1, 4)
    ]
    found = load([write_run(tmp_path / "run", [base, *rows])])
    run = Run(found.rows, lambda own: numbered(found.samples(own), own), {}, [])
    assert len(html.page(table_of(found), run, "big").encode()) < 3_000_000


def test_an_endless_answer_is_cut_and_says_so() -> None:
    texts = evidence.Texts(10**6)
    place = texts.add("x" * 50_000)
    assert place is not None and texts.all[place].endswith(evidence.CUT) and len(texts.all[place]) < 5_000


def test_equal_runs_make_equal_pages(tmp_path: Path) -> None:
    one, other = (made(tmp_path / name / "run", small()) for name in ("a", "b"))
    assert one.replace(str(tmp_path / "a"), "") == other.replace(str(tmp_path / "b"), "")


class Watched:
    """A page that was opened from disk, with what it complained of and asked for."""

    def __init__(self, browser: Any, path: Path, width: int = 1100, scheme: str = "light") -> None:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.page: Any = context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda told: self.errors.append(told.text) if told.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def calm(self) -> bool:
        return not self.errors and len(self.requests) == 1 and self.page.evaluate("window.broken") is None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "page.html"
    target.write_text(made(tmp_path / "run", small(), EVIL), encoding="utf-8")
    return target


@pytest.mark.slow
def test_every_view_opens_without_an_error_or_a_request(browser: Any, tmp_path: Path) -> None:
    rows = example({"iterkd": 0.5, "persd": 0.2}, seeds=(0, 1), samples=3, humaneval=True)
    (tmp_path / "p.html").write_text(made(tmp_path / "run", rows), encoding="utf-8")
    watched = Watched(browser, tmp_path / "p.html")
    page = watched.page
    for section in ("curves", "cost", "forest", "passk", "verdicts"):
        assert page.locator(f"#{section} figure svg").count() >= 2, section
    page.select_option("#cost-axis", "teacher calls")
    assert page.locator("#cost figure").count() == 2
    page.click("#next")
    assert "51 to 100 shown" in page.inner_text("#shown")
    assert watched.calm(), (watched.errors, watched.requests)


@pytest.mark.slow
def test_filters_narrow_the_problems(browser: Any, path: Path) -> None:
    page = Watched(browser, path).page
    assert "6 of 6 problems" in page.inner_text("#shown")
    page.select_option("#f-level", "1")
    assert "3 of 6 problems" in page.inner_text("#shown")
    page.check("#f-differ")
    assert "1 of 6 problems" in page.inner_text("#shown")
    page.fill("#f-name", "nothing like it")
    assert page.inner_text("#shown") == "No problem fits these filters."


@pytest.mark.slow
def test_a_cell_opens_both_programs_by_keyboard_and_model_text_stays_text(browser: Any, path: Path) -> None:
    watched = Watched(browser, path)
    page = watched.page
    page.focus("#grid tbody button >> nth=0")
    page.keyboard.press("Enter")
    assert page.inner_text("#d-prompt").startswith("def f(x):")
    assert "Not trained." in page.inner_text("#d-near-two") and "keeps them" in page.inner_text("#d-near-one")
    for side in ("#d-one", "#d-two"):
        assert "</script>" in page.inner_text(f"{side} pre >> nth=0")
    page.keyboard.press("Escape")
    assert not page.locator("dialog[open]").count()
    assert watched.calm(), (watched.errors, watched.requests)


@pytest.mark.slow
def test_table_sorts_by_number_and_says_so(browser: Any, path: Path) -> None:
    page = Watched(browser, path).page
    column = page.locator("thead button", has_text="cycle 1").first
    column.click()
    assert page.locator("[aria-sort=descending]").count() == 1
    assert page.inner_text("table.sortable tbody th >> nth=0").startswith("iterkd")
    column.click()
    assert page.inner_text("table.sortable tbody th >> nth=0").startswith("untrained")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_a_phone(browser: Any, path: Path, scheme: str) -> None:
    page = Watched(browser, path, width=360, scheme=scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).color !== getComputedStyle(document.body).backgroundColor")


@pytest.mark.slow
def test_a_problem_shows_the_training_examples_near_it(browser: Any, tmp_path: Path) -> None:
    near = [{"prompt": f"def f(x):\n    {EVIL}", "completion": "pass", "rejected": "fail", "origin": "solve a"}]
    near.append({"prompt": "other", "completion": "", "rejected": None, "origin": "solve b"})
    (tmp_path / "p.html").write_text(made(tmp_path / "run", small(), examples=lambda row: near), encoding="utf-8")
    watched = Watched(browser, tmp_path / "p.html", width=390)
    watched.page.click("#grid tbody button >> nth=1")
    told = watched.page.inner_text("#d-near-two")
    assert "Of seed 0's 2 examples." in told and "solve a" in told and "with its faulty half" in told
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert watched.calm(), (watched.errors, watched.requests)
