"""What every test may use."""

from importlib.util import find_spec

import numpy as np
import pytest

# The tests against torch run where torch is installed (as CI does for them): elsewhere there are none.
collect_ignore_glob = [] if find_spec("torch") else ["peers/*"]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
