from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from assay.engine.trial import Measures, NoHeadroom
from assay.methods.post_training.profit import ProFit
from assay.models.tokenizer import BOT, EOS
from assay.trials.post_training import profit
from assay.worlds.text import told_sums
from assay.worlds.text.problem import split_of

SEED = 5


@pytest.fixture(scope="module")
def world():
    return told_sums.world(each=20, below=8).sample(SEED)


@pytest.fixture(scope="module")
def begun():
    """Weights that have learnt how a reply looks and not much else."""
    return dict(profit.pretrained(SEED, 60, below=8).state_dict())


@pytest.fixture
def few(monkeypatch):
    """Arms that train for nine steps."""
    tuned = profit.tuned
    monkeypatch.setattr(profit, "tuned", lambda *given: tuned(*given, references=32, epochs=9))


def test_a_start_that_gets_its_numbers_wrong_is_no_headroom(world, monkeypatch):
    monkeypatch.setattr(profit, "pretrained", lambda seed, steps, below: profit.fresh(seed))
    with pytest.raises(NoHeadroom, match="the start solves 0%"):
        profit.begin(world, None, SEED)


def test_the_start_is_probed_on_held_out_questions_that_no_arm_is_measured_on(world, monkeypatch):
    probed = []
    monkeypatch.setattr(profit, "pretrained", lambda seed, steps, below: profit.fresh(seed))
    monkeypatch.setattr(profit, "share_right", lambda model, problems: probed.extend(problems) or 0.9)
    profit.begin(world, None, SEED)
    assert len(probed) > 15
    assert all(split_of(problem.prompt) == "test" and problem.meta["below"] == 8 for problem in probed)
    assert not {problem.prompt for problem in probed} & {problem.prompt for problem in world}


def test_rows_ask_for_the_whole_reply_and_its_end():
    problem = told_sums.sample(3, "train")
    (row,) = profit.told_rows([problem])
    first = row.asked.index(True)
    assert row.ids[first - 1] == BOT and row.ids[-1] == EOS
    assert profit.tokenizer().decode(row.ids[first:-1]) == problem.trace
    assert all(row.asked[first:]) and sum(row.asked) == 21


def test_arms_see_the_same_references_in_the_same_order(world, begun):
    seen: dict[str, list[torch.Tensor]] = {"plain": [], "masked": []}

    def watching(name, loss):
        def of_asked(logits, ids):
            seen[name].append(ids)
            return loss(logits, ids)

        return of_asked

    probable = ProFit(0.1)
    losses = {"plain": F.cross_entropy, "masked": lambda logits, ids: probable.loss(logits, ids, shift=False)}
    for name, loss in losses.items():
        profit.tuned(world, SEED, begun, watching(name, loss), references=32, epochs=2)
    assert all(torch.equal(a, b) for a, b in zip(seen["plain"], seen["masked"], strict=True))


def test_a_threshold_of_zero_is_the_baseline(world, begun, few, monkeypatch):
    plain = profit.plain(world, None, SEED, begun)
    monkeypatch.setattr(profit, "TAU", 0.0)
    masked = profit.profit(world, None, SEED, begun)
    assert masked.value == plain.value
    assert masked.curve == pytest.approx(plain.curve, rel=1e-4)
    assert masked.extra["drop_rate"] == 0


def test_the_placebo_drops_what_the_method_dropped_wherever_it_falls(world, begun, few):
    dropped = []
    for seed in range(3):
        earlier = Measures(0.5, extra={"drop_rate": 0.4})
        dropped.append(profit.random_tokens(world, None, seed, begun, earlier).extra["drop_rate"])
    assert sum(dropped) / 3 == pytest.approx(0.4, abs=0.02)


def test_arms_repeat_themselves_and_differ_from_one_another(world, begun, few):
    earlier = SimpleNamespace(extra={"drop_rate": 0.4})
    curves = {
        name: tuple(arm(world, None, SEED, begun, *([earlier] if name in profit.trial.after else [])).curve)
        for name, arm in profit.trial.arms.items()
    }
    assert len(set(curves.values())) == len(curves)
    assert tuple(profit.profit(world, None, SEED, begun).curve) == curves["method"]


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(profit.trial, quick=True, isolation="inline", arms=["baseline", "placebo", "method"])
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
