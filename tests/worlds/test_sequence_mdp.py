import numpy as np
import pytest

from assay.worlds.sequence_mdp import log_softmax, world


def test_every_string_is_listed_once_and_prefixes_tell_them_apart():
    mdp = world(letters=3, length=3).sample(0)
    assert len({tuple(row) for row in mdp.strings.tolist()}) == 27
    seen = {}
    for string, prefixes in zip(mdp.strings.tolist(), mdp.prefixes.tolist()):
        for at, prefix in enumerate(prefixes):
            assert seen.setdefault(prefix, string[:at]) == string[:at]
    assert sorted(seen) == list(range(1 + 3 + 9))


def test_the_chances_of_all_strings_add_up_to_one():
    mdp = world().sample(1)
    assert np.exp(mdp.log_chances(mdp.reference)).sum() == pytest.approx(1)
    assert mdp.rewards.sum() == round(0.12 * 1024)


def test_draws_follow_the_policy():
    mdp = world(letters=2, length=3).sample(0)
    strings = mdp.draw(mdp.reference, 40_000, np.random.default_rng(0))
    counts = np.bincount(strings @ [4, 2, 1], minlength=8) / 40_000
    assert counts == pytest.approx(np.exp(mdp.log_chances(mdp.reference)), abs=0.01)
    assert np.array_equal(mdp.reward_of(mdp.strings), mdp.rewards)


def test_the_objective_of_the_closed_form_policy_is_the_optimum():
    maker = world(letters=3, length=3)
    mdp = maker.sample(2)
    (_, (_, best)), _ = maker.examples(mdp, beta=0.2)
    objective, reward, divergence = mdp.objective(best, 0.2)
    assert objective == pytest.approx(mdp.optimum(0.2))
    assert objective == pytest.approx(reward - 0.2 * divergence)
    other = best + 0.3 * np.random.default_rng(0).normal(size=best.shape)
    assert mdp.objective(other, 0.2)[0] < objective


def test_the_optimum_passes_the_check_and_the_reference_does_not():
    maker = world()
    mdp = maker.sample(0)
    for passes, answer in maker.examples(mdp):
        assert maker.check(*answer) is passes
    assert mdp.objective(mdp.reference, 0.1)[2] == 0
    assert maker.check(mdp, mdp.reference, beta=100)  # where divergence costs that much the reference is best


def test_log_softmax_rows_are_normalised_whatever_their_size():
    rows = log_softmax(np.array([[1000.0, 1000.0], [0.0, -1000.0]]))
    assert rows[0] == pytest.approx(np.log([0.5, 0.5]))
    assert rows[1, 0] == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: world(letters=1), "letters, length: got 1, 5"),
        (lambda: world(letters=10, length=6), "at most 100,000"),
        (lambda: world(right=1.0), "right: got 1.0"),
        (lambda: world().check(world().sample(0), np.zeros((2, 4))), "answer: got shape"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
