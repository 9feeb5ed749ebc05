import pytest

from benchmarks.readme import README, write_part

TEXT = "a\n<!-- speed: written by x -->\nold\n\nold\n<!-- end of speed -->\nb\n<!-- end of results -->\n"


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_part_takes_the_place_of_what_was_between_its_markers(readme):
    write_part("speed", r"new \1", readme)
    expected = TEXT.replace("old\n\nold", r"new \1")
    assert readme.read_text(encoding="utf-8") == expected


def test_an_empty_part_is_filled(readme):
    readme.write_text("<!-- speed: x -->\n<!-- end of speed -->\n", encoding="utf-8")
    write_part("speed", "new", readme)
    assert readme.read_text(encoding="utf-8") == "<!-- speed: x -->\nnew\n<!-- end of speed -->\n"


def test_without_markers_nothing_is_written(readme):
    with pytest.raises(ValueError, match=r"README.md: needs one <!-- results: … --> and below it"):
        write_part("results", "new", readme)
    assert readme.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("name", ["results", "speed"])
def test_the_readme_has_the_parts_that_are_written(name, readme):
    readme.write_text(README.read_text(encoding="utf-8"), encoding="utf-8")
    write_part(name, "new", readme)
    assert "\nnew\n" in readme.read_text(encoding="utf-8")
