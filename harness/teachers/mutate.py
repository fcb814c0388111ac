"""Make a correct program faulty by one small edit of its text; nothing is run.

A docstring, a signature and whatever stands before `keep` characters stay, so that a completion of a prompt stays one.
The fault types and what running them shows: `syntax` (does not parse), `logic` (a wrong value, where a check reaches
the edit), `type` (TypeError), `name` (NameError), `timeout` (an endless loop). A caller that needs certainty judges
the result: whether a line is reached is not known from its text.
"""

from __future__ import annotations

import ast
import builtins
import functools
import io
import itertools
import keyword
import random
import tokenize
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Span = tuple[int, int]  # character offsets into the code

FLIPPED: dict[type[ast.cmpop], str] = {
    ast.Lt: ">=",
    ast.LtE: ">",
    ast.Gt: "<=",
    ast.GtE: "<",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
SWAPPED: dict[type[ast.operator], str] = {ast.Add: "-", ast.Sub: "+", ast.FloorDiv: "*", ast.Div: "*"}
DIVIDING = (ast.Div, ast.FloorDiv, ast.Mod)
NUMERIC = (ast.Add, ast.Sub, ast.FloorDiv, ast.Div)


def mutate(code: str, fault: str, rng: random.Random, keep: int = 0) -> str | None:
    """Return the code with one fault of the named type, None where there is no place for it.

    The first `keep` characters stay as they are. The same code, fault and state of `rng` give the same result.
    """
    tree = parsed(code)
    if tree is None:
        return None
    source = Source(code, tree, keep)
    edits = list(MUTATORS[fault](source))
    rng.shuffle(edits)
    for start, end, text in edits:
        faulty = code[:start] + text + code[end:]
        new = parsed(faulty)
        if (new is None) if fault == "syntax" else (new is not None and ast.dump(new) != ast.dump(tree)):
            return faulty
    return None


def parsed(code: str) -> ast.Module | None:
    """Return the syntax tree, None for what is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model's escape sequences are not this program's concern
            tree = ast.parse(code)
            compile(code, "<program>", "exec")  # finds what parsing does not: `return` outside a function
            return tree
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@dataclass(frozen=True)
class Source:
    """A program with its tree and the part of it that may change."""

    code: str
    tree: ast.Module
    keep: int

    @functools.cached_property
    def lines(self) -> list[str]:
        """The lines with their ends, as Python counts them: `str.splitlines` knows more ends of lines."""
        return list(io.StringIO(self.code, newline=""))

    @functools.cached_property
    def starts(self) -> list[int]:
        return [0, *itertools.accumulate(len(line) for line in self.lines)]

    def span(self, node: ast.expr | ast.stmt) -> Span:
        assert node.end_lineno is not None and node.end_col_offset is not None, ast.dump(node)
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def offset(self, line: int, column: int) -> int:
        """Return the character offset of a place that the tree gives in line and UTF-8 bytes."""
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    def bodies(self) -> list[list[ast.stmt]]:
        """Return the lists of statements that may change: the functions' bodies, or the module where there is none."""
        blocks = [without_docstring(function.body) for function in self.functions()] or [self.tree.body]
        blocks = [[node for node in block if self.span(node)[0] >= self.keep] for block in blocks]
        return [block for block in blocks if block]

    def nodes(self, walk: Callable[[ast.AST], Iterator[ast.AST]] = ast.walk) -> list[ast.AST]:
        """Return every node of those bodies once."""
        found: dict[int, ast.AST] = {}
        for block in self.bodies():
            for statement in block:
                found.update((id(node), node) for node in walk(statement))
        return list(found.values())

    def gap(self, left: ast.expr, right: ast.expr) -> Span:
        """Return the span of the operator between two operands, brackets and blanks left out."""
        start, end = self.span(left)[1], self.span(right)[0]
        text = self.code[start:end]
        head = len(text) - len(text.lstrip(" \t\n\\)"))
        tail = len(text) - len(text.rstrip(" \t\n\\("))
        return start + head, end - tail


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return body[1:] if is_text else body


def always(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs whenever the statement runs: no branches, no lambdas, no items behind a filter.

    The first filter of a comprehension, or its item where there is none, counts: it runs on any but an empty input.
    """
    yield node
    match node:
        case ast.Lambda() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Try():
            return
        case ast.IfExp() | ast.If() | ast.While():
            children: list[ast.AST] = [node.test]
        case ast.BoolOp():
            children = [node.values[0]]
        case ast.For():
            children = [node.iter]
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
            first = node.generators[0]
            inner = [first.ifs[0]] if first.ifs else [] if len(node.generators) > 1 else [node.elt]
            children = [first.iter, *inner]
        case _:
            children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from always(child)


def syntax(source: Source) -> Iterator[tuple[int, int, str]]:
    """Drop a bracket or the colon of a statement; where there is none, misspell `return` or lose its value's end."""
    spans = [source.span(node) for block in source.bodies() for node in block]
    found: list[tuple[int, int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source.code, newline="").readline):
        if token.type == tokenize.OP and token.string in "()[]{}:":
            line, column = token.start
            start = source.starts[line - 1] + column
            if any(first <= start < last for first, last in spans):
                found.append((start, start + 1, ""))
    yield from found or broken_returns(source)


def broken_returns(source: Source) -> Iterator[tuple[int, int, str]]:
    for node in source.nodes():
        if isinstance(node, ast.Return) and node.value is not None:
            start, _ = source.span(node)
            yield start, start + len("return"), "retrun"
            if isinstance(node.value, ast.BinOp | ast.UnaryOp):
                last = node.value.right if isinstance(node.value, ast.BinOp) else node.value.operand
                yield *source.span(last), ""


def logic(source: Source) -> Iterator[tuple[int, int, str]]:
    """Flip a comparison, shift a whole number by one, swap an arithmetic operator."""
    nodes = source.nodes()
    fixed = set(numbers_of_loops(nodes))
    divisors = {id(node.right) for node in nodes if isinstance(node, ast.BinOp) and isinstance(node.op, DIVIDING)}
    for node in nodes:
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                yield *source.gap(left, right), FLIPPED[type(op)]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in SWAPPED:
                # A sum of unknown things may be one of strings, which have no difference.
                if not isinstance(op, ast.Add) or is_int(left) or is_int(right):
                    yield *source.gap(left, right), SWAPPED[type(op)]
            case ast.Constant(value=int(value)) if type(value) is int and id(node) not in fixed:
                for other in (value - 1, value + 1):
                    if other != 0 or id(node) not in divisors:
                        yield *source.span(node), f"({other})" if other < 0 else str(other)
            case _:
                pass


def numbers_of_loops(nodes: list[ast.AST]) -> Iterator[int]:
    """Yield the ids of numbers whose change could make a loop endless or a step zero."""
    for node in nodes:
        if isinstance(node, ast.While):
            yield from (id(one) for update in node.body for one in ast.walk(update))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
            yield from (id(one) for one in node.args[2:])
        elif isinstance(node, ast.Slice) and node.step is not None:
            yield from (id(one) for one in ast.walk(node.step))


def is_int(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def kind_error(source: Source) -> Iterator[tuple[int, int, str]]:
    """Make a whole number in a sum or an ordering a string; failing that, add 1 to the returned value as a string."""
    numbers: list[ast.expr] = []
    for node in source.nodes(always):
        match node:
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, NUMERIC):
                numbers += [one for one in (left, right) if is_int(one)]
            case ast.Compare(left=left, ops=[ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()], comparators=[right]):
                numbers += [one for one in (left, right) if is_int(one)]
            case _:
                pass
    for number in numbers:
        start, end = source.span(number)
        yield start, end, f"'{source.code[start:end]}'"
    for node in last_returns(source):
        if node.value is not None:
            start, end = source.span(node.value)
            yield start, end, f"str({source.code[start:end]}) + 1"


def last_returns(source: Source) -> list[ast.Return]:
    """Return the `return` statements that stand in no branch and no loop."""
    return [node for block in source.bodies() for node in block if isinstance(node, ast.Return)]


def name_error(source: Source) -> Iterator[tuple[int, int, str]]:
    """Misspell one use of a name that the function binds."""
    taken = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    taken |= {node.arg for node in ast.walk(source.tree) if isinstance(node, ast.arg)}
    bound = {
        node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    bound |= {node.arg for node in ast.walk(source.tree) if isinstance(node, ast.arg)}
    for node in source.nodes(always):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in bound:
            for other in misspelt(node.id):
                if other.isidentifier() and other not in taken and not is_known(other):
                    yield *source.span(node), other


def misspelt(name: str) -> list[str]:
    """Return near misses of a name: last letter doubled, last letter lost, two letters swapped."""
    found = [name + name[-1]]
    if len(name) > 1:
        found += [name[:-1], name[1] + name[0] + name[2:]]
    return [other for other in found if other != name]


def is_known(name: str) -> bool:
    return keyword.iskeyword(name) or hasattr(builtins, name)


def timeout(source: Source) -> Iterator[tuple[int, int, str]]:
    """Remove the update of a `while` loop; where there is none, put an endless loop before the last return."""
    updates = list(loop_updates(source))
    if updates:
        yield from updates
        return
    for block in source.bodies():
        last = block[-1]
        start, _ = source.span(last)
        begin = source.code.rfind("\n", 0, start) + 1
        indent = source.code[begin:start]
        if indent.strip() == "":
            yield start, start, f"while True:\n{indent}    pass\n{indent}"


def loop_updates(source: Source) -> Iterator[tuple[int, int, str]]:
    for loop in source.nodes():
        if not isinstance(loop, ast.While) or any(isinstance(node, ast.Break | ast.Return) for node in ast.walk(loop)):
            continue
        watched = {node.id for node in ast.walk(loop.test) if isinstance(node, ast.Name)}
        updates = [one for one in loop.body if target_of(one) in watched]
        if len(updates) == 1:
            yield *source.span(updates[0]), "pass"


def target_of(statement: ast.stmt) -> str | None:
    """Return the one name that a statement assigns."""
    match statement:
        case ast.AugAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return None


MUTATORS: dict[str, Callable[[Source], Iterator[tuple[int, int, str]]]] = {
    "syntax": syntax,
    "logic": logic,
    "type": kind_error,
    "name": name_error,
    "timeout": timeout,
}
