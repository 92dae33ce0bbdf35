"""The README's script runs, and prints what the README says it prints."""

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def _without_last_digits(text):
    """The text with numbers rounded to two digits: another processor may sample another last digit."""

    def two_digits(match):
        return f"{float(match.group()):.1e}"

    lines = [line for line in text.splitlines() if not re.search(r"r-hat|scalebayes \d", line)]
    return re.sub(r"\d+\.\d+(e-?\d+)?", two_digits, "\n".join(lines))


def test_script_prints_what_the_readme_says(tmp_path):
    script = re.search(r"```python\n(import scalebayes.*?)```", README, re.DOTALL).group(1)
    output = re.search(r"```text\n(.*?)```", README, re.DOTALL).group(1)
    assert len(script.splitlines()) <= 15
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert printed.stderr == ""
    assert _without_last_digits(printed.stdout).strip() == _without_last_digits(output).strip()
    assert (tmp_path / "pile.png").stat().st_size > 20_000
