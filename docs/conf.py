"""How the pages are built: ``python -m sphinx docs docs/_build/html``. Nothing is fetched."""

import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pages  # noqa: E402

import scalebayes  # noqa: E402

project, author, copyright = "scalebayes", "The scalebayes developers", "The scalebayes developers"
version = release = scalebayes.__version__
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "mathml",
    "sphinx_design",
    "myst_nb",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "licences.py", "gallery/*", "gallery_made/*.ipynb", "jupyter_execute"]
suppress_warnings = ["config.cache", "ref.python"]  # a function among the settings of the gallery; types that are words
nitpicky = False

html_theme = "pydata_sphinx_theme"
html_title = "scalebayes"
html_extra_path = ["llms.txt"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": True, "secondary_sidebar_items": ["page-toc"]}
html_math_renderer = "mathml"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_execution_excludepatterns = ["laws.md", "licences.md"]

autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": False}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "gallery_made",
    "filename_pattern": "/plot_",
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1000,
    "reset_modules": ("matplotlib", pages.roomy),
    "image_scrapers": ("matplotlib", pages.Pictures()),
    "abort_on_example_error": True,
    "remove_config_comments": True,
}


def _without_the_repository(app, docname: str, source: list[str]) -> None:
    """Files beside the pages are named where the pages are read, and linked where the repository is."""
    source[0] = re.sub(r"\[([^\]]+)\]\(\.\./((?:benchmarks|notebooks)/[^)]+)\)", r"\1 (`\2`)", source[0])


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _without_the_repository)


pages.write(HERE)
