# Every target makes .venv with the locked versions first, if it is missing or the lock has changed.
PYTHON ?= $(shell for p in python3.12 python3 python3.13; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 12))' 2>/dev/null && echo "$$p" && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Tests that fit models of their own run in several processes: all that they compile is more than one may map.
APART = tests/checks tests/discrepancy
DECIDING = tests/fits/test_averaging.py tests/questions tests/cli/test_deciding.py
DEAR = 03_crossover_risk 04_compute_optimal_planning 05_how_far_can_i_trust_this_line
CORE = tests/inference/test_density.py tests/inference/test_programs.py tests/fits/test_many.py tests/show/test_report.py

# Many small matrices: several threads of linear algebra only wait for each other where the machine does something else.
test test-fits test-slow test-slow-ci: export OPENBLAS_NUM_THREADS = 1

.PHONY: demo test test-fits test-slow test-slow-ci package test-package test-lowest test-newest docs licences bench bench-cold bench-smoke bench-extrapolation bench-decisions lint lock clean

demo: $(READY)
	$(BIN)/scalebayes demo --force

test: $(READY)
	$(BIN)/python -m pytest

test-fits: $(READY)
	$(BIN)/python -m pytest -m fits tests $(APART:%=--ignore=%) $(DECIDING:%=--ignore=%)
	$(BIN)/python -m pytest -m fits $(APART)
	$(BIN)/python -m pytest -m fits $(DECIDING)
	SCALEBAYES_NOTEBOOK_DRAWS=300 $(BIN)/python -m pytest -o addopts="" --nbmake --nbmake-timeout=600 notebooks

test-slow: test-fits
	$(BIN)/python -m pytest -m slow tests

# The part of test-fits and test-slow that CI runs: densities, programs, fleets, the page of a report, back-tests (nothing
# beyond the cut-off may enter a fit), drifts and surfaces, posteriors beside pm.sample's, and the notebooks at few draws,
# but for the dearest.
test-slow-ci: $(READY)
	$(BIN)/python -m pytest -m fits $(CORE)
	$(BIN)/python -m pytest -m fits $(APART)
	$(BIN)/python -m pytest -m slow -k "(pm_sample and not benchmark) or cluster" tests
	SCALEBAYES_NOTEBOOK_DRAWS=200 $(BIN)/python -m pytest -o addopts="" --nbmake --nbmake-timeout=600 notebooks $(DEAR:%=--ignore=notebooks/%.ipynb)

# The wheel and the sdist; the tests of the wheel in an environment that sees nothing of this folder, and of what the sdist
# builds that it is the same, and installs.
package: $(READY)
	rm -rf build dist *.egg-info
	$(BIN)/python -c "from setuptools import build_meta as made; made.build_sdist('dist'); made.build_wheel('dist')"
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

define tested
	rm -rf build/$(1) && mkdir -p build/$(1)
	$(PYTHON) -m venv build/$(1)/venv
	build/$(1)/venv/bin/python -m pip install --quiet --disable-pip-version-check $(2)
	build/$(1)/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(3)
	cp -r tests docs notebooks benchmarks conftest.py README.md CHANGELOG.md pyproject.toml build/$(1)
	cd build/$(1) && venv/bin/python -c "import scalebayes; assert 'site-packages' in scalebayes.__file__"
	cd build/$(1) && SCALEBAYES_DATA=$(DATA) OPENBLAS_NUM_THREADS=1 venv/bin/python -m pytest $(4) tests
endef
SAME := from zipfile import ZipFile; import sys; \
	one, other = ({each.filename: each.CRC for each in ZipFile(path).infolist() if 'dist-info' not in each.filename} for path in sys.argv[1:]); \
	assert one == other and len(one) > 100, one.items() ^ other.items()
DATA := $(abspath $(or $(SCALEBAYES_DATA),../shared/data))

test-package: package
	$(call tested,wheel,--require-hashes -r requirements.lock,dist/*.whl)
	rm -rf build/sdist && mkdir -p build/sdist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/sdist dist/*.tar.gz
	$(BIN)/python -c "$(SAME)" dist/*.whl build/sdist/*.whl
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall build/sdist/*.whl
	cd build/wheel && venv/bin/scalebayes demo --force

# With the lowest versions that pyproject.toml allows, and with the newest that there are.
test-lowest: package
	# Old packages beside new ones say that something is deprecated; the page of licences is of the locked versions.
	$(call tested,lowest,--require-hashes -r requirements-lowest.lock,dist/*.whl,-W ignore::DeprecationWarning --ignore tests/test_licences.py)

test-newest: package
	$(call tested,newest,"$$(ls dist/*.whl)[dev]",dist/*.whl)

# The pages, offline; a warning or a dead link is an error. Every block of code in them is run.
docs: export OPENBLAS_NUM_THREADS = 1
docs: $(READY)
	rm -rf docs/_build docs/made docs/gallery_made docs/jupyter_execute docs/api.md docs/sg_execution_times.rst
	cd docs && PATH="$(abspath $(BIN)):$$PATH" ../$(BIN)/python -m sphinx -W --keep-going -q -b html . _build/html
	$(BIN)/python docs/links.py docs/_build/html

licences: $(READY)
	$(BIN)/python docs/licences.py

bench: $(READY)
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/many.py

bench-cold: $(READY)
	$(BIN)/python benchmarks/cold.py

bench-extrapolation: $(READY)
	$(BIN)/python benchmarks/extrapolation.py

bench-decisions: $(READY)
	$(BIN)/python benchmarks/reversals.py
	$(BIN)/python benchmarks/decisions.py

bench-smoke: $(READY)
	$(BIN)/python benchmarks/run.py --smoke
	$(BIN)/python benchmarks/many.py --smoke
	$(BIN)/python benchmarks/cold.py --smoke

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict --follow-imports silent tests/typed_script.py
	$(BIN)/lint-imports --no-cache

# Needs uv. No address of an index goes into the file.
lock:
	uv pip compile pyproject.toml --extra dev --extra docs --extra build --universal --python-version 3.12 --generate-hashes \
		--no-header --no-annotate --output-file requirements.lock
	uv pip compile pyproject.toml --extra dev --extra docs --extra build --universal --python-version 3.12 --generate-hashes \
		--resolution lowest-direct --no-header --no-annotate --output-file requirements-lowest.lock

$(READY): requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ] && ! command -v uv >/dev/null 2>&1; then \
		echo "scalebayes needs Python 3.12 or newer: install it (python.org, pyenv install 3.12, or apt install python3.12 python3.12-venv), or install uv, which fetches it."; \
		exit 1; fi
	@if [ -n "$(PYTHON)" ]; then $(PYTHON) -m venv --clear $(VENV); else uv venv --clear --seed --python 3.12 $(VENV); fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

clean:
	rm -rf $(VENV) build *.egg-info
