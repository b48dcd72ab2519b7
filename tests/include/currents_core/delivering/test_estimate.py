from __future__ import annotations

import pytest

from currents_core.delivering.estimate import Estimate, estimate
from currents_core.file_key import SourceFile
from tests.tools.house import HOUR, OPEN, House, table
from tests.tools.sample import make_files


def put(house: House, name: str, rows: int) -> SourceFile:
    return house.put(OPEN, name, table([f"{name}-{row}" for row in range(rows)]))


def test_files_with_footers_tell_their_rows() -> None:
    house = House()
    files = [put(house, f"{number}.parquet", number) for number in range(15)]
    found = estimate(house.source, files)
    assert (found.files, found.events, found.looked_at) == (15, sum(range(15)), 15)
    assert found.bytes == sum(file.size for file in files)


def test_a_few_of_many_files_stand_for_all_of_them() -> None:
    house = House()
    files = [put(house, f"{number}.parquet", 50 + number) for number in range(100)]
    found = estimate(house.source, files)
    assert found.looked_at == 20
    assert found.events == pytest.approx(sum(50 + number for number in range(100)), rel=0.05)


def test_files_of_avro_tell_their_rows_in_their_beginning() -> None:
    house = House()
    [sample] = make_files([HOUR], [OPEN], rows=3_000)
    files = [house.put(OPEN, f"{codec}.avro", sample.avro(codec)) for codec in ("null", "deflate")]
    found = estimate(house.source, files)
    assert found.events == pytest.approx(6_000, rel=0.05)
    assert found.looked_at == 2


def test_files_that_tell_nothing_count_by_their_size() -> None:
    house = House()
    whole, damaged = put(house, "a.parquet", 100), house.put(OPEN, "b.parquet", b"x" * 500)
    avro = house.put(OPEN, "c.avro", b"Obj\x01" + b"x" * whole.size)
    found = estimate(house.source, [whole, damaged, avro])
    assert found.events == round(100 * (whole.size + damaged.size + avro.size) / whole.size)
    assert found.looked_at == 1


def test_where_no_file_tells_nobody_knows() -> None:
    house = House()
    files = [house.put(OPEN, "a.avro", b"Obj\x01"), house.put(OPEN, "b.parquet", b""), put(house, "c.parquet", 9)]
    house.source.delete(files[-1].key)
    assert estimate(house.source, files) == Estimate(3, sum(file.size for file in files), None)
    assert estimate(house.source, []) == Estimate(0, 0, 0)


def test_a_few_large_files_among_many_small_ones_are_not_missed() -> None:
    house = House()
    files = [put(house, f"small{number}.parquet", 3) for number in range(100)]
    files += [put(house, f"large{number}.parquet", 9_000) for number in range(3)]
    found = estimate(house.source, files)
    assert found.events == pytest.approx(27_300, rel=0.1)
    assert found.looked_at <= 20
