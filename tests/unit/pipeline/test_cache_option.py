"""The address of a shared cache, as a user types it."""

from pathlib import Path
from unittest import mock

import pytest

from scripts.console import Console
from scripts.errors import UsageError
from scripts.pipeline import facts, reproduce, request
from scripts.pipeline.build import Builder
from scripts.pipeline.variations import AS_IT_IS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cache.test", "must be an address"),
        ("ftp://cache.test", "must be an address"),
        ("https://", "must be an address"),
        ("https://me:secret@cache.test", "netrc"),
        ("https://cache.test/?a=b", "must end with its path"),
        ("http://[cache", "Invalid IPv6 URL"),
        ("http://127.0.0.1:99999", "Port out of range 0-65535"),
        ("http://cache.test:eighty/a", "Port could not be cast"),
        ("http://cache.test:0", "a port from 1 to 65535"),
    ],
)
def test_what_is_no_address_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        request.make(cache=text)


def test_a_slash_at_the_end_is_left_out() -> None:
    assert request.make(cache="https://cache.test/a/").cache == "https://cache.test/a"


def test_writing_needs_a_cache() -> None:
    with pytest.raises(UsageError, match="--cache-write needs a cache"):
        request.make(cache_write=True)


def test_neither_is_a_parameter_of_what_is_built() -> None:
    assert {"cache", "cache_write"} <= set(facts.HOW)


def test_a_refusal_does_not_repeat_a_password() -> None:
    with pytest.raises(UsageError) as refusal:
        request.make(cache="https://me:secret@cache.test")
    assert "secret" not in str(refusal.value)


def test_what_is_reproduced_is_built_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[request.Request] = []
    monkeypatch.setattr(Builder, "build", lambda self, build, stages: requests.append(build))
    builder = Builder(client=mock.Mock(), image=mock.Mock(), console=Console())
    build = request.make(cache="https://cache.test", cache_write=True)
    reproduce._build(builder, build, tmp_path, AS_IT_IS)
    assert [(fresh.cache, fresh.cache_write) for fresh in requests] == [("", False)]
