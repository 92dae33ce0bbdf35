"""The command line: reports."""

import pytest

import scalebayes as sb


def test_a_report_is_written_in_every_form(answer, ask, fit_file, tmp_path):
    for kind, begins in (("html", "<!DOCTYPE html>"), ("md", "# power"), ("tex", "\\section{")):
        path = tmp_path / f"report.{kind}"
        assert answer("report", fit_file, "--to", "1e24", "-o", path) == f"written to {path}\n"
        assert path.read_text(encoding="utf-8").startswith(begins)
    assert answer("report", fit_file, "--to", "1e24") == (tmp_path / "report.md").read_text(encoding="utf-8") + "\n"
    found = ask("report", fit_file, "--to", "1e24", "--title", "for the board")
    assert (found["title"], found["axis"]["name"], found["scales"][found["chosen"]]) == ("for the board", "C", 1e24)


def test_runs_that_were_held_back_come_from_a_file(ask, fit_file, tmp_path):
    sb.pile_families().head(1).assign(flops=1e24, loss=1.4).to_csv(tmp_path / "ahead.csv", index=False)
    found = ask("report", fit_file, "--held-back", tmp_path / "ahead.csv")
    assert found["held_back"] == {"scale": [1e24], "response": [1.4]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--to", "1e20"), "the target lies beyond the largest run, C = 2.4e22; got to=1e20."),
        (("--format", "pdf"), "--format is md, tex or html, got 'pdf'."),
        (("-o", "report.pdf"), "a report is written as .html, .md, .tex; got 'report.pdf'."),
        (("-o", "missing/report.md"), "there is no folder 'missing' to write 'report.md' into."),
    ],
)
def test_what_is_no_report_is_refused(refuses, fit_file, options, message):
    refuses(message, "report", fit_file, *options)
