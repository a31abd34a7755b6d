"""The door's own rules: whose Host it answers to, how wrong keys are slowed, how rates refill."""

from __future__ import annotations

import pytest

from pronk.api.guesses import FREE, LONGEST, Guesses
from pronk.api.rates import Rates, span
from pronk.api.visitor import Visitor
from pronk.domain.key import Scope, granted, hash_of, new_secret

OWN = ["127.0.0.1", "127.0.0.1:8000", "localhost", "LOCALHOST:80", "[::1]", "[::1]:8000"]
FOREIGN = [
    None, "", ":8000", "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io", "localhost.",
    "127.0.0.1.", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.2", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "::1",  # noqa: S104
    "localhost:", "localhost:99999", "localhost:80:80", "localhost:x", "user@localhost", "localhost@evil.example",
    "localhost#", "localhost/", "localhost\\", " localhost", "localhost ", "localhost,evil.example", "ⓛocalhost", "xn--localhost",
]  # fmt: skip


@pytest.mark.parametrize("host", OWN)
def test_its_own_names_are_this_machines(host: str) -> None:
    assert Visitor(address="127.0.0.1", host=host).names_this_machine


@pytest.mark.parametrize("host", FOREIGN)
def test_other_names_are_not(host: str | None) -> None:
    assert not Visitor(address="127.0.0.1", host=host).names_this_machine


@pytest.mark.parametrize(
    ("origin", "site", "is_foreign"),
    [
        (None, None, False),
        ("http://localhost:8000", "same-origin", False),
        (None, "none", False),
        ("http://localhost:9000", None, True),
        ("https://evil.example", None, True),
        ("null", None, True),
        (None, "cross-site", True),
        (None, "same-site", True),
    ],
)
def test_requests_of_foreign_pages_are_known(
    origin: str | None, site: str | None, *, is_foreign: bool
) -> None:
    visitor = Visitor(address="127.0.0.1", host="localhost:8000", origin=origin, site=site)
    assert visitor.is_of_a_foreign_page is is_foreign


def test_what_a_proxy_passes_on_is_not_this_machine() -> None:
    assert Visitor(address="127.0.0.1", host="localhost").is_this_machine
    assert not Visitor(address="127.0.0.1", host="localhost", is_forwarded=True).is_this_machine
    assert not Visitor(address="10.0.0.1", host="localhost").is_this_machine
    assert not Visitor(address="", host="localhost").is_this_machine


def test_wrong_keys_wait_longer_and_longer_and_are_forgiven() -> None:
    guesses, now = Guesses(), 100.0
    for _ in range(FREE - 1):
        guesses.wrong("10.0.0.1", now=now)
        assert guesses.wait("10.0.0.1", "x", now=now) == 0
    waits = []
    for _ in range(9):
        guesses.wrong("10.0.0.1", now=now)
        waits.append(guesses.wait("10.0.0.1", "x", now=now))
        now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST, LONGEST]
    assert guesses.wait("10.0.0.2", "x", now=now) == 0
    guesses.wrong("10.0.0.1", now=now + 3600)
    assert guesses.wait("10.0.0.1", "x", now=now + 3600) == 0


def test_a_right_key_is_not_locked_out_by_its_neighbours() -> None:
    guesses = Guesses()
    guesses.right("10.0.0.1", "mine")
    for _ in range(FREE + 5):
        guesses.wrong("10.0.0.1", now=0.0)
    assert guesses.wait("10.0.0.1", "mine", now=0.0) == 0
    assert guesses.wait("10.0.0.1", "other", now=0.0) > 0
    assert guesses.wait("10.0.0.9", "mine", now=0.0) == 0
    guesses.forget("10.0.0.1", "mine")
    assert guesses.wait("10.0.0.1", "mine", now=0.0) > 0


def test_one_subscribers_many_addresses_are_one() -> None:
    guesses = Guesses()
    for number in range(FREE):
        guesses.wrong(f"2001:db8:1:2::{number:x}", now=0.0)
    assert guesses.wait("2001:db8:1:2:ffff::1", "x", now=0.0) > 0
    assert guesses.wait("2001:db8:1:3::1", "x", now=0.0) == 0
    for _ in range(FREE):
        guesses.wrong("::ffff:10.0.0.1", now=0.0)
    assert guesses.wait("10.0.0.1", "x", now=0.0) > 0


def test_memory_is_bounded_however_many_guess() -> None:
    guesses = Guesses()
    for number in range(30_000):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        guesses.wrong(address, now=0.0)
        guesses.right(address, "k")
    assert len(guesses) == 20_000


def test_rates_refill_evenly() -> None:
    rates = Rates()
    first = [rates.take("p", 6, now=100.0) for _ in range(7)]
    assert [reading.remaining for reading in first] == [5, 4, 3, 2, 1, 0, 0]
    assert [reading.retry_after for reading in first] == [0, 0, 0, 0, 0, 0, 10]
    assert rates.take("q", 6, now=100.0).remaining == 5
    assert rates.take("p", 6, now=109.9).retry_after == pytest.approx(0.1)
    assert rates.take("p", 6, now=110.0).retry_after == 0
    assert rates.take("p", 6, now=10_000.0).remaining == 5
    headers = dict(first[6].headers("requests"))
    assert headers == {
        b"x-ratelimit-limit-requests": b"6",
        b"x-ratelimit-remaining-requests": b"0",
        b"x-ratelimit-reset-requests": b"1m0s",
    }
    assert [span(0.017), span(6.25), span(360.0), span(7500.0)] == ["17ms", "6.2s", "6m0s", "2h5m0s"]


def test_scopes_include_the_lesser_ones() -> None:
    assert granted([]) == frozenset()
    assert granted([Scope.READ]) == {Scope.READ}
    assert granted([Scope.WRITE]) == {Scope.READ, Scope.WRITE}
    assert granted([Scope.ADMIN, Scope.READ]) == set(Scope)


def test_keys_are_long_and_all_different() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(key.startswith("pronk_") and len(key) == 49 for key in made)
    assert len(hash_of("\ud800")) == 64
