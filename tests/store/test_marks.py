"""Marks belong to a line of a batch and to its project."""

from __future__ import annotations

import pytest
from tests.store.scenes import ELSEWHERE, NOW, add_batch

from pronk.domain.ids import DEFAULT_PROJECT
from pronk.store.store import Store

pytestmark = pytest.mark.anyio


async def test_a_line_has_one_mark_which_can_be_changed_and_taken_away(store: Store) -> None:
    batch_id = await add_batch(store)
    for line, mark in ((3, "good"), (1, "bad"), (3, "ü '; --")):
        await store.marks.put(DEFAULT_PROJECT, batch_id, line, mark, now=NOW)
    assert await store.marks.of_batch(DEFAULT_PROJECT, batch_id) == {1: "bad", 3: "ü '; --"}
    assert await store.marks.of_batch(ELSEWHERE, batch_id) == {}
    await store.marks.put(ELSEWHERE, batch_id, 1, None, now=NOW)
    await store.marks.put(DEFAULT_PROJECT, batch_id, 3, None, now=NOW)
    assert await store.marks.of_batch(DEFAULT_PROJECT, batch_id) == {1: "bad"}


async def test_many_lines_are_marked_alike_and_their_marks_taken_away(store: Store) -> None:
    batch_id = await add_batch(store)
    await store.marks.put(DEFAULT_PROJECT, batch_id, 7, "good", now=NOW)
    await store.marks.put_all(DEFAULT_PROJECT, batch_id, range(5, 2106), "bad", now=NOW)
    assert await store.marks.of_batch(DEFAULT_PROJECT, batch_id) == dict.fromkeys(range(5, 2106), "bad")
    await store.marks.put_all(DEFAULT_PROJECT, batch_id, range(6, 3000), None, now=NOW)
    assert await store.marks.of_batch(DEFAULT_PROJECT, batch_id) == {5: "bad"}
    await store.marks.put_all(DEFAULT_PROJECT, batch_id, [], "x", now=NOW)
