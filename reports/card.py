"""The model card of an exported student: Markdown with the front matter that model hubs read; it exports nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from harness.errors import UsageError, suggest
from reports import facts
from reports.render import markdown
from reports.table import Checkpoint, Line, Table


def model_card(
    table: Table,
    label: str,
    *,
    student: str,
    seed: int | None = None,
    teacher: str = "",
    data: str = "",
    licence: str = "",
) -> str:
    """Return the card of the final student of the line called `label`, trained with `seed` from the base `student`.

    `seed` may be left out where the line has only one. `teacher`, `data` and `licence` are left out where empty.
    """
    line = find_line(table, label)
    point = find_checkpoint(line, seed)
    title = f"{student}, distilled by {line.recipe}"
    parts = [
        front_matter(table, line, point, student, licence, title),
        f"# {title}",
        f"`{student}` after {facts.count(point.cycle, 'cycle')} of the recipe `{line.label}`"
        + ("" if point.seed is None else f", seed {point.seed}")
        + ".",
        "\n".join(described(table, line, point, teacher, data)),
        "## Measured",
        measured_note(line, point),
        markdown(only(table, line)).rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def find_line(table: Table, label: str) -> Line:
    for line in table.lines:
        if line.label == label:
            return line
    labels = [line.label for line in table.lines]
    raise UsageError(f"{label}: no such line in the table{suggest(label, labels)}. Lines: {'; '.join(labels)}")


def find_checkpoint(line: Line, seed: int | None) -> Checkpoint:
    found = [point for point in line.checkpoints if seed is None or point.seed == seed]
    if len(found) != 1:
        seeds = ", ".join(str(point.seed) for point in line.checkpoints)
        raise UsageError(f"seed={seed}: {line.label} has the seeds {seeds}; name the one whose student is exported")
    return found[0]


def front_matter(table: Table, line: Line, point: Checkpoint, student: str, licence: str, title: str) -> str:
    """Return YAML; every text is quoted as JSON quotes it, which is YAML too, so that no name can break it."""

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    lines = ["---", f"base_model: {quoted(student)}", "library_name: transformers", "pipeline_tag: text-generation"]
    if licence:
        lines.append(f"license: {quoted(licence)}")
    lines += [
        "tags:",
        "- code",
        "- distillation",
        f"- {quoted(line.recipe)}",
        "model-index:",
        f"- name: {quoted(title)}",
    ]
    lines.append("  results:")
    for one in table.benchmarks:
        if one.name in point.pass_at_k:
            lines += [
                "  - task: {type: text-generation}",
                f"    dataset: {{name: {quoted(one.name)}, type: {quoted(one.name)}}}",
                "    metrics:",
                f"    - {{type: {quoted(f'pass@{table.ks[0]}')}, value: {100 * point.pass_at_k[one.name]:.1f}}}",
            ]
    return "\n".join([*lines, "---"])


def described(table: Table, line: Line, point: Checkpoint, teacher: str, data: str) -> Sequence[str]:
    facts_of_it = [
        ("base student", student_weights(table)),
        ("weights", point.weights),
        ("recipe", line.recipe),
        ("settings", line.settings or "the recipe's defaults"),
        ("teacher", teacher),
        ("training problems", data),
        ("budget", table.budget),
    ]
    return [f"- {name}: {text}" for name, text in facts_of_it if text]


def student_weights(table: Table) -> str:
    return next((point.weights for line in table.lines for point in line.checkpoints if point.cycle == 0), "")


def measured_note(line: Line, point: Checkpoint) -> str:
    """Say whose the numbers are: the front matter's are this checkpoint's, the table's the recipe's if it has seeds."""
    if len(line.seeds) == 1:
        return "The numbers are of this one checkpoint; one seed decides nothing about the recipe."
    own = ", ".join(f"{name} {100 * value:.1f}" for name, value in point.pass_at_k.items())
    return f"This checkpoint (seed {point.seed}) scores {own}; the table is of the recipe over {len(line.seeds)} seeds."


def only(table: Table, line: Line) -> Table:
    """Return the table with no line but this one and the one it was compared with; p-values stay as they were."""
    return replace(table, lines=tuple(one for one in table.lines if one.label in (line.label, table.reference)))
