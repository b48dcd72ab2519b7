from __future__ import annotations

import gzip
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from currents_aws.memory import MemoryObjects
from currents_core.books import sections
from currents_core.books.sections import Section, SectionedPage, copy_section, parse_name, section_name
from currents_core.errors import FileError


@given(st.lists(st.lists(st.binary(max_size=20), max_size=5), max_size=5), st.integers(1, 40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_section_is_read_alone_and_copied_whole(
    monkeypatch: pytest.MonkeyPatch, parts: list[list[bytes]], at_a_time: int
) -> None:
    monkeypatch.setattr(sections, "_PART", at_a_time)
    store = MemoryObjects("state")
    with SectionedPage() as page, SectionedPage() as other:
        found = [page.add(lines) for lines in parts]
        page.body.seek(0)
        body = page.body.read()
        assert page.size == len(body)
        assert [each is None for each in found] == [not lines for lines in parts]
        store.write("a page", body)
        other.add([b"something before"])
        for section, lines in zip(found, parts, strict=True):
            if section:
                into = BytesIO()
                copy_section(store, "a page", section, into)
                assert into.getvalue() == body[section.start : section.stop]
                assert gzip.decompress(into.getvalue()) == b"".join(lines)
                copied = other.copy(page.body, section)
                other.body.seek(copied.start)
                assert other.body.read(copied.size) == into.getvalue()
                assert other.size == copied.stop


def test_the_same_lines_give_the_same_bytes_whenever_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with SectionedPage() as page:
        first = page.add([b"a line"])
        monkeypatch.setattr("time.time", lambda: 1e9)
        second = page.add([b"a line"])
        assert first
        assert second
        page.body.seek(0)
        assert page.body.read(first.size) == page.body.read(second.size)


def test_a_name_tells_the_page_and_the_section() -> None:
    section = Section(120, 34)
    assert parse_name(section_name("1-token-2.letters", section)) == ("1-token-2.letters", section)
    assert parse_name("1-token-2.letters") == ("1-token-2.letters", None)


def test_a_section_of_a_page_that_is_gone_is_named() -> None:
    with pytest.raises(FileError, match="s3://state/a page"):
        copy_section(MemoryObjects("state"), "a page", Section(0, 5), BytesIO())
