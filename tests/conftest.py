"""What every test shares: no network, no benchmark data by accident, slow tests only when asked for."""

from __future__ import annotations

import os
import socket

import pytest

LOCAL = {"127.0.0.1", "localhost", "::1"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out of a plain `pytest`; HARNESS_TESTS=all, or any -m or -k of one's own, brings them in."""
    if os.environ.get("HARNESS_TESTS") == "all" or config.option.markexpr or config.option.keyword:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections that would leave this machine, and say which test tried."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        outside = self.family != socket.AF_UNIX and isinstance(address, tuple) and address[0] not in LOCAL
        assert not outside, f"this test tried to reach {address}"
        return connect(self, address)  # type: ignore[arg-type] - whatever the caller gave

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
