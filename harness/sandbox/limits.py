"""What a program may use before it is stopped: plain numbers, each with its unit. It enforces nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, fields

from harness.errors import ConfigError

SOURCE_BYTES = 1 << 18  # a longer program is refused: compiling it would cost more than it can be worth
TEXT_CHARS = 300  # of each text in a verdict: input, got, expected, reason


@dataclass(frozen=True)
class Limits:
    """Limits of one program. CPU time decides; the wall limit only catches what waits without computing."""

    cpu_s: float = 5.0  # CPU seconds of the whole program, all its calls together
    wall_s: float = 30.0  # wall seconds; generous, so that a loaded machine changes no verdict
    memory_bytes: int = 1 << 30  # address space of the program
    result_bytes: int = 1 << 19  # one returned value, encoded; keeps hostile data small for the judge
    file_bytes: int = 1 << 23  # one written file
    scratch_bytes: int = 1 << 24  # all of /tmp (level full only)
    threads: int = 8  # threads beside the first

    def __post_init__(self) -> None:
        wrong = [f"{one.name}={getattr(self, one.name)}" for one in fields(self) if not getattr(self, one.name) > 0]
        if wrong:
            raise ConfigError(f"{', '.join(wrong)}: a limit must be above 0. Leave it out for the default.")
