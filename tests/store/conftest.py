"""Both databases that a store can have, for the contract that holds for either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from harness.store.database import Store
from tests.store.server import Server, server

NUMBERS = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with server() as one:
        yield one


@pytest.fixture
def database(postgres: Server) -> str:
    """Return the URL of a new, empty database."""
    name = f"store{next(NUMBERS)}"
    postgres.sql(f"CREATE DATABASE {name} OWNER harness;")
    return postgres.url(name)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Return where a store is and where its artifacts are, in words that another process understands."""
    if request.param == "sqlite":
        return str(tmp_path / "store"), ""
    return request.getfixturevalue("database"), str(tmp_path / "artifacts")


@pytest.fixture
def opened(place: tuple[str, str]) -> Callable[[], Store]:
    return lambda: Store(*place)
