"""How a run puts a benchmark's problems to its student: style, examples, chat template; and what does not fit."""

from __future__ import annotations

from pathlib import Path

from harness.benchmarks.base import Benchmark, Draw, draw_now
from harness.benchmarks.registry import load
from harness.errors import ConfigError
from harness.settings.config import Run
from harness.students.chat import Chat, has_template, template_hash

NOT_USED = "not used"
RAW_CHAT = "the student has a chat template, but its prompts are raw text; style=instruct uses it"


def asked(name: str, run: Run, *, size: int, draw: Draw = draw_now) -> Benchmark:
    """Load a benchmark as the run puts it to its student; ConfigError where it cannot be put so."""
    return load(
        name,
        size=size,
        data=Path(run.data) if run.data else None,
        style=run.style,
        draw=draw,
        errata=run.errata,
        extractor=run.extractor,
    )


def prompts_of(benchmark: Benchmark, folder: Path) -> list[tuple[str, str]]:
    """Return what the student of a folder is given, by problem id."""
    prompts = [(one.id, benchmark.prompt(one)) for one in benchmark.problems]
    if benchmark.style != "instruct":
        return prompts
    chat = Chat(folder)
    return [(name, chat.filled(text)) for name, text in prompts]


def template_told(benchmark: Benchmark, folder: Path) -> dict[str, str]:
    """Return what a row's key says of the student's chat template: nothing where it has none."""
    if not has_template(folder):
        return {}
    return {"template": template_hash(folder)[:12] if benchmark.style == "instruct" else NOT_USED}


def style_warning(run: Run, folder: Path | None) -> str:
    """Return what does not fit between prompt style and student, empty if all does; ConfigError for what cannot be."""
    chat = folder is not None and has_template(folder)
    if run.style == "instruct" and not chat:
        raise ConfigError(
            f"style=instruct: the tokenizer of student={run.student} has no chat template. Say style=completion, or "
            "give a chat model."
        )
    return RAW_CHAT if chat and run.style != "instruct" else ""
