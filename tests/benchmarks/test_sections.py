"""RESULTS.md: what one command rewrites, and what it leaves alone."""

from __future__ import annotations

from benchmarks.sections import RESULTS, kept, replaced, section

HEAD = "# Results\nWritten.\n"
A, B = section("run a", "1\n\n 2 \n"), section("run b", "3")
TEXT = "\n".join([HEAD, A, B])


def test_a_section_has_no_empty_lines() -> None:
    assert A == "## `run a`\n```\n1\n 2\n```\n"


def test_only_the_section_of_the_command_is_replaced() -> None:
    new = section("run a", "4")
    assert replaced(TEXT, "run a", new) == "\n".join([HEAD, new, B])
    assert replaced(TEXT, "run a", A) == TEXT


def test_a_new_section_goes_to_the_end() -> None:
    new = section("run c", "4")
    assert replaced(TEXT, "run c", new) == f"{TEXT}\n{new}"


def test_the_sections_of_others_are_kept() -> None:
    assert kept(TEXT, ["run a"]) == B
    assert kept(TEXT, ["run a", "run b"]) == ""


def test_the_file_is_made_of_such_sections() -> None:
    text = RESULTS.read_text("utf-8")
    sections = kept(text, [])
    assert text.endswith(sections)
    assert sections.startswith("## `python -m benchmarks.")
