"""The demonstration."""


def test_demo_holds_back_the_largest_models():
    from scalebayes.cli.demo import run

    answer = run()
    assert not answer.fit.diagnostics.problems
    assert set(answer.published) == {"Cerebras-GPT", "Cerebras-GPT-muP", "Pythia"}
    assert 1.582 not in answer.fit.model.runs.y
    assert "inside" in str(answer)
