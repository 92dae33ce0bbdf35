"""The README's script runs, and prints what the README says it prints, which is cut to what matters."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

README = (Path(__file__).parents[1] / "README.md").read_text()


NUMBER = re.compile(r"\d+\.\d+(?:e\d+)?|\d+e\d+|\d+(?=x\b)")  # 11x is a number as 10.2x is


def _words_and_numbers(text):
    """Each line with its numbers replaced, and the numbers."""
    lines = [line for line in text.strip().splitlines() if "r-hat" not in line]
    return [(NUMBER.sub("#", line), [float(number) for number in NUMBER.findall(line)]) for line in lines]


def test_script_prints_what_the_readme_says(tmp_path):
    script = re.search(r"```python\n(import scalebayes.*?)```", README, re.DOTALL).group(1)
    output = re.search(r"```text\n(.*?)```", README, re.DOTALL).group(1)
    assert len(script.splitlines()) <= 15
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    # On a slow machine it is said that the fit takes longer than five seconds.
    assert all(line.startswith("scalebayes: fitting") for line in printed.stderr.splitlines())
    assert [words for words, _ in _words_and_numbers(printed.stdout)] == [
        words for words, _ in _words_and_numbers(output)
    ]
    # The same seed on another processor draws other digits; what a reader takes from them must stand.
    for (_, found), (_, stated) in zip(_words_and_numbers(printed.stdout), _words_and_numbers(output), strict=True):
        np.testing.assert_allclose(found, stated, rtol=0.2, atol=0.01)
    assert (tmp_path / "pile.png").stat().st_size > 20_000
