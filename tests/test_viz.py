"""Pictures: read back from the files, and what becomes of a path."""

import numpy as np
import pytest
from matplotlib.image import imread

from tinygrad_lite import viz


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def draw_curves(path):
    return viz.curves(path, {"a": [3.0, 2.0, 1.0], "b": [[0, 2], [1.0, 2.0]]}, title="loss", smooth=2)


def draw_bars(path):
    return viz.bars(path, {"teacher": (1.0, 0.0), "student": (4.1, 0.5)}, xlabel="error, %")


def draw_grid(path):
    return viz.image_grid(path, np.zeros((2, 3, 1, 4, 4)), row_labels=["x", "y"], col_labels=["a", "b", "c"])


def draw_embedding(path):
    return viz.embedding(path, {"before": (np.eye(4, 2), [0, 0, 1, 1]), "after": (np.ones((2, 2)), [1, 2])})


every_picture = pytest.mark.parametrize("draw", [draw_curves, draw_bars, draw_grid, draw_embedding])


@every_picture
def test_a_png_is_written_where_it_was_asked_for_and_nothing_beside_it(draw, tmp_path):
    path = draw(tmp_path / "new" / "picture.png")
    assert path == tmp_path / "new" / "picture.png"
    assert imread(path).std() > 0
    assert list(path.parent.iterdir()) == [path]


@every_picture
def test_the_same_arrays_give_the_same_bytes(draw, tmp_path):
    for name in ("picture.svg", "picture.png"):
        first, again = draw(tmp_path / "1" / name), draw(tmp_path / "2" / name)
        assert first.read_bytes() == again.read_bytes()


def test_an_svg_holds_a_vector_picture(tmp_path):
    assert "</svg>" in draw_bars(str(tmp_path / "bars.svg")).read_text(encoding="utf-8")


def test_a_path_of_another_format_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"viz: a picture's path ends in \.png or \.svg; got '.*picture\.gif'"
    ):
        draw_bars(tmp_path / "picture.gif")


def test_a_failed_write_leaves_the_old_picture_and_no_rest(tmp_path, monkeypatch):
    path = draw_bars(tmp_path / "bars.png")
    before = path.read_bytes()

    def fail_halfway(figure, file, **options):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(viz.Figure, "savefig", fail_halfway)
    with pytest.raises(OSError, match="disk full"):
        draw_curves(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_grid_shows_each_image_in_its_cell_between_black_and_white(tmp_path):
    images = np.array([[-1.0, 0.0], [-5.0, 7.0]])[:, :, None, None] * np.ones((2, 2, 6, 6))
    pixels = imread(viz.image_grid(tmp_path / "grid.png", images))[..., 0]
    inside = pixels[np.ix_(pixels.min(axis=1) < 0.9, pixels.min(axis=0) < 0.9)]
    height, width = inside.shape
    corners = inside[np.ix_([height // 5, -height // 5], [width // 5, -width // 5])]
    assert corners.tolist() == [[0.0, pytest.approx(0.5, abs=0.01)], [0.0, 1.0]]


def test_a_grid_of_three_channels_keeps_its_colors(tmp_path):
    red = np.zeros((1, 1, 3, 4, 4))
    red[:, :, 0] = 1
    pixels = imread(viz.image_grid(tmp_path / "red.png", red, low=0))
    assert pixels[len(pixels) // 2, pixels.shape[1] // 2, :3].tolist() == [1, 0, 0]


@pytest.mark.parametrize("shape", [(2, 2, 8), (2, 2, 2, 8, 8)])
def test_images_without_a_place_for_rows_columns_or_channels_are_refused(tmp_path, shape):
    with pytest.raises(
        ValueError, match=r"image_grid: needs images \(rows, columns, H, W\) or .* got \(2, 2, "
    ):
        viz.image_grid(tmp_path / "grid.png", np.zeros(shape))


def test_labels_that_fit_no_row_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match="image_grid: needs 2 row_labels and 3 col_labels, or none; got 1 and 0"
    ):
        viz.image_grid(tmp_path / "grid.png", np.zeros((2, 3, 4, 4)), row_labels=["x"])


def test_curves_refuse_values_that_are_no_series(tmp_path):
    with pytest.raises(ValueError, match=r"curves: 'a' needs values \(n,\), or .* got \(3, 4\)"):
        viz.curves(tmp_path / "curves.png", {"a": np.zeros((3, 4))})


def test_smoothing_over_more_values_than_there_are_still_draws(tmp_path):
    assert viz.curves(tmp_path / "curves.png", {"a": [1.0, 2.0]}, smooth=50).exists()


def test_an_embedding_refuses_points_in_space(tmp_path):
    with pytest.raises(ValueError, match=r"embedding: 'a' needs points \(N, 2\) .* got \(4, 3\) and \(4,\)"):
        viz.embedding(tmp_path / "points.png", {"a": (np.zeros((4, 3)), np.zeros(4))})


def test_principal_components_are_uncorrelated_and_sorted_by_variance(rng):
    x = rng.standard_normal((50, 4)) * [1, 5, 2, 3] @ np.linalg.qr(rng.standard_normal((4, 4)))[0]
    covariance = np.cov(viz.pca(x, 4).T)
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T))[::-1]
    np.testing.assert_allclose(covariance, np.diag(eigenvalues), atol=1e-10)


def test_a_line_in_space_is_found_with_its_positive_side():
    points = np.outer([-1.0, 0.0, 4.0], [0.6, -0.8, 0.0])
    np.testing.assert_allclose(viz.pca(points, 1)[:, 0], [2, 1, -3], atol=1e-12)


def test_more_components_than_columns_are_refused():
    with pytest.raises(ValueError, match=r"pca: needs x \(N, d\) and dim from 1 .* got \(5, 2\) and dim = 3"):
        viz.pca(np.zeros((5, 2)), 3)
