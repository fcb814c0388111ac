"""What the documents show runs as they show it."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from harness.cli import parser
from harness.store.rows import read_rows
from tests.command import TINY, only_run, run
from tests.contracts.recipe import check_recipe

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def block_after(mark: str, path: Path) -> str:
    found = re.search(rf"<!-- {mark} -->\n```\w*\n(.*?)```", path.read_text(), re.S)
    assert found, f"{path.name}: no block after <!-- {mark} -->"
    return found[1]


@pytest.fixture
def documented_recipe(tmp_path, monkeypatch):
    (tmp_path / "my_recipes").mkdir()
    (tmp_path / "my_recipes/shortest.py").write_text(block_after("recipe", ROOT / "docs/adding-a-recipe.md"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_recipes")]:
        del sys.modules[name]


def test_the_documented_recipe_keeps_the_contract(documented_recipe):
    check_recipe("my_recipes.shortest")


@pytest.mark.compare
def test_the_documented_recipe_runs_from_outside_the_package(documented_recipe):
    run("compare", "recipe=my_recipes.shortest", "my_recipes.shortest.answers=1", *TINY, folder=documented_recipe)
    rows = read_rows(only_run(documented_recipe) / "rows.jsonl")
    assert [row.cycle for row in rows] == [0, 1, 2]
    assert rows[-1].spent.teacher_calls == 2 * 16


def commands():
    """Return every `harness …` line of a shell block."""
    for path in DOCUMENTS:
        for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", path.read_text(), re.S):
            for line in re.sub(r"\\\n", " ", block).splitlines():
                found = re.search(r"(?:^|\s|/)harness (\w.*)$", line.split(" #")[0])
                if found:
                    yield pytest.param(found[1], id=f"{path.name}: {found[1]}"[:70])


@pytest.mark.parametrize("command", list(commands()))
def test_every_documented_command_parses(command):
    options = parser().parse_args(shlex.split(command))
    assert options.command
    if options.command in ("compare", "plan") and "my_recipes" not in command:
        from harness.comparison.parts import parts_of
        from harness.settings.resolve import resolve

        assert parts_of(options.words) or resolve(options.words)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_every_document_that_the_code_points_to_exists():
    sources = [
        path for folder in ("harness", "recipes", "baselines", "reports") for path in (ROOT / folder).rglob("*.py")
    ]
    named = {name for path in sources for name in re.findall(r"docs/[\w-]+\.md", path.read_text())}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_no_placeholder_is_left_in_a_document(path):
    assert not re.findall(r"@[A-Z]+@|\bTODO\b|\bFIXME\b|\bXXX\b", path.read_text())
