import pytest
import torch

from assay.methods.attention.block_sparse import block_mass
from assay.trials.attention import prism
from assay.trials.attention.prism import at_length, calibrated, kept, sampled, short, timed, trial, true_density
from assay.worlds.longheads import world

HEADS = world(lengths=[1024]).sample(1000)


def everything(q, k, share):
    n = q.shape[2] // prism.BLOCK
    return torch.ones(*q.shape[:2], n, n, dtype=torch.bool).tril()


def diagonal(q, k, share):
    n = q.shape[2] // prism.BLOCK
    return torch.eye(n, dtype=torch.bool).expand(*q.shape[:2], n, n)


def test_keeping_everything_loses_nothing_and_clears_the_gate(monkeypatch):
    monkeypatch.setattr(prism, "SPREAD", 1e9)  # other tests run beside this one
    speedup, missed, figures = at_length(HEADS, everything, 1024, 1.0)
    assert speedup > 0
    assert missed == ""
    assert figures["density"] == 1
    assert figures["recall"] == pytest.approx(1, abs=1e-4)
    assert figures["error"] < 1e-5


def test_a_missed_gate_counts_nothing_and_says_why(monkeypatch):
    monkeypatch.setattr(prism, "SPREAD", 1e9)
    found = prism.measure(HEADS, diagonal, (1024,))
    assert found.value == 0
    assert "attention kept" in found.notes["gate_1k"]
    assert "output error" in found.notes["gate_1k"]
    assert found.extra["share_1k"] == prism.GRID[-1]


def test_the_smallest_share_that_keeps_enough_is_taken():
    asked = []

    def select(q, k, share):
        asked.append(share)
        return everything(q, k, share) if share >= 0.7 else diagonal(q, k, share)

    assert calibrated(HEADS, select, 1024) == 0.7
    assert asked == [0.3, 0.5, 0.6, 0.7]


def test_a_busy_machine_fails_the_unit(monkeypatch):
    monkeypatch.setattr(prism, "SPREAD", -1.0)
    q, k, v = (x[None, :2, :256] for x in HEADS.draw(1024))
    with pytest.raises(RuntimeError, match="the machine is busy"):
        timed(prism.sdpa, q, k, v)


def test_the_true_masses_need_no_more_blocks_than_any_choice():
    q, k, _ = (x[None] for x in HEADS.draw(1024))
    rows = sampled(1024)
    mass = block_mass(q, k, prism.BLOCK, rows)
    assert rows.tolist() == [3, 7]
    from assay.methods.attention.prism import density, mean_pool_select

    mask = mean_pool_select(q, k, 0.8)
    recall = kept(mass, mask[:, :, rows]).mean().item()
    assert true_density(mass, rows, recall) <= density(mask)
    assert short(1024) == "1k"


def test_the_profile_shares_out_the_whole_time():
    q, k, v = (x[None, :1] for x in HEADS.draw(1024))
    shares = prism.profile(lambda: everything(q, k, 1), q, k, v)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["time_products"] > 0.1
    assert shares["time_softmax"] > 0.01


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict(monkeypatch):
    from assay.engine import run

    monkeypatch.setattr(prism, "SPREAD", 1e9)
    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
