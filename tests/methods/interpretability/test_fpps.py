"""FPPS: the shift layer, the prober, steering by risk, scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.interpretability import fpps as module
from assay.methods.interpretability._fpps_prober import FactualityProber, fit_prober
from assay.methods.interpretability._replies import prompt_states, reply_log_probs
from assay.methods.interpretability._shift_layer import locate_shift_layer, mean_nll, right_under
from assay.methods.interpretability.fpps import FPPS, Scores, Triple, fit, joined, personalized_generate
from assay.models import load as load_model
from assay.models.finetune import replies
from assay.worlds.text import lists


@pytest.fixture(scope="module")
def nano():
    return load_model("nano")


@pytest.fixture(scope="module")
def triples():
    """Lists that nano can do; another list before them confuses it."""
    problems = [lists.sample(i, "test", operations=(1, 1), letters=(4, 4)) for i in range(120)]
    return [
        Triple(p.prompt, problems[i - 1].prompt if i % 3 else "", p.trace, problems[i - 1].trace)
        for i, p in enumerate(problems)
    ]


def prober(weight=1.0):
    return FactualityProber(torch.zeros(4), torch.ones(4), torch.tensor([weight, 0.0, 0.0, 0.0]), 0.0, 1.0)


def test_a_patch_after_the_last_layer_gives_the_plain_prompts_first_token(nano):
    model, tokenizer = nano
    plain, personal = "Sabcd V", "Sdcba S\nSabcd V"
    states = prompt_states(model, tokenizer, [plain], [4])[4]
    patched = mean_nll(model, tokenizer, [(personal, "")], 4, states)  # an empty reply is its end alone
    (wanted, _, asked), (unpatched, _, _) = reply_log_probs(model, tokenizer, [(plain, ""), (personal, "")])
    assert patched[0] == pytest.approx(-float(wanted[asked].mean()), abs=1e-4)
    assert abs(float(unpatched[-1]) - float(wanted[-1])) > 1e-2


def test_the_layer_is_the_one_where_a_patch_undoes_most(nano, triples):
    harmed = [t for t in triples if t.history][:12]
    rows = [(t.question, joined(t.history, t.question), t.gold, t.history_answer) for t in harmed]
    report = locate_shift_layer(*nano, rows)
    assert report.layers == (0, 1, 2, 3, 4)
    assert report.best == int(np.argmax(report.mean))
    for mean, (low, high) in zip(report.mean, report.intervals):
        assert low <= mean <= high
    assert len(locate_shift_layer(*nano, rows, layers=[1, 3], mode="norm").mean) == 2


def test_the_three_ways_of_steering_are_those_worked_by_hand():
    h_u, h_0 = torch.tensor([[3.0, 4.0], [3.0, 4.0], [0.0, 2.0]]), torch.tensor([[1.0, 4.0], [3.0, 1.0], [1.0, 2.0]])
    v = torch.tensor([0.0, 1.0])
    risk = np.array([0.9, 0.5, 0.1])
    base = FPPS(0, prober(), v, "H", gamma=0.1, tau=0.5, tau_low=0.3, tau_high=0.7)
    hard = torch.tensor([[-2.0, 0.0], [0.0, -3.0], [0.0, 0.0]])
    torch.testing.assert_close(base.change(h_u, h_0, risk), hard)
    soft = torch.tensor([[0.0, 0.1 * 0.9 * 5], [0.0, 0.1 * 0.5 * 5], [0.0, 0.1 * 0.1 * 2]])
    torch.testing.assert_close(module.replace(base, variant="S").change(h_u, h_0, risk), soft)
    mixed = torch.stack([hard[0], soft[1], torch.zeros(2)])
    torch.testing.assert_close(module.replace(base, variant="M").change(h_u, h_0, risk), mixed)


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_overall_lies_between_the_smaller_share_and_the_arithmetic_mean(factual, personal):
    scores = Scores(factual, personal, 0.0)
    assert min(factual, personal) - 1e-12 <= scores.overall <= scores.arithmetic + 1e-12


def test_a_score_without_any_right_answer_is_nought():
    assert Scores(0.0, 0.0, 1.0).overall == 0


def test_the_prober_tells_what_can_be_told_and_is_the_regression_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    h_u, h_0 = torch.randn(120, 3, generator=generator), torch.randn(120, 3, generator=generator)
    harmed = np.arange(120) % 2 == 0
    h_u[harmed, 0] += 8
    found = fit_prober(h_u, h_0, harmed)
    assert found.auroc > 0.99
    risk = found.risk(h_u, h_0)
    assert (risk[harmed] > 0.5).all()
    assert (risk[~harmed] < 0.5).all()
    assert fit_prober(h_u, h_0, harmed, single_pass=True).risk(h_u).shape == (120,)
    shuffled = np.random.default_rng(0).permutation(harmed)
    assert 0.3 < fit_prober(h_u, h_0, shuffled).auroc < 0.7


def test_what_is_right_under_a_change_is_what_the_model_then_writes(nano, triples):
    model, tokenizer = nano
    asked = [t for t in triples if t.history][:16]
    generator = torch.Generator().manual_seed(1)
    change = 6 * torch.randn(len(asked), 128, generator=generator)
    told = right_under(model, tokenizer, [(t.question, t.gold) for t in asked], 2, change)
    plain = right_under(model, tokenizer, [(t.question, t.gold) for t in asked])
    assert plain.tolist() == [
        text == t.gold for text, t in zip(replies(model, tokenizer, [t.question for t in asked], max_tokens=40), asked)
    ]
    written = []
    for t, row in zip(asked, change):
        ids = torch.tensor([module.prompt_ids(tokenizer, t.question)])

        def add(h, mask, row=row):
            h = h.clone()
            h[:, -1] += row
            return h

        with module.intervene(model, [module.Intervention(2, add)]):
            out = model.generate(ids, max_new_tokens=40, do_sample=False)
        written.append(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True) == t.gold)
    assert told.tolist() == written
    assert told.tolist() != plain.tolist()


def test_it_fits_what_a_history_breaks_and_says_the_risk(nano, triples):
    model, tokenizer = nano
    assert 20 < module.harm(model, tokenizer, triples).sum() < 80
    found = fit(model, tokenizer, triples, layer=3)
    assert found.layer == 3
    assert float(found.direction.norm()) == pytest.approx(1)
    assert found.prober.auroc > 0.9  # a history is easily seen; whether it harms, less so
    text, risk = personalized_generate(model, tokenizer, triples[1].history, triples[1].question, found)
    assert 0 <= risk <= 1
    assert isinstance(text, str)


def test_without_a_history_it_is_the_plain_answer(nano, triples):
    found = FPPS(2, prober(), torch.zeros(128), "S")
    text, risk = personalized_generate(*nano, "", triples[0].question, found, max_new_tokens=30)
    assert (text, risk) == (replies(*nano, [triples[0].question], max_tokens=30)[0], 0.0)


def test_scores_count_each_kind_by_itself(nano):
    right = replies(*nano, ["Sabcd V"], max_tokens=30)[0]
    asked = [Triple("Sabcd V", "", right), Triple("Sabcd V", "", "no"), Triple("Sabcd V", "", right, kind="personal")]
    scores = module.score(*nano, asked, 0)
    assert (scores.factual, scores.personal, scores.hallucination) == (0.5, 1.0, 0.0)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda m: Triple("q", "h", "g", kind="other"), "wanted 'factual' or 'personal'"),
        (lambda m: Triple("", "h", "g"), "got an empty text"),
        (lambda m: FPPS(0, prober(), torch.ones(2), tau_low=0.8), "wanted tau_low <= tau_high"),
        (lambda m: FPPS(0, prober(), torch.ones(2), variant="X"), "wanted 'H', 'S' or 'M'"),
        (lambda m: FPPS(0, prober(), torch.ones(2), gamma=0), "gamma: got 0"),
        (lambda m: fit(*m, [Triple("Sabcd V", "", "zz")] * 3), "no personalisation-induced errors on these 3 items"),
        (lambda m: fit(*m, [Triple("Sabcd V", "", "zz")], layer=9), "layer: got 9, wanted 0 to 4"),
        (lambda m: fit(*m, []), "triples: got none"),
        (lambda m: locate_shift_layer(*m, []), "contrasts: got none"),
        (lambda m: fit_prober(torch.ones(30, 2), torch.ones(30, 2), np.arange(30) < 10), "at least 20 of each kind"),
        (lambda m: prober().risk(torch.ones(1, 3), torch.ones(1, 3)), "another width"),
        (lambda m: prober().risk(torch.ones(1, 2)), "h_0: got None"),
    ],
)
def test_wrong_input_is_named(nano, call, told):
    with pytest.raises(ValueError) as raised:
        call(nano)
    assert told in str(raised.value)
