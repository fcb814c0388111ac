"""The house as it is promised: every module listed in the README, imports that cost nothing, one name per recipe."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.settings import catalog
from harness.teachers.requests import MODES

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "transformers", "accelerate", "datasets", "ray", "hydra", "scipy", "sqlalchemy")


def modules():
    found = [
        path
        for folder in ("harness", "recipes", "baselines", "reports", "bench")
        for path in (ROOT / folder).rglob("*.py")
    ]
    return sorted(path for path in found if path.name != "__init__.py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_its_phrase_in_the_readmes_tree(path):
    tree = (ROOT / "README.md").read_text().split("<!-- tree -->")[1]
    lines = [line.strip() for line in tree.splitlines()]
    assert any(line.startswith(f"{path.name} ") and len(line.split()) > 2 for line in lines), path.name


def loaded_by(code):
    program = f"import sys, json; {code}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("code", ["import harness", "import harness.cli", "import harness.sandbox"])
def test_importing_is_free(code):
    assert not loaded_by(code) & set(HEAVY)


@pytest.mark.parametrize(
    "code",
    [
        "import harness.stats.paired, reports.table",
        "import harness.lab, recipes.iterkd",
        "import harness.comparison.driver",
    ],
)
def test_torch_is_not_loaded_before_a_step_needs_it(code):
    assert not loaded_by(code) & {"torch", "transformers", "datasets", "ray"}


def test_help_loads_nothing_heavy():
    code = "from harness.cli import parser; parser().format_help()"
    assert not loaded_by(code) & set(HEAVY)


def test_no_two_recipes_share_a_name():
    names = [name for group in catalog.names().values() for name in group]
    assert len(names) == len(set(names))


def test_the_engine_names_no_recipe():
    # `uniform` is also a way of posing problems
    names = {name for group in catalog.names().values() for name in group} - set(MODES)
    told = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "harness").rglob("*.py")
        if path.name != "cli.py"  # its help speaks by example
        for name in names
        if f'"{name}"' in path.read_text() or f"'{name}'" in path.read_text()
    }
    assert not told
