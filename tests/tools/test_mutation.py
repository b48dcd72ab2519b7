from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.tools.airflow_env import PYTHONPATH
from tests.tools.mutation import Mutant, mutants_of, sample
from tests.tools.mutation_run import CORE, EQUIVALENT, Judged, equivalents, is_enough, report


def made(folder: Path, text: str) -> list[Mutant]:
    path = folder / "module.py"
    path.write_text(dedent(text))
    return list(mutants_of(path, folder))


def changes(folder: Path, text: str) -> list[str]:
    """What the mutants of a text say in place of a part of it."""
    return [each.name.partition(" -> ")[2] for each in made(folder, text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = b < c", ["(b <= c)"]),
        ("a = b <= c < d", ["(b < c < d)", "(b <= c <= d)"]),
        ("a = b == 'x'", ["(b != 'x')"]),
        ("a = b not in c", ["(b in c)"]),
        ("a = b - c", ["(b + c)"]),
        ("a = b and c", ["(b or c)"]),
        ("a = not b", ["(b)"]),
        ("a = 3", ["4", "(2)"]),
        ("a = True", ["False"]),
        ("a.b = c", ["pass"]),
        ("a += b", ["pass", "a -= b"]),
        ("f(b)", ["pass"]),
        ("a = b if c else d", ["(not (c))"]),
        ("a = [b for b in c if d(b)]", ["(not (d(b)))"]),
        ("for a in b:\n    break", ["continue"]),
        ("for a in b:\n    if a == c:\n        continue", ["(a != c)", "break"]),
        ("def f():\n    return g()", ["return None"]),
        ("def f() -> bool:\n    return g()", ["return not (g())"]),
        ("def f():\n    raise ValueError(1)", ["pass"]),
    ],
)
def test_each_kind_of_mistake_is_made(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert changes(tmp_path, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"""Docs with 1 + 1."""',
        "a: Literal[1]",
        "log.info('%s', 1 + 1)",
        "a = f'{1 + 1} of {not b}'",
        "assert a == 1, 'one'",
        "def __repr__(self):\n    return str(1)",
        "@cache(1)\ndef f(a: x[1]) -> y[1]: ...",
        "if TYPE_CHECKING:\n    a = 1",
        "a = zip(b, c, strict=True)",
        "a = 'x' + b",
        "a = isinstance(b, C | D)",
        "def f():\n    return None",
    ],
)
def test_nothing_is_changed_that_no_test_should_look_at(tmp_path: Path, text: str) -> None:
    assert changes(tmp_path, text) == []


def test_a_mutant_says_where_it_is_and_differs_in_one_place(tmp_path: Path) -> None:
    text = 'class A:\n    """Ä."""\n\n    def f(self, b):\n        return "ä", (b <\n            1)\n'
    mutant = next(each for each in made(tmp_path, text) if "<=" in each.new)
    assert mutant.name == "module.py A.f: b < 1 -> (b <= 1)"
    assert mutant.source == text.replace("b <\n            1", "(b <= 1)")
    assert list(mutant.lines) == [5, 6]
    assert mutant.diff(tmp_path).splitlines()[1:] == [
        '-        return "ä", (b <',
        "-            1)",
        '+        return "ä", ((b <= 1))',
    ]


def test_every_mutant_of_the_core_can_be_compiled_and_has_a_name_of_its_own() -> None:
    mutants = [mutant for path in CORE.modules for mutant in mutants_of(path, CORE.sources)]
    assert len({mutant.name for mutant in mutants}) == len(mutants) > 2_000
    for mutant in mutants[::20]:
        compile(mutant.source, mutant.path, "exec")


def test_the_same_seed_gives_the_same_mutants_wherever_they_move_to(tmp_path: Path) -> None:
    text = "".join(f"def f{n}(a):\n    return a + {n}\n" for n in range(50))
    first = sample(made(tmp_path, text), 1, 20)
    moved = sample(made(tmp_path, "import os\n\n" + text), 1, 20)
    assert [each.name for each in first] == [each.name for each in moved]
    assert [each.name for each in first] != [each.name for each in sample(made(tmp_path, text), 2, 20)]
    assert [each.name for each in first[:5]] == [each.name for each in sample(made(tmp_path, text), 1, 5)]


def test_what_is_told_to_be_equivalent_is_there_and_has_a_reason() -> None:
    everything = {mutant.name for path in CORE.modules for mutant in mutants_of(path, CORE.sources)}
    assert equivalents(EQUIVALENT.read_text("utf-8")) <= everything
    with pytest.raises(KeyError, match="reason"):
        equivalents('[[equivalent]]\nmutant = "a"')


TOY = """
LIMIT = 3

def small(n):
    return n < LIMIT

def sum_to(n):
    total = 0
    while n > 0:
        total += n
        n -= 1
    return total

def unused():
    return 5
"""
TESTS = """
from toy.sums import small, sum_to

def test_sum():
    assert sum_to(3) == 6

def test_small():
    assert small(2) and not small(4)
"""
RUN = """
import json, sys
from pathlib import Path
from tests.tools import mutation_run
from tests.tools.mutation import mutants_of
from tests.tools.mutation_reach import Project

mutation_run._WORKS = 3.0
root = Path(sys.argv[1])
toy = Project(root, root / "src", ["toy"], ["test_sums.py"])
mutants = [mutant for path in toy.modules for mutant in mutants_of(path, toy.sources)]
print(json.dumps({each.mutant.name: each.verdict for each in mutation_run.judge(toy, mutants)}))
"""


def test_mutants_are_killed_time_out_survive_or_are_not_reached(tmp_path: Path) -> None:
    (tmp_path / "src/toy").mkdir(parents=True)
    (tmp_path / "src/toy/sums.py").write_text(TOY)
    (tmp_path / "test_sums.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = src\nmarkers = slow\n")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": PYTHONPATH, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    name = "toy/sums.py {}: {} -> {}".format
    assert found[name("small", "n < LIMIT", "(n <= LIMIT)")] == "survived"
    assert found[name("small", "return n < LIMIT", "return None")] == "killed"
    assert found[name("the module", "3", "(2)")] == "killed"
    assert found[name("the module", "3", "4")] == "survived"
    assert found[name("sum_to", "total += n", "total -= n")] == "killed"
    assert found[name("sum_to", "n -= 1", "pass")] == "timed out"
    assert found[name("unused", "5", "6")] == "not reached"


def test_the_report_lists_survivors_and_counts_what_timed_out_as_killed(tmp_path: Path) -> None:
    one, two, three, *_ = made(tmp_path, "a = 1\nb = 2\n")
    told = report([Judged(one, "survived"), Judged(two, "timed out"), Judged(three, "killed")], tmp_path, 1.0)
    assert "module.py:1 survived\n@@ -1 +1 @@\n-a = 1\n+a = 2\n" in told
    assert "3 mutants, 2 killed (1 of them timed out), 1 survived: 66.7% killed" in told


def test_fewer_than_85_of_100_killed_are_too_few(tmp_path: Path) -> None:
    mutant = made(tmp_path, "a = 1")[0]
    killed, alive = Judged(mutant, "killed"), Judged(mutant, "not reached")
    assert is_enough([killed] * 85 + [alive] * 15)
    assert not is_enough([killed] * 84 + [alive] * 16)
