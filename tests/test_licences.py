"""The page of licences lists what scalebayes needs, and nothing asks for more than a notice."""

import re
import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_lists_what_is_needed_and_all_of_it_is_permissive():
    tool = runpy.run_path(str(DOCS / "licences.py"))
    listed = re.findall(r"^\| ([\w-]+) \| \S+ \| (.+) \|$", (DOCS / "licences.md").read_text(), re.MULTILINE)
    # Needed here; another platform, or older versions, may need a few packages less or more.
    assert len(set(tool["needed"]()) & {name for name, _ in listed}) > 40
    for name, package in tool["needed"]().items():
        said = tool["licence"](package)
        assert said != "not stated", name
        assert not re.search(r"\b[AL]?GPL|copyleft|proprietary|commercial", said, re.IGNORECASE), (name, said)
