"""What tests of kernels may use."""

from collections.abc import Iterator

import pytest

from tinygrad_lite import set_num_threads, threads


@pytest.fixture(params=[1, 3], ids=["one thread", "three threads"])
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Work however small is cut into runs for so many threads."""
    monkeypatch.setattr(threads, "SMALL", 1)
    monkeypatch.setattr(threads, "WORTH", 1)
    set_num_threads(request.param)
    yield request.param
    set_num_threads(1)
