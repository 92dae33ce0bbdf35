"""Tables that look like a mistake: refused where they cannot be meant, and otherwise a warning names what was seen."""

import math

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import scalebayes as sb

N, D = np.array([1e8, 2e8, 4e8, 8e8]), np.array([2e9, 4e9, 8e9, 16e9])
LOSS = [3.4, 3.1, 2.9, 2.7]


def _table(**columns):
    return pd.DataFrame({"n_params": N, "n_tokens": D, "loss": LOSS, **columns})


def test_a_header_one_name_short_is_refused(tmp_path, refuses):
    path = tmp_path / "runs.csv"
    path.write_text("n_params,loss\n1e8,2e9,3.4\n2e8,4e9,3.1\n")
    message = (
        "the rows of runs.csv have more values than its header has names ('n_params', 'loss'), so that names and values "
        "do not match; complete the header."
    )
    with refuses(ValueError, message):
        sb.read_runs(path)


def test_labels_of_a_file_stay_text(tmp_path):
    path = tmp_path / "runs.csv"
    table = _table(version=["1.1", "1.10", "1.1", "1.10"], number=["007", "7", "008", "8"])
    table.to_csv(path, index=False)
    runs = sb.read_runs(path, group="version", run="number")
    assert runs.levels == ("1.1", "1.10")
    assert runs.labels.tolist() == ["007", "7", "008", "8"]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (np.array([True, False, True, True]), "true and false"),
        (np.arange(4) * 1j, "complex numbers"),
        (pd.date_range("2026-01-01", periods=4), "dates"),
        (pd.to_timedelta([1, 2, 3, 4], unit="D"), "durations"),
        (pd.period_range("2026-01", periods=4, freq="M"), "periods"),
    ],
)
def test_what_is_no_number_is_refused(values, what, refuses):
    with refuses(ValueError, f"column 'n_params' (input N) must hold positive finite numbers, and it holds {what}."):
        sb.read_runs(_table(n_params=values), inputs={"N": "n_params"})


def test_runs_that_are_there_twice_are_named():
    table = pd.concat([_table(), _table().iloc[[2]]], ignore_index=True)
    with pytest.warns(sb.RunsWarning, match=r"1 of 5 rows repeat another one in 'n_params', 'n_tokens', 'loss', first"):
        sb.read_runs(table)
    sb.read_runs(table.assign(seed=[0, 1, 2, 3, 4], loss=[*LOSS, 2.91]))  # a second seed is another run


def test_swapped_columns_are_named():
    with pytest.warns(sb.RunsWarning, match=r"100% of the runs have fewer tokens \(n_params\) than parameters \(n_tok"):
        sb.read_runs(_table(), inputs={"N": "n_tokens", "D": "n_params"})


def test_billions_are_named():
    with pytest.warns(
        sb.RunsWarning, match=r"'n_params' \(input N\) goes up to 0.8; parameters are counted one by one"
    ):
        sb.read_runs(_table(n_params=N / 1e9), inputs={"N": "n_params"})


def test_products_that_went_round_are_named():
    sizes, tokens = np.array([10**8, 10**9, 10**10, 2 * 10**10]), np.array([2 * 10**9] * 4)
    table = _table(n_params=sizes, n_tokens=tokens, flops=6 * sizes * tokens)
    assert (np.sign(table["flops"]) == [1, -1, -1, 1]).all()  # of whole numbers of 64 bits
    with pytest.raises(ValueError, match=r"goes round at 9.2e18. Compute it with a decimal point"):
        sb.read_runs(table, inputs={"C": "flops"})
    message = r"'flops' \(input C\) is far from 6 n_params n_tokens in 1 of 2 rows, first: row 3: a product of whole"
    with pytest.warns(sb.RunsWarning, match=message):
        sb.read_runs(table, inputs={"C": "flops"}, where="flops > 0")
    sb.read_runs(table.assign(flops=6.0 * sizes * tokens), inputs={"C": "flops"})


def test_compute_that_is_counted_in_another_way_is_no_product_that_went_round():
    flops = (N * D / 1e10).astype(np.int64)  # in a unit of its own
    sb.read_runs(_table(flops=flops * 100), inputs={"C": "flops"})


def test_beside_named_inputs_none_is_taken_unasked():
    assert list(sb.read_runs(_table(), inputs={"D": "n_tokens"}).inputs) == ["D"]
    assert list(sb.read_runs(_table()).inputs) == ["N", "D"]


@pytest.mark.parametrize(
    ("where", "advice"),
    [
        ("loss = 3", " (a comparison is ==)"),
        ("split == train", " (text needs quotes: 'train')"),
    ],
)
def test_a_condition_that_is_nearly_right_is_helped(where, advice):
    with pytest.raises(ValueError, match="where ") as refused:
        sb.read_runs(_table(split="train"), where=where)
    assert advice in str(refused.value)


def test_a_mask_is_no_condition(refuses):
    message = (
        "where is a condition as text, such as \"split == 'train'\", got Series; rows chosen in another way are given "
        "as a table, read_runs(table[mask], ...)."
    )
    with refuses(TypeError, message):
        sb.read_runs(_table(), where=pd.Series([True] * 4))


def test_a_short_form_of_a_number_is_written_out():
    with pytest.raises(ValueError, match="Write 70B as 70e9"):
        sb.read_runs(_table(n_params=["70B", "1e9", "2e9", "3e9"]), inputs={"N": "n_params"})


def _with_numpy(N, *, A):
    return A * np.log10(N)


def _with_math(N, *, A):
    return A * math.log(N)


def _with_a_condition(N, *, A):
    return A / N if N > 1e9 else A


@pytest.mark.parametrize(
    ("law", "said"),
    [
        (_with_numpy, r"_with_numpy uses NumPy where JAX is needed .* jnp.log10 for np.log10"),
        (_with_math, r"_with_math uses an array as one number, in math.log\(x\)"),
        (_with_a_condition, r"_with_a_condition uses an array as one number, .* jnp.where\(x > 0"),
    ],
)
def test_what_jax_cannot_differentiate_is_a_sentence(law, said):
    runs = sb.read_runs(_table(), inputs={"N": "n_params"}, response="loss")
    model = sb.Model(law, runs, priors={"A": sb.LogNormal(0.3, 0.5)}, discrepancy=None)
    for use in (model.prior, lambda: sb.sample(model)):
        with pytest.raises(ValueError, match=said):
            use()


def test_a_table_of_which_no_input_is_recognised_is_named():
    with pytest.warns(
        sb.RunsWarning, match=r"no column was recognised as an input of a law among 'a', 'loss': name them"
    ):
        sb.read_runs(pd.DataFrame({"a": [1.0, 2.0], "loss": [3.0, 2.0]}))


def test_failed_runs_of_a_tracker_are_counted():
    table = _table(state=["finished", "crashed", "finished", "failed"])
    with pytest.warns(
        sb.RunsWarning, match=r"column 'state' says that 2 of 4 runs are crashed, failed; sb.tracker_runs"
    ):
        sb.read_runs(table)
    sb.read_runs(table.assign(state="finished"))


@pytest.mark.parametrize(
    ("law", "said"),
    [
        (lambda C, *, E, A: None, "returns nothing; it ends with 'return' and the expected response"),
        (lambda C, *, E, A: jnp.sum(E + A / C), "returns one number for all runs, perhaps by jnp.sum"),
    ],
)
def test_a_law_that_returns_no_response_for_each_run_is_named(law, said):
    table = pd.DataFrame({"C": np.geomspace(1e18, 1e21, 6), "loss": np.linspace(3.0, 2.0, 6)})
    runs = sb.read_runs(table, inputs={"C": "C"}, response="loss")
    priors = {"E": sb.LogNormal(1.5, 0.3), "A": sb.LogNormal(1.0, 1.0)}
    model = sb.Model(law, runs, priors=priors, discrepancy=None)
    for ask in (lambda: model.prior(20), lambda: sb.sample(model, draws=50)):
        with pytest.raises(ValueError, match=said):
            ask()
