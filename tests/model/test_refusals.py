"""Whole messages about models that are refused before anything is compiled."""

import pytest

import scalebayes as sb

pytestmark = pytest.mark.usefixtures("nothing_is_compiled")

PRIOR = sb.LogNormal(median=0.3, spread=0.5)


def a_law(N, D, *, E, A, alpha):
    return E + A * N**-alpha + 0 * D


def test_the_good_table_is_accepted(table):
    assert len(sb.Model(sb.laws.chinchilla, sb.read_runs(table()), discrepancy=None).runs) == 6


def test_a_model_of_a_bare_table_is_refused(table, refuses):
    with refuses(TypeError, "runs are needed, from sb.read_runs(table, ...), got DataFrame."):
        sb.Model(sb.laws.chinchilla, table(), discrepancy=None)


@pytest.mark.parametrize(("rows", "there_are"), [(4, "are 4 runs"), (1, "is 1 run")])
def test_fewer_runs_than_parameters_are_refused(rows, there_are, refuses, table):
    message = (
        f"chinchilla has 5 parameters (E, A, B, alpha, beta) and there {there_are}. "
        "Add runs, or take a law with fewer parameters."
    )
    with refuses(ValueError, message):
        sb.fit(sb.laws.chinchilla, sb.read_runs(table().head(rows)), discrepancy=None)


def test_a_response_in_per_cent_is_refused_by_a_law_for_losses(table, refuses):
    runs = sb.read_runs(table(loss=[60.0, 50.0, 40.0, 30.0, 20.0, 15.0]))
    message = (
        "response 'loss' runs from 15 to 60, and chinchilla is a law for losses (a uniform guess over a million words "
        "costs 13.8 nats): this looks like per cent or a perplexity. Divide per cent by 100 (an accuracy first becomes "
        "100 - accuracy), or take the logarithm of a perplexity."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs, discrepancy=None)


def test_an_accuracy_is_refused_by_a_law_for_losses(table, refuses):
    accuracy = [0.2, 0.35, 0.3, 0.6, 0.55, 0.7]
    runs = sb.read_runs(table(accuracy=accuracy).drop(columns="loss"), response="accuracy")
    # One minus six times the sum of squared differences of ranks over 6 * 35: 1 - 6 * 4 / 210 for N, and 1 for D.
    message = (
        "response 'accuracy' runs from 0.2 to 0.7 and rises with N (0.89) and D (1.00), rank correlation in brackets: "
        "this looks like an accuracy, and chinchilla is a law for losses, which fall. Use the error, 1 - accuracy."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs, discrepancy=None)


def test_a_law_of_ones_own_may_rise(table):
    runs = sb.read_runs(table(loss=[0.2, 0.35, 0.3, 0.6, 0.55, 0.7]))
    assert sb.Model(a_law, runs, priors=dict.fromkeys(("E", "A", "alpha"), PRIOR), discrepancy=None).name == "a_law"


def test_combinations_of_one_run_are_no_trouble_when_only_their_columns_matter(table):
    runs = sb.read_runs(table(family=list("aaabbb"), corpus=list("xxyxyy")), group=["family", "corpus"])
    priors = {
        name: sb.pooled(sb.LogNormal(1.0, 0.5), spread={"family": 0.2, "corpus": 0.1})
        for name in ("E", "A", "B", "alpha", "beta")
    }
    assert sb.Model(sb.laws.chinchilla, runs, priors=priors, discrepancy=None).structure.n_groups == 4


@pytest.mark.parametrize(("names", "said"), [(["gamma"], "'gamma'"), (["gamma", "a"], "'gamma', 'a'")])
def test_a_prior_for_a_parameter_that_the_law_does_not_have_is_refused(names, said, refuses, table):
    message = f"a prior is given for {said}, but chinchilla has the parameters E, A, B, alpha, beta."
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), priors=dict.fromkeys(names, PRIOR), discrepancy=None)


@pytest.mark.parametrize(("given", "missing", "first"), [((), "E, A, alpha", "E"), (("E",), "A, alpha", "A")])
def test_missing_priors_of_a_law_of_ones_own_are_refused(given, missing, first, refuses, table):
    message = (
        f"a_law is not built in, so every parameter needs a prior; missing: {missing}. "
        f"For example priors={{{first!r}: sb.LogNormal(median=0.3, spread=0.5)}}."
    )
    with refuses(ValueError, message):
        sb.Model(a_law, sb.read_runs(table()), priors=dict.fromkeys(given, PRIOR), discrepancy=None)


@pytest.mark.parametrize(
    ("prior", "word"), [(sb.pooled(PRIOR, spread=0.3), "pooled"), (sb.separate(PRIOR), "separate")]
)
def test_a_prior_for_groups_is_refused_without_groups(prior, word, refuses, table):
    message = (
        f"the prior of alpha is {word}, but the runs have no group. Name a group in read_runs, or use shared(...)."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), priors={"alpha": prior}, discrepancy=None)


def test_a_spread_over_a_column_that_is_no_group_is_refused(table, refuses):
    runs = sb.read_runs(table(family=list("aaabbb")), group="family")
    message = "the prior of alpha has a spread over 'lab', which is no group column of the runs; there is 'family'."
    with refuses(ValueError, message):
        sb.Model(
            sb.laws.chinchilla,
            runs,
            priors={"alpha": sb.pooled(sb.LogNormal(0.3, 0.5), spread={"lab": 0.1})},
            discrepancy=None,
        )


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (
            sb.Anchored(PRIOR, input="C", exponent="alpha"),
            "the prior of A is anchored by input 'C', which chinchilla(N, D; E, A, B, alpha, beta) does not have.",
        ),
        (
            sb.Anchored(PRIOR, input="N", exponent="gamma"),
            "the prior of A refers to 'gamma', which chinchilla(N, D; E, A, B, alpha, beta) does not have.",
        ),
        (
            sb.ResponseShare(0.3, 1.0, floor="B"),
            "the prior of A refers to B, whose own prior refers to another parameter.",
        ),
    ],
)
def test_a_prior_that_refers_to_what_is_not_there_is_refused(prior, message, refuses, table):
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), priors={"A": prior}, discrepancy=None)


def test_an_unknown_pooling_word_is_refused(refuses, table):
    with refuses(ValueError, "pooling is 'shared', 'pooled', 'crossed' or 'separate', got 'partial'."):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), pooling="partial", discrepancy=None)


@pytest.mark.parametrize(("group", "grouped"), [(None, "not at all"), ("family", "by 'family' alone")])
def test_crossing_needs_several_group_columns(group, grouped, table, refuses):
    runs = sb.read_runs(table(family=["a", "b"] * 3), group=group)
    message = (
        f"pooling='crossed' is over several group columns, and the runs are grouped {grouped}; name what crosses in "
        "read_runs, such as group=['architecture', 'task'], or leave it out."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, runs, pooling="crossed", discrepancy=None)


def test_an_unknown_noise_is_refused(refuses, table):
    message = "observation is 'student_t', 'gaussian', 'ex_gaussian', or a value such as sb.StudentT(), got 'laplace'."
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), observation="laplace", discrepancy=None)


def test_a_parameter_with_a_name_of_the_noise_is_refused(refuses, table):
    def scaled(N, D, *, E, sigma): ...

    with refuses(ValueError, "scaled has a parameter 'sigma', a name of the noise; rename it."):
        sb.Model(scaled, sb.read_runs(table()), priors={"E": PRIOR, "sigma": PRIOR}, discrepancy=None)


def test_a_response_named_like_an_input_is_refused(table, refuses):
    runs = sb.read_runs(table().rename(columns={"loss": "E"}), response="E")
    with refuses(ValueError, "the response column 'E' has the name of an input or parameter; rename it."):
        sb.Model(sb.laws.chinchilla, runs, discrepancy=None)


@pytest.mark.parametrize("name", ["alpha", "N", "sigma"])
def test_a_group_with_the_name_of_a_parameter_or_input_is_refused(name, table, refuses):
    runs = sb.read_runs(table(**{name: list("111222")}), group=name, inputs={"N": "params", "D": "tokens"})
    with refuses(ValueError, f"the group column {name!r} has the name of a parameter or input; rename it."):
        sb.Model(sb.laws.chinchilla, runs, discrepancy=None)


@pytest.mark.parametrize("horizon", ["far", 0.5, True, float("nan"), float("inf")])
def test_a_horizon_that_is_none_is_refused(horizon, table, refuses):
    message = (
        "horizon is how far the curves will be forecast, in multiples of their largest scale: from 1 on, got "
        f"{horizon!r}."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.power_floor, sb.read_runs(table(), inputs={"D": "tokens"}), horizon=horizon)


@pytest.mark.parametrize("discrepancy", [3, True, sb.Drift, {"drift": 1}])
def test_a_discrepancy_of_the_wrong_kind_is_refused(discrepancy, table, refuses):
    message = (
        "discrepancy is 'auto', 'drift', 'correlated', 'surface', 'still surface', 'run effects', "
        "'evaluation effects', a value such as "
        f"sb.Drift(), a tuple of them, or None, got {discrepancy!r}."
    )
    with refuses(ValueError, message):
        sb.Model(sb.laws.chinchilla, sb.read_runs(table()), discrepancy=discrepancy)
