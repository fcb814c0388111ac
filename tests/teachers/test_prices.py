"""Prices: a dated table of ours, entries of the user's own on top, and no price that is not one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.teachers.opening import Terms, open_teacher
from harness.teachers.prices import Price, price_of
from harness.teachers.settings import OPENAI_URL, Teaching


def test_cached_tokens_cost_their_own_price() -> None:
    assert Price(2.0, 0.5, 8.0, "2026-01-01").usd(1_000_000, 400_000, 100_000) == pytest.approx(1.2 + 0.2 + 0.8)


def test_our_table_knows_a_model_at_its_own_host_only() -> None:
    price = price_of("gpt-4o-mini", OPENAI_URL)
    assert price is not None
    assert price.as_of
    assert price_of("gpt-4o-mini", "http://localhost:8000/v1") is None


def test_an_entry_of_ones_own_replaces_ours(tmp_path: Path) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text("api.openai.com:\n  gpt-4o-mini: {in: 1, out: 2, as_of: 2026-11-21}\n")
    before, after = price_of("gpt-4o-mini", OPENAI_URL), price_of("gpt-4o-mini", OPENAI_URL, str(own))
    assert after == Price(1.0, 1.0, 2.0, "2026-11-21")
    assert before is not None
    assert before.hash != after.hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("h: {m: {in: -1, out: 2, as_of: 2026-11-21}}", r"h: m: in is -1, expected US dollars .* 0 or more"),
        ("h: {m: {in: 1, out: .nan, as_of: 2026-11-21}}", "out is nan"),
        ("h: {m: {in: 1, as_of: 2026-11-21}}", "out is None"),
        ("h: {m: {in: 1, out: 2}}", "as_of is None, expected the day"),
        ("h: {m: {in: 1, out: 2, as_of: 2026-11-21, chached: 1}}", r"no such key chached \(did you mean cached\?\)"),
        ("h: {m: 3}", "expected {in: "),
        ("h: 3", "expected models with their prices"),
        ("[1]", "found a list"),
        ("h: {m", "not YAML"),
    ],
)
def test_a_wrong_price_table_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text(text)
    with pytest.raises(ConfigError, match=said):
        price_of("m", "http://h/v1", str(own))


def test_a_missing_price_file_is_told() -> None:
    with pytest.raises(ConfigError, match=r"teacher\.prices=nowhere\.yaml: cannot be read"):
        price_of("m", OPENAI_URL, "nowhere.yaml")


def test_an_unknown_price_is_refused_unless_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    settings = Teaching(name="openai:nobody-knows")
    with pytest.raises(
        ConfigError, match=r"no price is known for model nobody-knows.*teacher\.prices=FILE.*allow_unpriced"
    ):
        open_teacher(settings, Terms())
    assert open_teacher(settings, Terms(allow_unpriced=True)).name == "openai:nobody-knows"


def test_a_cap_needs_a_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with pytest.raises(ConfigError, match=r"budget\.teacher_usd=5: a cap cannot be kept"):
        open_teacher(Teaching(name="openai:nobody-knows"), Terms(allow_unpriced=True, cap_usd=5))
