"""The UNet: shapes, what it depends on, and its beginning at 0."""

import math

import numpy as np
import pytest

from techniques.models.unet import NO_CLASS, Attention, ResidualBlock, UNet, sinusoidal_embedding
from tinygrad_lite import Tensor, manual_seed
from tinygrad_lite.nn import init


@pytest.fixture
def x(rng):
    return rng.standard_normal((3, 1, 8, 8), dtype="float32")


@pytest.fixture
def t():
    return np.array([0, 40, 999])


@pytest.fixture
def unet():
    """With random weights where a new one has zeros, so that its output depends on its inputs."""
    manual_seed(0)
    unet = UNet(1, (8, 16), num_classes=10)
    for p in unet.parameters():
        if not p.numpy().any():
            init.normal_(p, std=0.3)
    return unet


class TestSinusoidalEmbedding:
    def test_it_is_cosines_and_sines_of_falling_frequencies(self):
        values = sinusoidal_embedding(np.array([0, 7, 999]), 8)
        frequencies = [10_000 ** (-i / 4) for i in range(4)]
        expected = [
            [math.cos(t * f) for f in frequencies] + [math.sin(t * f) for f in frequencies]
            for t in (0, 7, 999)
        ]
        np.testing.assert_allclose(values, expected, atol=1e-6)

    def test_neighboring_times_can_be_told_apart_and_have_similar_embeddings(self):
        values = sinusoidal_embedding(np.arange(1000), 32)
        steps = np.linalg.norm(np.diff(values, axis=0), axis=1)
        assert 0.5 < steps.min() <= steps.max() < 2

    def test_fractions_of_times_lie_between(self):
        a, between, b = sinusoidal_embedding(np.array([3.0, 3.5, 4.0]), 16)
        assert ((a - between) * (between - b) >= -1e-6).mean() > 0.9

    def test_it_is_float32(self):
        assert sinusoidal_embedding(np.arange(3), 4).dtype == "float32"

    def test_an_odd_length_is_refused(self):
        with pytest.raises(ValueError, match="sinusoidal_embedding: dim needs to be even; got 7"):
            sinusoidal_embedding(np.arange(3), 7)


class TestBlocks:
    def test_a_new_residual_block_changes_nothing(self, rng):
        x = Tensor(rng.standard_normal((2, 8, 4, 4), dtype="float32"))
        embedding = Tensor(rng.standard_normal((2, 5), dtype="float32"))
        np.testing.assert_array_equal(ResidualBlock(8, 8, 5)(x, embedding).numpy(), x.numpy())

    def test_new_attention_changes_nothing(self, rng):
        x = rng.standard_normal((2, 8, 4, 4), dtype="float32")
        np.testing.assert_array_equal(Attention(8)(Tensor(x)).numpy(), x)

    def test_attention_is_the_sum_over_pixels_weighted_by_the_softmax_of_products(self, rng):
        manual_seed(1)
        attention = Attention(8)
        init.normal_(attention.out.weight)
        x = rng.standard_normal((2, 8, 2, 3), dtype="float32")
        W, out = attention.to_qkv.weight.numpy(), attention.out.weight.numpy()
        normalized = attention.norm(Tensor(x)).numpy()
        expected = x.copy()
        for n in range(2):
            q, k, v = (W @ normalized[n].reshape(8, 6)).reshape(3, 8, 6)
            weights = np.exp(q.T @ k / math.sqrt(8))
            weights /= weights.sum(1, keepdims=True)
            expected[n] += (out @ v @ weights.T).reshape(8, 2, 3)
        np.testing.assert_allclose(attention(Tensor(x)).numpy(), expected, rtol=1e-4, atol=1e-4)

    def test_attention_lets_every_pixel_see_every_other(self, rng):
        attention = Attention(8)
        init.normal_(attention.out.weight)
        x = Tensor(rng.standard_normal((1, 8, 4, 4), dtype="float32"), requires_grad=True)
        attention(x)[0, :, 0, 0].sum().backward()
        assert (np.abs(x.grad.numpy()).sum(axis=(0, 1)) > 0).all()


class TestUNet:
    @pytest.mark.parametrize("widths", [(8,), (8, 16), (16, 8, 24)])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_what_comes_out_has_the_shape_that_went_in(self, widths, channels, rng, t):
        x = rng.standard_normal((3, channels, 8, 12), dtype="float32")
        assert UNet(channels, widths)(x, t).shape == x.shape

    def test_a_new_one_predicts_0(self, x, t):
        assert not UNet()(x, t).numpy().any()

    def test_every_parameter_takes_part(self, unet, x, t):
        (unet(x, t, np.array([1, NO_CLASS, 3])) ** 2).sum().backward()
        idle = [name for name, p in unet.named_parameters() if p.grad is None or not p.grad.numpy().any()]
        assert not idle

    def test_it_depends_on_picture_time_and_class(self, unet, x, t):
        y = unet(x, t, np.array([1, 2, 3])).numpy()
        others = [
            unet(x[::-1], t, np.array([1, 2, 3])),
            unet(x, t + 1, np.array([1, 2, 3])),
            unet(x, t, np.array([4, 5, 6])),
        ]
        for other in others:
            assert (np.abs(other.numpy() - y).max(axis=(1, 2, 3)) > 1e-4).sum() >= 2

    def test_samples_do_not_mix(self, unet, x, t):
        labels = np.array([1, NO_CLASS, 3])
        together = unet(x, t, labels).numpy()
        alone = [unet(x[i : i + 1], t[i : i + 1], labels[i : i + 1]).numpy() for i in range(3)]
        np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-4, atol=1e-5)

    def test_no_labels_are_the_same_as_no_class_for_all(self, unet, x, t):
        np.testing.assert_array_equal(unet(x, t).numpy(), unet(x, t, np.full(3, NO_CLASS)).numpy())

    def test_the_fine_resolution_reaches_the_output_past_the_coarse_one(self, unet, x, t):
        """A checkerboard, which pooling takes away, is seen through the skip connection."""
        checkerboard = (-1.0) ** np.indices((8, 8)).sum(0).astype("float32")
        assert np.abs(unet(x + checkerboard, t).numpy() - unet(x, t).numpy()).max() > 1e-2

    def test_it_is_saved_and_loaded(self, unet, x, t):
        copy = UNet(1, (8, 16), num_classes=10)
        copy.load_state_dict(unet.state_dict())
        np.testing.assert_array_equal(copy(x, t).numpy(), unet(x, t).numpy())

    @pytest.mark.parametrize("width", [4, 0, 10])
    def test_widths_that_make_no_groups_of_several_channels_are_refused(self, width):
        with pytest.raises(
            ValueError, match=f"UNet: widths need to be multiples of 4 from 8 on; got .*{width}"
        ):
            UNet(1, (8, width))

    @pytest.mark.parametrize("shape", [(2, 1, 7, 8), (2, 1, 8, 6), (1, 8, 8)])
    def test_pictures_that_cannot_be_halved_so_often_are_refused(self, shape, t):
        with pytest.raises(ValueError, match=r"UNet: needs pictures \(N, C, H, W\), H and W multiples of 4"):
            UNet(1, (8, 8, 8))(np.zeros(shape, "float32"), t[:2])

    @pytest.mark.parametrize("label", [-2, 10])
    def test_a_label_that_is_no_class_is_refused(self, unet, x, t, label):
        with pytest.raises(
            IndexError, match=r"UNet: a label is one of its 10 classes, .* or -1 .* got labels from"
        ):
            unet(x, t, np.array([0, label, 3]))

    def test_a_network_without_classes_takes_no_class(self, x, t):
        assert UNet(1, (8,))(x, t, np.full(3, NO_CLASS)).shape == x.shape
        with pytest.raises(IndexError, match="UNet: a label is one of its 0 classes"):
            UNet(1, (8,))(x, t, np.array([0, 0, 0]))

    def test_it_needs_a_label_for_every_picture(self, unet, x, t):
        with pytest.raises(ValueError, match=r"UNet: needs labels \(3,\), one a picture; got \(1,\)"):
            unet(x, t, np.array([1]))

    def test_it_needs_a_time_for_every_picture(self, unet, x):
        with pytest.raises(ValueError, match=r"UNet: needs times \(3,\), one a picture; got \(1,\)"):
            unet(x, np.array([1]))


def test_a_picture_of_another_size_may_follow(unet, rng, t):
    """Nothing in it depends on the size."""
    assert unet(rng.standard_normal((3, 1, 16, 4), dtype="float32"), t).shape == (3, 1, 16, 4)
