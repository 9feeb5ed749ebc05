"""Learn from 1,437 digits without a label, then classify with 10 labels a class.

Run:     python examples/contrast_digits.py          (measured: 14 seconds, one core)
Shows:   the accuracy of one linear classifier on three kinds of features; out/contrast_digits.png
Expect:  contrastive features: about 96 % right; pixels at least 3 points less, a random backbone 10
Read:    techniques/contrastive/losses.py; Chen et al. 2020, arXiv:2002.05709
"""

import numpy as np

from techniques.contrastive.augment import augment
from techniques.contrastive.losses import nt_xent
from techniques.contrastive.use import embed, fit_classifier
from techniques.models import MLP, ResNet
from tinygrad_lite import manual_seed, set_num_threads, viz
from tinygrad_lite.backend import keyed_rng
from tinygrad_lite.data import DataLoader
from tinygrad_lite.data.datasets import digits
from tinygrad_lite.metrics import accuracy
from tinygrad_lite.optim import AdamW, WarmupCosine


def main(epochs: int = 30, seed: int = 0) -> dict[str, float]:
    (images, labels), (test_images, test_labels) = digits()
    loader = DataLoader(images, 128, shuffle=True, seed=seed, drop_last=True)

    # The backbone is what we want; the projection head is where views are compared, and is left behind.
    manual_seed(seed)
    backbone = ResNet()
    projection_head = MLP(backbone.out_features, 128, 64, batch_norm=True)
    features = {
        "pixels": (images.reshape(-1, 64), test_images.reshape(-1, 64)),
        "random backbone": (embed(backbone, images), embed(backbone, test_images)),
    }

    # Two views of a digit belong together; those of all other digits do not. No label is looked at.
    optimizer = AdamW([*backbone.parameters(), *projection_head.parameters()], lr=4e-3)
    schedule = WarmupCosine(optimizer, warmup=0, total=epochs * len(loader))
    rng = keyed_rng(seed, "views")
    for epoch in range(epochs):
        for data in loader.batches(epoch):
            view1, view2 = augment(data, rng), augment(data, rng)
            z1 = projection_head(backbone(view1))
            z2 = projection_head(backbone(view2))
            loss = nt_xent(z1, z2, temperature=0.5)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1:2} of {epochs}: loss {loss.item():.2f}")
    features["contrastive"] = (embed(backbone, images), embed(backbone, test_images))

    # Only now ten labels of each class, and a linear classifier of frozen features.
    choose = keyed_rng(seed, "labeled").choice
    labeled = np.concatenate([choose(np.flatnonzero(labels == c), 10, replace=False) for c in range(10)])
    right = {}
    for name, (train_features, test_features) in features.items():
        classifier = fit_classifier(train_features[labeled], labels[labeled])
        right[name] = accuracy(classifier(test_features).numpy(), test_labels)
        print(f"{name:15}  {right[name]:6.1%} of the test digits right")

    panels = {name: (viz.pca(features[name][1]), test_labels) for name in ("random backbone", "contrastive")}
    print(viz.embedding("out/contrast_digits.png", panels, title="The test digits"))
    return right


if __name__ == "__main__":
    set_num_threads(1)  # of BLAS: matrices this small are not faster with more
    main()
