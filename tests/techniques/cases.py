"""Cases of the techniques' losses: written as those of the ops in tinygrad_lite.checking.cases."""

from techniques.contrastive.losses import nt_xent
from techniques.diffusion.losses import noise_prediction_loss
from techniques.distillation.losses import distillation_loss, regression_distillation_loss
from tinygrad_lite.checking.cases.case import Case, constant, normal, strided

SOME_LABELED = constant([2, -100, 0, 4, -100])


def by_algorithm_1(t, z1, z2, temperature):
    """NT-Xent as in Chen et al. 2020, Algorithm 1, on torch's tensors: pair by pair."""
    z = t.cat([z1, z2])
    n = z.shape[0]
    total = 0
    for i in range(n):
        similarity = [(z[i] * z[k]).sum() / (z[i].norm() * z[k].norm()) / temperature for k in range(n)]
        others = t.stack([t.exp(similarity[k]) for k in range(n) if k != i]).sum()
        total = total - t.log(t.exp(similarity[(i + n // 2) % n]) / others)
    return total / n


def either(ours, theirs):
    """A case's function: `ours` on this framework, `theirs`, a second implementation, on torch."""
    return lambda t, *xs: (ours if t.__name__ == "tinygrad_lite" else lambda *a: theirs(t, *a))(*xs)


def composed_distillation(t, s, teacher, labels, T, alpha):
    F = t.nn.functional
    soft = F.kl_div(F.log_softmax(s / T, 1), F.softmax(teacher.detach() / T, 1), reduction="batchmean")
    hard = F.cross_entropy(s, labels) if bool((labels != -100).any()) else 0
    return alpha * T**2 * soft + (1 - alpha) * hard


CASES = [
    Case(
        "distillation: some labels",
        either(
            lambda s, teacher, labels: distillation_loss(s, teacher, labels, 3.0, 0.7),
            lambda t, s, teacher, labels: composed_distillation(t, s, teacher, labels, 3.0, 0.7),
        ),
        (normal(5, 7), normal(5, 7, std=2), SOME_LABELED),
        wrt=(0,),
    ),
    Case(
        "distillation: no labels, T below 1",
        either(
            lambda s, teacher, labels: distillation_loss(s, teacher, labels, 0.5, 0.3),
            lambda t, s, teacher, labels: composed_distillation(t, s, teacher, labels, 0.5, 0.3),
        ),
        (normal(3, 5), normal(3, 5), constant([-100, -100, -100])),
        wrt=(0,),
    ),
    Case(
        "regression distillation",
        either(
            lambda s, teacher, y: regression_distillation_loss(s, teacher, y, 0.3),
            lambda t, s, teacher, y: 0.3 * ((s - teacher) ** 2).mean() + 0.7 * ((s - y) ** 2).mean(),
        ),
        (normal(3, 5), normal(3, 5), normal(3, 5)),
        wrt=(0,),
    ),
    Case(
        "nt_xent",
        either(lambda a, b: nt_xent(a, b, 0.5), lambda t, a, b: by_algorithm_1(t, a, b, 0.5)),
        (normal(3, 5), normal(3, 5)),
    ),
    Case(
        "nt_xent: low temperature, long and short rows",
        either(lambda a, b: nt_xent(a, b, 0.1), lambda t, a, b: by_algorithm_1(t, a, b, 0.1)),
        (normal(5, 3, std=10), normal(5, 3, std=0.3)),
    ),
    Case(
        "nt_xent: one pair, whose loss is 0",
        either(lambda a, b: nt_xent(a, b, 0.5), lambda t, a, b: by_algorithm_1(t, a, b, 0.5)),
        (normal(1, 3), normal(1, 3)),
    ),
    Case(
        "noise prediction",
        either(noise_prediction_loss, lambda t, e, noise: ((e - noise) ** 2).mean()),
        (normal(3, 1, 5, 7), normal(3, 1, 5, 7)),
    ),
    Case(
        "noise prediction: backwards in memory",
        either(noise_prediction_loss, lambda t, e, noise: ((e - noise) ** 2).mean()),
        (strided(normal(3, 5)), strided(normal(3, 5))),
    ),
    Case(
        "noise prediction: one number",
        either(noise_prediction_loss, lambda t, e, noise: ((e - noise) ** 2).mean()),
        (normal(), normal()),
    ),
]
