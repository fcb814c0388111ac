"""Text and programs: join a prompt and a completion, and find either in what a model wrote. Nothing is run."""

from __future__ import annotations

import ast
import importlib
import re
import symtable
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.source.syntax import (
    LARGEST,
    bound,
    defines,
    docstring_of,
    function_named,
    normal_form,
    parse,
    plain,
    same_ast,
    strip_comments,
    strip_docstrings,
    tree_of,
)
from harness.types import Problem, Text

__all__ = [
    "Extraction",
    "assemble",
    "completion_of",
    "cut_at",
    "extract",
    "fragments",
    "remainder",
    "same_ast",
    "strip_comments",
    "strip_docstrings",
]

BODY = re.compile(r"(?:[ \t]+\S[^\n]*\n)+")  # indented lines, nothing of the top level behind them
STARRED = frozenset({"bisect", "collections", "functools", "heapq", "itertools", "math", "re", "string", "typing"})
FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})(?P<info>[^\n`]*)$")


def assemble(problem: Problem, completion: str) -> str:
    """Return what is judged: the program that a completion makes of the prompt, or the answer where that is text."""
    return completion if isinstance(problem.checks, Text) else problem.prompt + completion


def cut_at(text: str, stops: Sequence[str]) -> str:
    """Return the text up to the first of the stop strings, which is left out."""
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def completion_of(problem: Problem, program: str) -> str | None:
    """Return the text that continues the problem's prompt and does what the program does; None if there is none.

    The body of the entry point is taken as it stands, comments included. What else it needs of the module (imports,
    helpers, constants) moves to the head of the body, unless the prompt has it already; examples of use are left
    out. Where the headers differ, or a decorator counts, the function moves into the body whole and is called there.
    Where the answer is text, it is what follows the prompt.
    """
    if isinstance(problem.checks, Text):
        return program.removeprefix(problem.prompt)
    text = re.sub(r"\r\n?", "\n", program).replace("\f", "")
    if len(text) > LARGEST or not is_program(text):
        return None
    if text.startswith(problem.prompt) and BODY.fullmatch(text, len(problem.prompt)):
        return text[len(problem.prompt) :]  # the common case: the prompt, then a body and nothing else
    tree, head = tree_of(text), parse(problem.prompt) or parse(problem.prompt + "    pass\n")
    header = function_named(head, problem.entry_point) if head else None
    entry = function_named(tree, problem.entry_point)
    if head is None or header is None or entry is None:
        return None
    try:
        completion = continuation(Source(text, tree), entry, head, header)
    except (SyntaxError, RecursionError):
        return None
    return completion if completion is not None and is_program(problem.prompt + completion) else None


def remainder(problem: Problem, program: str) -> str | None:
    """Return what stands behind the entry point's header and docstring in a program that need not parse.

    For faulty code, whose fault may be its syntax; None where no header is found. Other code: `completion_of`.
    """
    if program.startswith(problem.prompt):
        return program[len(problem.prompt) :]
    header = rf"^def {re.escape(problem.entry_point)}\b[^\n]*:[ \t]*\n"
    docstring = r"(?:[ \t]+(?:\"\"\".*?\"\"\"|'''.*?''')[ \t]*\n)?"
    found = re.search(header + docstring, program, re.MULTILINE | re.DOTALL)
    return program[found.end() :] if found else None


def fragments(problems: Sequence[Problem], programs: Sequence[str | None]) -> list[tuple[Problem, str]]:
    """Return (problem, text that continues its prompt) of programs that need not parse; one without is left out."""
    asked = [(one, text) for one, text in zip(problems, programs, strict=True) if text]
    found = [(one, completion_of(one, text) or remainder(one, text)) for one, text in asked]
    return [(one, text) for one, text in found if text]


@dataclass(frozen=True)
class Source:
    """A program as text and as syntax."""

    text: str
    tree: ast.Module

    def of(self, node: ast.stmt) -> str:
        """Return the whole lines of a statement, decorators included; one that shares a line is written anew."""
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        last = node.end_lineno or node.lineno
        others = (one for one in self.tree.body if one is not node)
        shared = any(one.lineno <= last and (one.end_lineno or 0) >= first for one in others)
        return ast.unparse(node) if shared else "\n".join(self.text.split("\n")[first - 1 : last])

    def body_of(self, function: ast.FunctionDef, header: ast.FunctionDef) -> str:
        """Return the lines of a function's body, less its docstring and what the header's body opens with already."""
        lines = self.text.split("\n")
        text, known = docstring_of(function), docstring_of(header)
        above = (text.end_lineno or 0) if text else function.lineno
        statements = function.body[1:] if text else function.body
        for one, given in zip(list(statements), header.body[1:] if known else header.body, strict=False):
            if ast.dump(one) != ast.dump(given):
                break
            above, statements = one.end_lineno or 0, statements[1:]
        if not statements:
            return ""
        first = min([statements[0].lineno, *(one.lineno for one in getattr(statements[0], "decorator_list", []))])
        if first == above:  # `def f(x): return x`
            return "\n".join(ast.unparse(one) for one in statements)
        while first - 1 > above and lines[first - 2].lstrip().startswith("#"):
            first -= 1
        return "\n".join(lines[first - 1 : statements[-1].end_lineno])


def continuation(source: Source, entry: ast.FunctionDef, head: ast.Module, header: ast.FunctionDef) -> str | None:
    """Write the body that continues `header` and does what `entry` does within its module."""
    own, free = names_of(source.text, entry)
    lead = "\n".join(needed(source, entry, head, free))
    taken = {name for one in tree_of(lead).body for name in bound(one)}
    if taken & {name for node in ast.walk(source.tree) if isinstance(node, ast.Global) for name in node.names}:
        return None  # a moved name is no longer global
    parts = [lead] if lead else []
    if entry.decorator_list or parameters(entry) != parameters(header) or taken & own:
        call = call_with(entry, header)
        if call is None or taken & {one.arg for one in ast.walk(header) if isinstance(one, ast.arg)}:
            return None
        parts += [strip_docstrings(source.of(entry)), f"return {call}"]
    else:
        parts.append(source.body_of(entry, header) or "pass")
    indent = " " * (header.body[0].col_offset if header.body else 4)
    return "\n".join(shifted(part, indent) for part in parts) + "\n"


def is_program(code: str) -> bool:
    """Tell whether the compiler's first passes accept the code: it parses, and its scopes make sense."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            symtable.symtable(code, "program", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def names_of(text: str, function: ast.FunctionDef) -> tuple[set[str], set[str]]:
    """Return the names that a top-level function binds, and those that it takes from its module or the built-ins."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = symtable.symtable(text, "program", "exec")
    scope = [one for one in module.get_children() if one.get_name() == function.name][-1]
    free: set[str] = set()
    below = [scope]
    while below:
        table = below.pop()
        free |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
        below += table.get_children()
    outside = [*function.decorator_list, *function.args.defaults, *(one for one in function.args.kw_defaults if one)]
    free |= {name for node in outside for name in used(node)}
    own = {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_local()}
    return own, free


def used(node: ast.AST) -> set[str]:
    """Return the names that are read anywhere below a node."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}


def needed(source: Source, entry: ast.FunctionDef, head: ast.Module, free: set[str]) -> list[str]:
    """Return the source of the top-level statements that the entry point needs and the prompt lacks, in order."""
    present = {normal_form(ast.unparse(one)) for one in head.body}
    others = [one for one in source.tree.body if not (isinstance(one, ast.FunctionDef) and one.name == entry.name)]
    made = {name for one in others if not isinstance(one, ast.Import | ast.ImportFrom) for name in bound(one)}
    wanted, kept = set(free), set[int]()
    grown = True
    while grown:
        grown = False
        for at, one in enumerate(others):
            if at not in kept and serves(one, wanted, made, entry.name):
                kept.add(at)
                wanted |= used(one)
                grown = True
    found: list[str] = []
    for at in sorted(kept):
        one = others[at]
        if isinstance(one, ast.Import | ast.ImportFrom):
            found += imports(one, wanted, head)
        elif normal_form(ast.unparse(one)) not in present:
            found.append(source.of(one))
    return found


def serves(statement: ast.stmt, wanted: set[str], made: set[str], entry: str) -> bool:
    """Tell whether a statement makes a wanted name or changes its value; uses of the entry point never do."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return bool((bound(statement) | starred(statement)) & wanted)
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return statement.name in wanted
    reads = used(statement)
    if isinstance(statement, ast.Assert) or reads & {entry, "print", "input", "__name__"}:
        return False
    if isinstance(statement, ast.Expr) and ast.unparse(statement).startswith("sys.setrecursionlimit("):
        return True
    binds = bound(statement)
    if isinstance(statement, ast.Assign) and binds:
        return bool(binds & wanted)
    return bool((binds | reads) & wanted & made)  # `table.append(1)`, `table[0] = 1`, a loop that fills a table


def starred(statement: ast.Import | ast.ImportFrom) -> set[str]:
    """Return what `from m import *` binds, for the modules that answers star; a function body cannot hold a star."""
    if not isinstance(statement, ast.ImportFrom) or statement.names[0].name != "*" or statement.module not in STARRED:
        return set()
    module = importlib.import_module(statement.module)
    public = getattr(module, "__all__", None)
    return {str(name) for name in (public or vars(module)) if public or not str(name).startswith("_")}


def imports(statement: ast.Import | ast.ImportFrom, wanted: set[str], head: ast.Module) -> list[str]:
    """Return the import of the wanted names that the prompt does not import already."""
    module = statement.module if isinstance(statement, ast.ImportFrom) else None
    present = {
        (one.module if isinstance(one, ast.ImportFrom) else None, name.name, name.asname)
        for one in head.body
        if isinstance(one, ast.Import | ast.ImportFrom)
        for name in one.names
    }
    aliases = [one for one in statement.names if one.name != "*"] + [
        ast.alias(name=name) for name in sorted(starred(statement) & wanted)
    ]
    names = [
        one
        for one in aliases
        if (one.asname or one.name).partition(".")[0] in wanted and (module, one.name, one.asname) not in present
    ]
    if not names:
        return []
    if isinstance(statement, ast.ImportFrom):
        return [ast.unparse(ast.ImportFrom(module=module, names=names, level=statement.level))]
    return [ast.unparse(ast.Import(names=names))]


def parameters(function: ast.FunctionDef) -> tuple[list[str], str, list[str], str]:
    """Return the names of a function's positional, starred, keyword-only and doubly starred parameters."""
    args = function.args
    positional = [one.arg for one in (*args.posonlyargs, *args.args)]
    rest, named = args.vararg.arg if args.vararg else "", args.kwarg.arg if args.kwarg else ""
    return positional, rest, [one.arg for one in args.kwonlyargs], named


def call_with(entry: ast.FunctionDef, header: ast.FunctionDef) -> str | None:
    """Return the call of `entry` that passes on the parameters of `header`; None where it cannot take them."""
    given, rest, named, more = parameters(header)
    taken, any_more, _, _ = parameters(entry)
    if rest or named or more or len(given) < len(taken) - len(entry.args.defaults):
        return None
    if len(given) > len(taken) and not any_more:
        return None
    if any(default is None for default in entry.args.kw_defaults):
        return None
    return f"{entry.name}({', '.join(given)})"


def shifted(code: str, indent: str) -> str:
    """Indent code that starts at any depth to a given one; the inside of strings that span lines stays as it is."""
    tree = parse(code)
    lines = code.split("\n")
    below = 0 if plain(code) else 1  # an indented body is parsed one line lower
    inside = {
        row - below
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))
        for row in range(node.lineno + 1, (node.end_lineno or 0) + 1)
    }
    rows = [row for row, line in enumerate(lines, start=1) if row not in inside and line.strip()]
    margins = {row: margin(lines[row - 1]) for row in rows}
    tab = 8 if any(" " in space for space in margins.values()) else 4  # Python's own where the two are mixed
    widths = {row: len(space.expandtabs(tab)) for row, space in margins.items()}
    old = next((widths[row] for row in rows if not lines[row - 1].lstrip().startswith("#")), 0)
    for row in rows:
        lines[row - 1] = indent + " " * (widths[row] - old) + lines[row - 1].lstrip(" \t")
    return "\n".join(lines)


def margin(line: str) -> str:
    """Return the blanks that a line begins with."""
    return line[: len(line) - len(line.lstrip(" \t"))]


@dataclass(frozen=True)
class Extraction:
    """The program found in a chat answer, how it was found, and whether its block was cut off."""

    program: str | None
    how: Literal["fence", "bare", "none"]
    truncated: bool = False


def extract(text: str, entry_point: str) -> Extraction:
    """Find the program in a chat answer: the last fenced block that defines the entry point, else bare code.

    Reasoning between `<think>` tags is left out. A closed block is preferred to one that the answer's end cut off.
    """
    answer = spoken(text.replace("\r\n", "\n"))
    blocks = [block for block in fenced(answer) if defines(block.program or "", entry_point)]
    closed = [block for block in blocks if not block.truncated]
    if blocks:
        return closed[-1] if closed else blocks[-1]
    code = bare(answer, entry_point)
    return Extraction(code, "bare") if code is not None else Extraction(None, "none")


def spoken(text: str) -> str:
    """Return what follows a model's reasoning; an answer whose reasoning never ended says nothing."""
    _, mark, rest = text.rpartition("</think>")
    answer = rest if mark else text
    return answer.partition("<think>")[0]


def fenced(text: str) -> list[Extraction]:
    """Return the fenced blocks of a Markdown text, in order; one that the end of the text cut off is marked."""
    blocks: list[Extraction] = []
    opening: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        found = FENCE.match(line)
        if opening is None:
            opening, lines = found, []
        elif found and found["mark"].startswith(opening["mark"]) and not found["info"].strip():
            blocks.append(Extraction(unindented(lines, opening["indent"]), "fence"))
            opening = None
        else:
            lines.append(line)
    if opening is not None:
        blocks.append(Extraction(unindented(lines, opening["indent"]), "fence", truncated=True))
    return blocks


def unindented(lines: list[str], indent: str) -> str:
    """Join the lines of a block, less the indentation of its fence (a block inside a list item)."""
    return "\n".join(line.removeprefix(indent) for line in lines) + "\n"


def bare(text: str, entry_point: str) -> str | None:
    """Return the longest stretch of whole lines around the entry point's definition that is Python by itself."""
    lines = textwrap.dedent(text).split("\n")
    wanted = re.compile(rf"(async )?def {re.escape(entry_point)}\b")
    at = next((i for i, line in enumerate(lines) if wanted.match(line)), None)
    if at is None or len(text) > LARGEST:
        return None
    opening = re.compile(r"(import|from|def|class|@)\b|@|[A-Za-z_]\w* *=")
    starts = [i for i, line in enumerate(lines[:at]) if opening.match(line)] + [at]
    ends = [i for i in range(len(lines), at, -1) if i == len(lines) or not lines[i][:1].isspace()]
    for start in (starts[0], at):  # with what stands before the function, else from the function on
        for end in ends[:200]:
            code = "\n".join(lines[start:end]).rstrip() + "\n"
            if plain(code):
                return code
    return None
