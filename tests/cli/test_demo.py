"""The demonstration."""


def test_demo_holds_back_the_largest_models():
    from scalebayes.cli.demo import run
    from scalebayes.show.curves import plot

    answer = run()
    assert not answer.fit.diagnostics.problems
    assert set(answer.published) == {"Cerebras-GPT", "Cerebras-GPT-muP", "Pythia"}
    assert 1.582 not in answer.fit.model.runs.y
    assert "inside" in str(answer)
    pictured = {
        float(x) for line in plot(answer.fit, held_back=answer.held_back).axes for x in line.lines[-1].get_ydata()
    }
    assert set(answer.published.values()) <= pictured
    assert str(answer).count("is outside because") == str(answer).count("OUTSIDE")
