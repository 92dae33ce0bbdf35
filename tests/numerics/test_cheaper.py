"""Functions of positive numbers in a cheaper form have the same values and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from scalebayes.numerics.cheaper import cheaper, log_gamma
from scalebayes.numerics.precision import double_precision


def test_powers_of_positive_numbers_become_exponentials_and_others_stay():
    def law(theta, data):
        return data["N"] ** -theta[0] + (data["N"] / jnp.exp(theta[1])) ** theta[0] + theta[2] ** jnp.round(theta[3])

    cheap = cheaper(law, lambda theta, data: (False, {"N": True}))
    with double_precision():
        theta, data = jnp.asarray([0.3, 2.0, -2.0, 3.0]), {"N": jnp.asarray([1e8, 3e9])}
        np.testing.assert_allclose(cheap(theta, data), law(theta, data), rtol=1e-13)
        ours, plain = jax.jacobian(cheap)(theta, data), jax.jacobian(law)(theta, data)
        np.testing.assert_allclose(ours[:, :2], plain[:, :2], rtol=1e-12)
        left = [e.primitive.name for e in jax.make_jaxpr(cheap)(theta, data).eqns]
    assert left.count("pow") == 1  # that of the negative number


def test_log_gamma_is_that_of_scipy_from_small_to_large_numbers():
    x = np.concatenate([np.geomspace(1e-12, 1e12, 2000), np.arange(1, 200) / 2])
    with double_precision():
        found, slope = jax.vmap(jax.value_and_grad(log_gamma))(jnp.asarray(x))
    np.testing.assert_allclose(found, special.gammaln(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slope, special.digamma(x), rtol=1e-11, atol=1e-12)


def test_only_log_gamma_of_a_positive_number_is_replaced():
    with double_precision():
        function = cheaper(lambda x: jax.lax.lgamma(x) + jax.lax.lgamma(jnp.exp(x)), lambda x: False)
        x = jnp.asarray([-1.5, 0.5])
        np.testing.assert_allclose(function(x), special.gammaln(x) + special.gammaln(np.exp(x)), rtol=1e-12)
        left = [e.primitive.name for e in jax.make_jaxpr(function)(x).eqns]
    assert left.count("lgamma") == 1


def test_only_log1p_of_a_number_that_is_not_negative_is_replaced():
    with double_precision():
        function = cheaper(lambda x: jnp.log1p(x) + jnp.log1p(x**2 / jnp.exp(x)) + jnp.log1p(x**3), lambda x: False)
        x = jnp.asarray([-0.5, 0.5])
        plain = np.log1p(x) + np.log1p(x**2 / np.exp(x)) + np.log1p(x**3)
        np.testing.assert_allclose(function(x), plain, rtol=0, atol=3e-16)
        left = [e.primitive.name for e in jax.make_jaxpr(function)(x).eqns]
    assert left.count("log1p") == 2
