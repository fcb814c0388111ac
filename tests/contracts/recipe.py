"""The suite that any recipe must pass, one's own included: `check_recipe("my_package.my_recipe")`.

It rehearses the recipe against stand-ins (no training, no teacher, no sandbox) and looks at what it asked for.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.comparison.plan import Rehearsal
from harness.decontaminate import index_of
from harness.lab import Lab
from harness.lab.terms import Terms
from harness.settings import catalog
from harness.settings.config import Budget, Train
from harness.store.keys import digest
from harness.teachers.requests import KINDS, Answer, Request, request_key
from harness.types import Example, Problem, Student

MOST_FIELDS = 12
BUDGET = Budget(examples=12, updates=5, attempts=12)


class Anything:
    """A teacher by name only; the rehearsal answers in its place."""

    name = "anything"
    version = 1
    capabilities = frozenset[str](KINDS)

    def serves(self, source: str) -> frozenset[str]:
        return self.capabilities

    def answer(self, requests: Sequence[Request], seed: int) -> Iterator[tuple[int, Answer]]:
        raise AssertionError("the rehearsal answers")


class Witness(Rehearsal):
    """A rehearsal that writes down every call."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.kinds: set[str] = set()
        self.fitted: list[tuple[Example, ...]] = []

    def ask(self, teacher: Any, requests: Sequence[Request], seed: int) -> Any:
        self.kinds |= {request.kind for request in requests}
        self.log.append(digest(["ask", seed, [request_key(request) for request in requests]]))
        return super().ask(teacher, requests, seed)

    def sample(self, student: Student, prompts: Any, decoding: Any, seed: int, batch: int) -> Any:
        self.log.append(digest(["sample", student.weights, list(prompts), dataclasses.asdict(decoding), seed]))
        return super().sample(student, prompts, decoding, seed, batch)

    def judge(self, pairs: Any, cpu_s: float) -> Any:
        self.log.append(digest(["judge", [[problem.id, text] for problem, text in pairs]]))
        return super().judge(pairs, cpu_s)

    def fit(self, student: Student, data: Any, objective: Any, schedule: Any, seed: int) -> Any:
        self.fitted.append(data.examples)
        self.kinds |= {"logits"} if objective.uses_teacher else set()
        parts = [dataclasses.asdict(one) for one in (data, objective, schedule)]
        self.log.append(digest(["fit", student.weights, parts, seed]))
        return super().fit(student, data, objective, schedule, seed)


def problems(count: int) -> list[Problem]:
    texts = [
        " ".join(f"{random.Random(place * 7 + word).getrandbits(30):x}" for word in range(6)) for place in range(count)
    ]
    return [
        Problem(f"contract/{place}", f'def f(x):\n    """{text}"""\n', "f", (), "    return x\n", 1, "contract")
        for place, text in enumerate(texts)
    ]


def rehearse(name: str, cycles: int, seed: int = 0, **settings: Any) -> tuple[Witness, Lab, int]:
    """Run a recipe against stand-ins and return what was asked, the lab, and how many students it yielded."""
    recipe, engine = catalog.find(name), Witness()
    terms = Terms(cycles, BUDGET, Train(), threads=1, device="cpu", batch=8, max_new_tokens=32, stop=(), cpu_s=1.0)
    pool = problems(cycles * BUDGET.examples)
    own = Student("teacher", "teacher")
    lab = Lab(engine, terms, Student("tiny", "base"), pool, Anything(), index_of([]), seed, logits=lambda: own)
    return engine, lab, sum(1 for _ in recipe.train(lab, dataclasses.replace(recipe.config, **settings)))


def check_recipe(name: str) -> None:
    """Raise AssertionError, saying what is missing, unless the recipe keeps the contract."""
    recipe = catalog.find(name)
    module = importlib.import_module(recipe.module)
    check_config(recipe.config)
    document = module.__doc__ or ""
    table = [line for line in document.splitlines() if line.startswith("| paper")]
    assert table and "| here | why |" in table[-1], (
        f"{name}: the docstring does not end in a table `paper | here | why`"
    )
    check_imports(Path(str(module.__file__)))
    for cycles in (1, 2, 3):
        engine, lab, yielded = rehearse(name, cycles)
        assert yielded == cycles, f"{name}: {yielded} students in {cycles} cycles"
        trained = cycles - lab.notes["cycles without examples"]
        assert lab.spent.updates == trained * BUDGET.updates, f"{name}: {lab.spent.updates} updates"
        assert engine.kinds <= set(recipe.requests), f"{name}: asks {engine.kinds}, REQUESTS says {recipe.requests}"
    random.seed(1)
    first = rehearse(name, 2)[0].log
    random.seed(2)
    assert first == rehearse(name, 2)[0].log, f"{name}: two runs of one seed ask for different things; is it pure?"


def check_config(config: Any) -> None:
    assert dataclasses.is_dataclass(config), "Config is not a dataclass"
    assert type(config).__dataclass_params__.frozen, "Config is not frozen"  # type: ignore[attr-defined]
    plain = [one for one in dataclasses.fields(config) if not dataclasses.is_dataclass(getattr(config, one.name))]
    assert len(plain) <= MOST_FIELDS, f"Config has {len(plain)} fields, expected at most {MOST_FIELDS}"


def check_imports(path: Path) -> None:
    """A recipe imports the standard library and `harness.lab`: what it may touch is what the lab offers."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            allowed = (
                name in ("harness.lab", "harness.training.losses") or name.partition(".")[0] in sys.stdlib_module_names
            )
            assert allowed, f"{path.name}: imports {name}; a recipe imports harness.lab and the standard library"
