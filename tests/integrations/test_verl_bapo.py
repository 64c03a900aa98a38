import importlib.util

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.integrations import verl
from assay.integrations.verl_bapo import BAPOAdvantage, compute_score, pack, unpack
from assay.methods.post_training.bapo import BAPOReward, BoundaryReward, PlateauDetector
from assay.methods.post_training.pipeline import GroupNormalised

HAS_VERL = importlib.util.find_spec("verl") is not None
IDK = r"\boxed{I don't know}"
ROWS = [
    (r"\boxed{ulm}", "rome"),
    (IDK, "rome"),
    ("none", "rome"),
    (r"\boxed{bonn}", "rome"),
    (r"\boxed{rome}", "rome"),
    (IDK, "rome"),
]
GROUPS = ["a", "a", "a", "a", "b", "b"]


class OnThePlateau(PlateauDetector):
    def __init__(self):
        super().__init__(0)
        self.load_state_dict({"best": 1.0, "below": 1})


@given(st.floats(-1, 1), st.booleans(), st.one_of(st.none(), st.text(max_size=8)))
def test_a_row_comes_back_out_of_a_float32(score, idk, answer):
    packed = torch.tensor([pack(score, idk, answer)], dtype=torch.float32)
    back, refuses, (said,) = unpack(packed)
    assert back.item() == pytest.approx(score, abs=1 / 512 + 1e-6)
    assert packed.item() == pytest.approx(score, abs=2 / 512)
    assert (back > 0).item() == (score > 0)
    assert refuses.item() == idk
    assert (said is None) == (answer is None)


def test_scores_that_rewards_give_come_back_exactly():
    for score in (-1.0, 0.0, 0.5, 1.0):
        assert unpack(torch.tensor([pack(score, True, "x")]))[0].item() == score


def test_answers_are_the_same_where_they_are_once_normalised():
    packed = [pack(0, False, answer) for answer in ("The Tower", "tower", "bridge")]
    _, _, (a, b, c) = unpack(torch.tensor(packed))
    assert a == b != c


@pytest.mark.parametrize("detector", [PlateauDetector(), OnThePlateau()])
def test_verls_rows_are_paid_as_trls_are(detector):
    packed = [compute_score("set", text, gold)["score"] for text, gold in ROWS]
    rewards, mask = torch.zeros(6, 4), torch.ones(6, 4)
    rewards[:, 2] = torch.tensor(packed)
    boundary = BoundaryReward(idk_rate=0.5)
    fn = verl.verl_estimator(BAPOAdvantage(detector, boundary, GroupNormalised(scale="none"), every=100))
    ours, _ = fn(rewards, mask, GROUPS)

    texts, golds = map(list, zip(*ROWS))
    theirs = BAPOReward(detector, boundary)(GROUPS, texts, [[]] * 6, answer=golds)
    table = torch.tensor(theirs)
    means = torch.cat([table[:4].mean().expand(4), table[4:].mean().expand(2)])
    torch.testing.assert_close(ours, (table - means).unsqueeze(1).expand(6, 4))
    assert theirs[1] == 0.5  # the refusal where all failed
    assert theirs[5] == 0  # and where one did not


def test_the_plateau_is_that_of_the_training_batches():
    detector = PlateauDetector(0)
    estimator = BAPOAdvantage(detector, every=2)
    fn = verl.verl_estimator(estimator)
    for score in (0.5, 0.5, 0.25):
        fn(torch.full((2, 1), pack(score, False, "x")), torch.ones(2, 1), ["a", "a"])
        assert detector.stage == "explore"
    fn(torch.full((2, 1), pack(0.25, False, "x")), torch.ones(2, 1), ["a", "a"])
    assert detector.stage == "plateau"


def test_the_logs_of_verl_see_correctness_and_refusals():
    assert compute_score("set", r"\boxed{rome}", "rome") == {"score": pack(1, False, "rome"), "acc": 1.0, "idk": 0.0}
    assert compute_score("set", IDK, "rome", {"x": 1})["idk"] == 1.0


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="score: got 2"):
        pack(2, False, None)
    with pytest.raises(ValueError, match="every: got 0"):
        BAPOAdvantage(every=0)


@pytest.mark.skipif(not HAS_VERL, reason="verl is not installed")
def test_it_runs_in_verls_own_advantage_step():
    import numpy as np
    from verl import DataProto
    from verl.trainer.config import AlgoConfig
    from verl.trainer.ppo.ray_trainer import compute_advantage

    verl.register("assay_bapo", BAPOAdvantage())
    rewards = torch.zeros(6, 4)
    rewards[:, 3] = torch.tensor([compute_score("set", text, gold)["score"] for text, gold in ROWS])
    tensors = {"token_level_rewards": rewards, "response_mask": torch.ones(6, 4)}
    data = DataProto.from_dict(tensors=tensors, non_tensors={"uid": np.array(GROUPS, dtype=object)})
    made = compute_advantage(data, adv_estimator="assay_bapo", config=AlgoConfig(adv_estimator="assay_bapo"))
    wanted = verl.verl_estimator(BAPOAdvantage())(rewards, torch.ones(6, 4), GROUPS)[0]
    torch.testing.assert_close(made.batch["advantages"], wanted)
