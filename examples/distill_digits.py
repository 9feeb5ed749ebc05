"""Distill a large digit classifier into a small one that has only 10 labels a class.

Run:     python examples/distill_digits.py          (measured: 9 seconds, one core)
Shows:   a table of errors: teacher, student alone, student distilled; and out/distill_digits.png
Expect:  the distilled student errs at most half as often as the one trained alone (mean of 3 seeds)
Read:    techniques/distillation/losses.py; Hinton et al. 2015, arXiv:1503.02531
"""

import numpy as np

from techniques.distillation.losses import UNLABELED, distillation_loss
from techniques.models import CNN, MLP
from tinygrad_lite import manual_seed, no_grad, set_num_threads, viz
from tinygrad_lite.data import DataLoader, TensorDataset
from tinygrad_lite.data.datasets import digits
from tinygrad_lite.nn.functional import cross_entropy
from tinygrad_lite.optim import AdamW, WarmupCosine


def main(epochs: int = 30, seed: int = 0) -> dict[str, float]:
    # 1,437 pictures (1, 8, 8). The student is told the class of 100 of them.
    (images, labels), test = digits()
    rng = np.random.default_rng(seed)
    few = np.concatenate([rng.permutation(np.flatnonzero(labels == k))[:10] for k in range(10)])
    some_labels = np.full_like(labels, UNLABELED)
    some_labels[few] = labels[few]
    few = np.resize(few, len(labels))  # over and over, so that an epoch has as many steps as with all

    def batches(images, labels):
        return DataLoader(TensorDataset(images, labels), 32, shuffle=True, seed=seed, drop_last=True)

    manual_seed(seed)
    teacher = CNN(widths=(32, 64))  # 65,834 parameters
    alone, distilled = MLP(64, 64, 10), MLP(64, 64, 10)  # 4,810 each
    distilled.load_state_dict(alone.state_dict())

    train(teacher, batches(images, labels), max(1, epochs * 2 // 5))
    train(alone, batches(images[few], labels[few]), epochs)
    distill(teacher=teacher, student=distilled, loader=batches(images, some_labels), epochs=epochs)

    models = {"teacher": teacher, "student alone": alone, "student distilled": distilled}
    errors = {name: 100 * error(model, *test) for name, model in models.items()}
    for name, percent in errors.items():
        print(f"{name:<18} {percent:5.1f} % error")
    bars = {name: (percent, 0.0) for name, percent in errors.items()}
    print(viz.bars("out/distill_digits.png", bars, xlabel="error on the test part, %"))
    return errors


def train(model, loader, epochs):
    """Learn from labels."""
    optimizer, schedule = with_schedule(model, epochs * len(loader))
    model.train()
    for epoch in range(epochs):
        for data, labels in loader.batches(epoch):
            loss = cross_entropy(model(data), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def distill(*, teacher, student, loader, epochs):
    """Learn from a teacher, and from what labels there are."""
    optimizer, schedule = with_schedule(student, epochs * len(loader))
    teacher.eval()  # its dropout rests and its statistics stay
    student.train()
    for epoch in range(epochs):
        for data, labels in loader.batches(epoch):
            with no_grad():
                teacher_logits = teacher(data)
            student_logits = student(data)
            loss = distillation_loss(student_logits, teacher_logits, labels, temperature=4.0, alpha=0.9)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def with_schedule(model, steps):
    """AdamW, and its learning rate: up to 0.005, then slowly down to 0."""
    optimizer = AdamW(model.parameters(), lr=5e-3)
    return optimizer, WarmupCosine(optimizer, warmup=steps // 10, total=steps)


def error(model, images, labels):
    """The share of pictures that the model takes for another class."""
    model.eval()
    with no_grad():
        logits = model(images)
    return float(np.mean(logits.numpy().argmax(axis=1) != labels))


if __name__ == "__main__":
    set_num_threads(1)  # of BLAS: matrices this small are not faster with more
    main()
