"""Losses as layers: each is the function of its name, with the options that it keeps."""

import numpy as np
import pytest

import tinygrad_lite.nn.functional as F
from tinygrad_lite import Tensor, nn

WEIGHT = Tensor([0.5, 1.0, 2.0, 4.0])
LABELS = np.array([0, 3, 1, 0, 2])


@pytest.fixture
def logits(rng):
    return Tensor(rng.standard_normal((5, 4)))


@pytest.fixture
def targets(rng):
    return Tensor(rng.dirichlet(np.ones(4), size=5))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy(reduction, logits, targets):
    options = {"reduction": reduction, "label_smoothing": 0.1}
    layer = nn.CrossEntropyLoss(WEIGHT, ignore_index=1, **options)
    by_labels = F.cross_entropy(logits, LABELS, weight=WEIGHT, ignore_index=1, **options)
    by_targets = F.cross_entropy(logits, targets, weight=WEIGHT, **options)
    np.testing.assert_array_equal(layer(logits, LABELS).numpy(), by_labels.numpy())
    np.testing.assert_array_equal(layer(logits, targets).numpy(), by_targets.numpy())


def test_the_weights_of_the_classes_move_with_the_loss():
    assert nn.CrossEntropyLoss(WEIGHT).to("float64").weight.dtype == "float64"


@pytest.mark.parametrize("reduction", ["mean", "batchmean", "sum", "none"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(reduction, log_target, logits, targets):
    x, t = F.log_softmax(logits, 1), targets.log() if log_target else targets
    options = {"reduction": reduction, "log_target": log_target}
    np.testing.assert_array_equal(nn.KLDivLoss(**options)(x, t).numpy(), F.kl_div(x, t, **options).numpy())


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_mse(reduction, logits, targets):
    expected = F.mse_loss(logits, targets, reduction=reduction)
    np.testing.assert_array_equal(nn.MSELoss(reduction)(logits, targets).numpy(), expected.numpy())


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.KLDivLoss()])
def test_a_prediction_is_not_broadcast_against_its_target(loss):
    with pytest.raises(ValueError, match=r"need the same shape.*got input \(5, 1\), target \(5,\)"):
        loss(Tensor(np.ones((5, 1))), Tensor(np.ones(5)))
