"""Finds recipes by name: `recipes.NAME`, else `baselines.NAME`, else a variant that a module declares, else the
dotted path of a module of one's own. No recipe is named here; the folder listing is the list.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from harness.errors import ConfigError, suggest
from harness.teachers.requests import KINDS
from harness.types import Student

FOLDERS = ("recipes", "baselines")


@dataclass(frozen=True)
class Recipe:
    """A recipe ready to run: its `train(lab, cfg)` and the configuration that its name stands for."""

    name: str
    module: str
    config: Any  # a frozen dataclass of the recipe's own
    train: Callable[..., Iterator[Student]]
    needs: Callable[[Any], tuple[str, ...]]  # of a configuration: kinds of teacher requests, logits, checks, references
    summary: str  # its line of the module's ABOUT, else the first line of the docstring

    @property
    def requests(self) -> tuple[str, ...]:
        """Return what it needs of a teacher as its name stands: kinds of requests, and `logits`."""
        return tuple(one for one in self.needs(self.config) if one in (*KINDS, "logits"))


@cache
def names() -> dict[str, tuple[str, ...]]:
    """Return the names of all recipes and baselines, variants included, by folder."""
    found: dict[str, tuple[str, ...]] = {}
    for folder in FOLDERS:
        modules = [info.name for info in pkgutil.iter_modules(importlib.import_module(folder).__path__)]
        own: list[str] = []
        for module in modules:
            own += [module, *variants(importlib.import_module(f"{folder}.{module}"))]
        found[folder] = tuple(sorted(own))
    return found


def variants(module: ModuleType) -> dict[str, Any]:
    return getattr(module, "VARIANTS", {})


def find(name: str) -> Recipe:
    """Return the recipe called `name`.

    Raises ConfigError, with the nearest name and all names, if there is none, or if a module of one's own does not
    keep the contract (a frozen `Config` and `train(lab, cfg)`).
    """
    if "." in name:
        return outside(name)
    for folder in FOLDERS:
        package = importlib.import_module(folder)
        modules = [info.name for info in pkgutil.iter_modules(package.__path__)]
        if name in modules:
            module = importlib.import_module(f"{folder}.{name}")
            return build(name, module, module.Config())
        for owner in modules:
            module = importlib.import_module(f"{folder}.{owner}")
            if name in variants(module):
                return build(name, module, variants(module)[name])
    known = names()
    everything = [one for group in known.values() for one in group]
    raise ConfigError(
        f"recipe={name}: no such recipe{suggest(name, everything)}. Recipes: {', '.join(known['recipes'])}. "
        f"Baselines: {', '.join(known['baselines'])}. A module of your own: recipe=my_package.my_recipe."
    )


def outside(name: str) -> Recipe:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as err:
        if err.name is None or not (name == err.name or name.startswith(f"{err.name}.")):
            raise ConfigError(f"recipe={name}: importing it failed: {err}. Install what it needs.") from err
        raise ConfigError(
            f"recipe={name}: no module of this name can be imported. Expected a dotted path to a module with "
            "`Config` and `train(lab, cfg)`; is its folder on PYTHONPATH?"
        ) from err
    except (Exception, SystemExit) as err:
        raise ConfigError(f"recipe={name}: importing it failed: {type(err).__name__}: {err}. Mend the module.") from err
    config = getattr(module, "Config", None)
    if not dataclasses.is_dataclass(config) or not callable(getattr(module, "train", None)):
        raise ConfigError(
            f"recipe={name}: {module.__file__} does not keep the contract of a recipe. Expected a frozen dataclass "
            "`Config` and a generator `train(lab, cfg)`; see docs/adding-a-recipe.md."
        )
    return build(name, module, module.Config())


def build(name: str, module: ModuleType, config: Any) -> Recipe:
    about: dict[str, str] = getattr(module, "ABOUT", {})
    summary = about.get(name) or (module.__doc__ or "").strip().partition("\n")[0]
    requests = tuple(getattr(module, "REQUESTS", ()))

    def whatever_is_set(config: Any) -> tuple[str, ...]:
        return requests

    return Recipe(name, module.__name__, config, module.train, getattr(module, "needs", whatever_is_set), summary)
