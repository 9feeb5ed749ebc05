"""What the tests of optimizers share."""

import pytest


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """Each test on NumPy, and on the stand-in for CuPy."""
    return "cpu" if request.param == "cpu" else request.getfixturevalue("cuda")
