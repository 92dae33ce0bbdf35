"""What scalebayes needs to run, with versions and licences: ``python docs/licences.py`` rewrites ``licences.md``."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distribution, requires
from pathlib import Path

from packaging.requirements import Requirement

PAGE = Path(__file__).with_name("licences.md")
HEAD = """# Licences

scalebayes is under the Apache License 2.0. These are the packages that it needs to run, directly or through others, as
locked, with the licence that each states. None of their code is part of scalebayes.

| package | version | licence |
|---|---|---|
"""


def needed(name: str = "scalebayes") -> dict[str, Distribution]:
    """Every package that one needs on this platform, by its name."""
    found: dict[str, Distribution] = {}
    waiting = [(name, frozenset[str]())]
    seen = set()
    while waiting:
        package, extras = waiting.pop()
        if (package, extras) in seen:
            continue
        seen.add((package, extras))
        found[_plain(package)] = distribution(package)
        for line in requires(package) or []:
            requirement = Requirement(line)
            wanted = [{"extra": extra} for extra in extras] or [{"extra": ""}]
            if requirement.marker is None or any(requirement.marker.evaluate(each) for each in wanted):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    del found[_plain(name)]
    return dict(sorted(found.items()))


def licence(package: Distribution) -> str:
    """The licence that a package states, in a few words."""
    about = package.metadata
    if about.get("License-Expression"):
        return about["License-Expression"]
    classified = [c.split(" :: ")[-1] for c in about.get_all("Classifier", []) if c.startswith("License ::")]
    stated = (about.get("License") or "").strip().splitlines()
    return "; ".join(c for c in classified if c != "OSI Approved") or (stated[0][:60] if stated else "not stated")


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def page() -> str:
    """The page as a whole."""
    return HEAD + "".join(f"| {n} | {p.version} | {licence(p)} |\n" for n, p in needed().items())


if __name__ == "__main__":
    PAGE.write_text(page())
