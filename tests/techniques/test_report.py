import json

from techniques.report import Result, table, write


def result(tmp_path):
    picture = tmp_path / "curve.png"
    picture.write_bytes(b"\x89PNG not really")
    return Result(
        "distillation", [("student <alone>, error", "12.1 %")], {"alone": 0.121}, {"Loss": picture}, 3.2
    )


def test_the_table_has_every_row_the_time_and_the_path_of_every_picture(tmp_path):
    text = table([result(tmp_path)])
    assert "student <alone>, error" in text
    assert "12.1 %" in text
    assert "3 s" in text
    assert str(tmp_path / "curve.png") in text


def test_results_json_holds_figures_and_options(tmp_path):
    numbers, _ = write(tmp_path, [result(tmp_path)], {"seed": 0})
    data = json.loads(numbers.read_text())
    assert data["options"] == {"seed": 0}
    assert data["results"]["distillation"]["figures"] == {"alone": 0.121}


def test_the_page_contains_its_pictures_and_escapes_what_it_shows(tmp_path):
    _, page = write(tmp_path, [result(tmp_path)], {"seed": 0})
    text = page.read_text()
    assert "data:image/png;base64," in text
    assert "student &lt;alone&gt;" in text
    assert "http" not in text


def test_nothing_half_written_is_left(tmp_path):
    write(tmp_path, [result(tmp_path)], {"seed": 0})
    assert not list(tmp_path.glob("*.part"))
