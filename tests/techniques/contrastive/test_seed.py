"""The loop and the use of the text that the project was asked to implement, as they stand there.

Only the names that it leaves open are bound, and the line that computes the contrastive loss is added.
"""

import numpy as np

from techniques.contrastive import augment as views
from techniques.contrastive.losses import nt_xent
from techniques.models import MLP, ResNet
from tinygrad_lite import manual_seed, nn
from tinygrad_lite.data import DataLoader
from tinygrad_lite.data.datasets import digits
from tinygrad_lite.nn.functional import cross_entropy
from tinygrad_lite.optim import AdamW


def test_the_contrastive_loop_runs_and_learns(rng):
    manual_seed(0)
    (images, _), _ = digits()
    dataloader = DataLoader(images, batch_size=64, shuffle=True, drop_last=True)
    backbone = ResNet(widths=(4, 8, 16))
    projection_head = MLP(16, 32, 16, batch_norm=True)
    optimizer = AdamW([*backbone.parameters(), *projection_head.parameters()], lr=4e-3)
    losses = []

    def augment(data):
        return views.augment(data, rng)

    # Backbone: CNN (e.g., ResNet) to extract embeddings
    # Projection Head: Maps embeddings to a latent space

    for data in dataloader:
        # Create two augmented views of the same sample
        view1, view2 = augment(data), augment(data)

        # Pass through the backbone and projection head
        z1 = projection_head(backbone(view1))
        z2 = projection_head(backbone(view2))

        # Backpropagation
        loss = nt_xent(z1, z2)
        optimizer.zero_grad()
        loss.backward()  # Loss: Contrastive loss (e.g., NT-Xent)
        optimizer.step()
        losses.append(loss.item())

    assert np.mean(losses[-5:]) < losses[0] - 0.25


def test_the_use_for_classification_runs_and_one_step_lowers_the_loss():
    manual_seed(0)
    (images, classes), _ = digits()
    input_data, labels = images[:64], classes[:64]
    backbone = ResNet(widths=(4, 8)).eval()
    classifier = nn.Linear(8, 10)
    optimizer = AdamW(classifier.parameters(), lr=1e-2)
    before = [p.numpy().copy() for p in backbone.parameters()]

    # Feature extraction
    features = backbone(input_data)  # Extract embeddings

    # Train a supervised classifier
    predictions = classifier(features)  # Map embeddings to class labels
    loss = cross_entropy(predictions, labels)

    # Backpropagation
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

    assert cross_entropy(classifier(backbone(input_data)), labels).item() < loss.item()
    for p, was in zip(backbone.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.numpy(), was)
