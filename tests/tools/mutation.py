"""The mutants of a module: what it would say with one small mistake in it, of the kinds that people make.

Left out is what no test should look at: texts of messages and logs, annotations, decorators, assertions, what is
there for people who debug. And ``strict=True``, which is an assertion.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
# What these say where they differ from other comparisons is said by the change of their operator.
_NEGATED_BY_OPERATOR = ast.Eq | ast.NotEq | ast.Is | ast.IsNot | ast.In | ast.NotIn
_FOR_PEOPLE = {"__repr__", "__str__"}


@dataclass(frozen=True)
class Mutant:
    """The module at ``path`` with ``new`` in place of the bytes from ``start`` to ``end``.

    ``name`` stays the same while its function does, wherever that moves to. ``lines`` are those of what is replaced.
    """

    path: Path
    name: str
    start: int
    end: int
    new: str
    lines: range

    @property
    def source(self) -> str:
        """The text of the module with the mistake."""
        original = self.path.read_bytes()
        return (original[: self.start] + self.new.encode() + original[self.end :]).decode()

    def diff(self, root: Path) -> str:
        """What is different, as a diff without context."""
        before, after = self.path.read_text("utf-8").splitlines(), self.source.splitlines()
        return "\n".join(list(unified_diff(before, after, str(self.path.relative_to(root)), lineterm="", n=0))[2:])


def mutants_of(path: Path, root: Path) -> Iterator[Mutant]:
    """All mutants of a module, in the order of their places; names have its path from ``root``."""
    source = path.read_bytes()
    finder = _Finder()
    finder.visit(ast.parse(source))
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    names = Counter[str]()
    for node, scope, new in finder.found:
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        old = " ".join(source[start:end].decode().split())
        name = f"{path.relative_to(root)} {scope}: {old} -> {new}"
        names[name] += 1
        if names[name] > 1:
            name += f" ({names[name]})"
        yield Mutant(path, name, start, end, new, range(node.lineno, (node.end_lineno or 0) + 1))


def sample(mutants: Iterable[Mutant], seed: int, count: int) -> list[Mutant]:
    """A choice of ``count`` mutants that depends on the seed and their names, and on nothing else."""

    def place(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed} {mutant.name}".encode()).digest()

    return sorted(mutants, key=place)[:count]


class _Finder(ast.NodeVisitor):
    """Finds what to put where: nodes, the functions that they are in, and texts in their place."""

    def __init__(self) -> None:
        self.found: list[tuple[ast.stmt | ast.expr, str, str]] = []
        self._scopes: list[str] = []
        self._returns_bool = False

    def _put(self, node: ast.stmt | ast.expr, *texts: str) -> None:
        scope = ".".join(self._scopes) or "the module"
        self.found += [(node, scope, text) for text in texts]

    # What is defined, and what is left out of it.

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scopes.append(node.name)
        self._visit_all(node.body)
        self._scopes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name in _FOR_PEOPLE:
            return
        self._visit_all([*node.args.defaults, *filter(None, node.args.kw_defaults)])
        outer, self._returns_bool = self._returns_bool, node.returns is not None and ast.unparse(node.returns) == "bool"
        self._scopes.append(node.name)
        self._visit_all(node.body)
        self._scopes.pop()
        self._returns_bool = outer

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_Assert(self, node: ast.Assert) -> None:
        """Left out."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Left out: it is a message, and Python 3.11 does not tell where its parts are."""

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg != "strict":
            self.visit(node.value)

    # Statements.

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Call) or ast.unparse(node.value.func).startswith("log."):
            return
        self._put(node, "pass")
        self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._put(node, "pass")

    def visit_Assign(self, node: ast.Assign) -> None:
        is_state = all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
        if is_state and self._scopes[-1:] not in (["__init__"], ["__post_init__"]):
            self._put(node, "pass")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._put(node, "pass")
        if other := _COMPUTED.get(type(node.op)):
            self._put(node, ast.unparse(ast.AugAssign(node.target, other(), node.value)))
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._put(node, "pass")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None):
            return
        if not self._returns_bool:
            self._put(node, "return None")
        elif _needs_not(node.value):
            self._put(node, f"return not ({ast.unparse(node.value)})")
        self.visit(node.value)

    def visit_Break(self, node: ast.Break) -> None:
        self._put(node, "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._put(node, "break")

    # Conditions.

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self._condition(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._condition(test)
        self.generic_visit(node)

    def _condition(self, node: ast.expr) -> None:
        if _needs_not(node):
            self._put(node, f"(not ({ast.unparse(node)}))")

    # Expressions.

    def visit_Compare(self, node: ast.Compare) -> None:
        for at, operator in enumerate(node.ops):
            operators = [*node.ops[:at], _COMPARED[type(operator)](), *node.ops[at + 1 :]]
            self._put(node, f"({ast.unparse(ast.Compare(node.left, operators, node.comparators))})")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self._put(node, f"({ast.unparse(ast.BoolOp(other, node.values))})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._put(node, f"({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if (other := _COMPUTED.get(type(node.op))) and not _is_of_types_or_texts(node):
            self._put(node, f"({ast.unparse(ast.BinOp(node.left, other(), node.right))})")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._put(node, str(not node.value))
        elif isinstance(node.value, int | float):
            self._put(node, f"{node.value + 1}", f"({node.value - 1})")


def _needs_not(node: ast.expr) -> bool:
    """Whether no other change of a condition is its negation."""
    if isinstance(node, ast.Compare):
        return not (len(node.ops) == 1 and isinstance(node.ops[0], _NEGATED_BY_OPERATOR))
    return not isinstance(node, ast.Constant) and not (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))


def _is_of_types_or_texts(node: ast.BinOp) -> bool:
    """Whether it joins types, or texts: those can only fail at once."""
    sides = (node.left, node.right)
    if isinstance(node.op, ast.BitOr):
        return all(isinstance(each, ast.Name) and each.id[0].isupper() for each in sides)
    return any(isinstance(each, ast.Constant) and isinstance(each.value, str | bytes) for each in sides)
