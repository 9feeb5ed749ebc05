"""What every test may use."""

from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest

from tests import strict_cupy
from tinygrad_lite import backend, set_num_threads

# The tests against torch run where torch is installed (as CI does for them): elsewhere there are none.
collect_ignore_glob = [] if find_spec("torch") else ["peers/*"]


set_num_threads(1)  # the matrices are small, and the same bits come out on any number of cores


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cupy",
        choices=("strict", "real"),
        default="strict",
        help="what GPU tests run on: a strict stand-in for CuPy, without a GPU (the default), or CuPy",
    )


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def cuda(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The device "cuda": the stand-in, or with --cupy=real a GPU."""
    monkeypatch.setattr(backend, "_cuda", {})
    backend.manual_seed(0)  # no generator of the one is left for the other
    if request.config.getoption("--cupy") == "real":
        yield "cuda"
        return
    strict_cupy.install()
    yield "cuda"
    strict_cupy.uninstall()
    backend.manual_seed(0)
