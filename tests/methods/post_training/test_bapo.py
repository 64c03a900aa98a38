import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.post_training.bapo import (
    BAPOReward,
    BoundaryReward,
    PlateauDetector,
    Resampler,
    correctness_reward,
    is_idk,
    judge_prediction,
    reliability,
)

IDK = "I don't know"


def rewarded(boundary, stage, *groups, wrong="no"):
    """Rewards of groups given as lists of "right", "void", IDK, or any other text for a wrong answer."""
    rows = [row for group in groups for row in group]
    scores = torch.tensor([{"right": 1.0, "void": -1.0}.get(row, 0.0) for row in rows])
    group = torch.tensor([number for number, group in enumerate(groups) for _ in group])
    answers = [None if row == "void" else row for row in rows]
    rewards = boundary(scores, torch.tensor([row == IDK for row in rows]), answers, group, stage)
    return rewards.tolist()


ALWAYS = BoundaryReward(idk_rate=1.0)  # the share of refusals never stops the pay


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        (r"so \boxed{The red house}", 1.0),
        (r"so \boxed{red}", 2 / 3),  # precision 1, recall 1/2
        (r"\boxed{blue}", 0.0),
        ("the red house", -1.0),
        (r"\boxed{}", -1.0),
        ("<think>hm</think><answer>red house</answer>", 1.0),
        ("<answer>red house</answer>", -1.0),
        (r"<think>hm \boxed{red house}", -1.0),
    ],
)
def test_correctness_is_the_f1_of_the_answer_and_minus_one_without_a_readable_one(text, reward):
    assert correctness_reward(text, "Red House!") == pytest.approx(reward)


@pytest.mark.parametrize("phrase", ["I don't know", "i DO NOT know.", "Sorry, I don’t know it"])
def test_a_refusal_is_read_from_the_answer_alone(phrase):
    assert is_idk(rf"\boxed{{{phrase}}}")
    assert not is_idk(rf"{phrase}, but \boxed{{Rome}}")
    assert not is_idk(phrase)


def test_a_refusal_is_paid_where_the_whole_group_failed_and_nowhere_else():
    failed, mixed = [IDK, "no", "void"], [IDK, "no", "right"]
    assert rewarded(ALWAYS, "explore", failed, mixed) == [0.5, 0.0, -1.0, 0.0, 0.0, 1.0]


def test_a_refusal_that_cannot_be_read_is_never_paid():
    scores = torch.tensor([-1.0, 0.0])
    rewards = ALWAYS(scores, torch.tensor([True, False]), [None, "no"], torch.tensor([0, 0]), "explore")
    assert rewards.tolist() == [-1.0, 0.0]


def test_a_refusal_that_shares_words_with_the_answer_earns_nothing_by_them():
    scores = torch.tensor([0.4, 1.0])
    rewards = ALWAYS(scores, torch.tensor([True, False]), [IDK, "know"], torch.tensor([0, 0]), "explore")
    assert rewards.tolist() == [0.0, 1.0]


def test_exploring_pays_only_while_refusals_are_rare():
    group = [IDK] + ["no"] * 9
    assert rewarded(BoundaryReward(idk_rate=0.11), "explore", group)[0] == 0.5
    assert rewarded(BoundaryReward(idk_rate=0.10), "explore", group)[0] == 0.0
    assert rewarded(BoundaryReward(idk_rate=0.10), "plateau", group)[0] == 0.5
    assert rewarded(BoundaryReward(idk_rate=0.10, stage_level=False), "explore", group)[0] == 0.5


def test_the_plateau_pays_only_where_wrong_answers_agree():
    three, four = [IDK, "a", "b", "c", "The A"], [IDK, "a", "b", "c", "d"]
    assert rewarded(BoundaryReward(), "plateau", three, four)[::5] == [0.5, 0.0]
    assert rewarded(ALWAYS, "explore", three, four)[::5] == [0.5, 0.5]
    assert rewarded(BoundaryReward(sample_level=False), "plateau", four)[0] == 0.5


def test_without_the_stages_every_failing_group_is_paid_on_the_plateau_too():
    four = [IDK, "a", "b", "c", "d"]
    assert rewarded(BoundaryReward(stage_level=False), "plateau", four)[0] == 0.5


def test_rows_without_an_answer_are_one_more_distinct_answer():
    assert rewarded(BoundaryReward(), "plateau", [IDK, "a", "b", "void", "void"])[0] == 0.5
    assert rewarded(BoundaryReward(), "plateau", [IDK, "a", "b", "c", "void"])[0] == 0.0


def test_an_evaluation_leaves_the_scores_alone():
    assert rewarded(ALWAYS, "eval", [IDK, "no"]) == [0.0, 0.0]


@given(st.data())
def test_only_refusals_change_and_row_order_does_not_matter(data):
    kinds = st.sampled_from(["right", "void", IDK, "a", "b", "c", "d", "e"])
    rows = data.draw(st.lists(kinds, min_size=1, max_size=20))
    group = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    stage = data.draw(st.sampled_from(["explore", "plateau"]))
    order = data.draw(st.permutations(range(len(rows))))
    scores = torch.tensor([{"right": 1.0, "void": -1.0}.get(row, 0.0) for row in rows])
    idk = torch.tensor([row == IDK for row in rows])
    answers = [None if row == "void" else row for row in rows]
    rewards = BoundaryReward()(scores, idk, answers, group, stage)
    assert torch.equal(rewards[~idk], scores[~idk])
    assert set((rewards - scores).tolist()) <= {0.0, 0.5}
    for name in group[rewards > scores].unique():
        assert (scores[group == name] <= 0).all()
    there = torch.tensor(order)
    moved = BoundaryReward()(scores[there], idk[there], [answers[i] for i in order], group[there], stage)
    assert torch.equal(moved, rewards[there])


def test_the_plateau_comes_when_values_below_the_best_exceed_the_patience_and_stays():
    detector = PlateauDetector(patience=2)
    stages = [detector.update(value) for value in (0.1, 0.5, 0.4, 0.6, 0.5, 0.6, 0.3, 0.9)]
    assert stages == ["explore"] * 6 + ["plateau"] * 2  # 0.4, 0.5 and 0.3 lie below the best of their time
    again = PlateauDetector(patience=2)
    again.load_state_dict(detector.state_dict())
    assert again.stage == "plateau"
    assert again.update(0.8) == "plateau"


class Draws:
    """Fresh groups from a script per group: each entry is one group of (score, refuses)."""

    def __init__(self, scripts):
        self.scripts = {number: list(groups) for number, groups in scripts.items()}
        self.asked = []

    def __call__(self, numbers):
        self.asked.append(list(numbers))
        return [self.scripts[number].pop(0) for number in numbers]


WRONG, RIGHT, REFUSED = (0.0, False), (1.0, False), (0.0, True)


def resampled(resampler, groups, scripts, stage="plateau"):
    draws = Draws(scripts)
    return resampler(groups, draws, lambda _, rollout: rollout, stage), draws.asked


def test_failing_groups_without_a_refusal_are_drawn_again_until_something_comes():
    groups = [[WRONG, WRONG], [WRONG, RIGHT], [WRONG, REFUSED], [WRONG, WRONG]]
    scripts = {0: [[WRONG, WRONG], [WRONG, RIGHT]], 3: [[REFUSED, WRONG]]}
    kept, asked = resampled(Resampler(), groups, scripts)
    assert asked == [[0, 3], [0]]
    assert kept == [[WRONG, RIGHT], groups[1], groups[2], [REFUSED, WRONG]]


def test_attempts_are_bounded_and_the_last_group_stays():
    kept, asked = resampled(Resampler(max_attempts=1), [[WRONG, WRONG]], {0: [[WRONG, (-1.0, False)]]})
    assert (kept, asked) == ([[WRONG, (-1.0, False)]], [[0]])


@pytest.mark.parametrize("stage", ["explore", "eval"])
def test_nothing_is_drawn_before_the_plateau(stage):
    assert resampled(Resampler(), [[WRONG, WRONG]], {}, stage) == ([[WRONG, WRONG]], [])


def test_a_wide_pool_keeps_every_success_and_as_many_rollouts_as_before():
    kept, asked = resampled(Resampler(width=6), [[WRONG, WRONG]], {0: [[WRONG, WRONG], [WRONG, RIGHT]]})
    assert kept == [[RIGHT, WRONG]]
    assert asked == [[0], [0]]


def test_a_wide_pool_ends_at_its_width():
    kept, asked = resampled(Resampler(width=4), [[WRONG, WRONG]], {0: [[WRONG, WRONG]]})
    assert kept == [[WRONG, WRONG]]
    assert asked == [[0]]


@given(st.lists(st.lists(st.sampled_from([WRONG, RIGHT, REFUSED]), min_size=3, max_size=3), max_size=5), st.data())
def test_groups_keep_their_number_and_size_and_lose_no_success(groups, data):
    resampler = Resampler(width=data.draw(st.sampled_from([None, 5, 9])))

    def draw(numbers):
        kinds = st.lists(st.sampled_from([WRONG, RIGHT, REFUSED]), min_size=3, max_size=3)
        return [data.draw(kinds) for _ in numbers]

    kept = resampler(groups, draw, lambda _, rollout: rollout, "plateau")
    assert [len(group) for group in kept] == [3] * len(groups)
    for before, after in zip(groups, kept):
        if RIGHT in before or REFUSED in before:
            assert sorted(after) == sorted(before)


def test_reliability_by_hand():
    shares = reliability([True, True, False, False, False], [True, True, True, False, False])
    assert (shares.accuracy, shares.precision, shares.answer_rate) == pytest.approx((0.4, 2 / 3, 0.6))
    assert shares.reliability == pytest.approx(0.4 * 0.4 + 2 / 3 * 0.6)


def test_never_and_always_answering_are_the_ends_of_reliability():
    assert reliability([False] * 3, [False] * 3).reliability == 0
    assert reliability([True, False], [True, True]).reliability == pytest.approx(0.5)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_reliability_lies_between_accuracy_and_precision(pairs):
    answered = [said for _, said in pairs]
    shares = reliability([right and said for right, said in pairs], answered)
    assert shares.accuracy - 1e-9 <= shares.reliability <= max(shares.precision, shares.accuracy) + 1e-9


@pytest.mark.parametrize(
    ("prediction", "judged"),
    [
        ("Rome", (True, True)),
        ("the city of Rome", (False, True)),
        (r"I thought Pisa. \boxed{The Eternal City}", (True, True)),
        ("I don't know", (False, False)),
        (r"<think>is it Rome?</think><answer>I do not know</answer>", (False, False)),
        (r"I don't know why, but \boxed{Rome}", (True, True)),
        ("", (False, True)),
    ],
)
def test_a_prediction_is_judged_by_its_answer_against_every_gold_one(prediction, judged):
    assert judge_prediction(prediction, ["Rome", "Eternal City"]) == judged


def test_a_lower_f1_can_count_as_right():
    assert judge_prediction("the city of Rome", ["Rome"], at_least=0.5) == (True, True)  # precision 1/3, recall 1
    assert judge_prediction("the city of Rome", ["Rome"], at_least=0.51) == (False, True)


def rows(*pairs, prompt="q"):
    texts = [rf"\boxed{{{text}}}" for text, _ in pairs]
    return {
        "prompts": [prompt] * len(pairs),
        "completions": texts,
        "completion_ids": [[]] * len(pairs),
        "answer": [gold for _, gold in pairs],
    }


def test_the_trl_reward_groups_by_prompt_and_pays_as_the_detector_says():
    detector = PlateauDetector(patience=0)
    reward = BAPOReward(detector, BoundaryReward(idk_rate=0.0))
    given_rows = rows((IDK, "Rome"), ("Pisa", "Rome"))
    assert reward(**given_rows) == [0.0, 0.0]
    assert reward(**given_rows, stage=["plateau"] * 2) == [0.5, 0.0]
    detector.update(1.0)
    detector.update(0.0)
    assert reward(**given_rows) == [0.5, 0.0]
    assert reward(**given_rows, stage=["eval"] * 2) == [0.0, 0.0]
    chat = [[{"role": "assistant", "content": text}] for text in given_rows["completions"]]
    assert reward(**{**given_rows, "completions": chat}) == [0.5, 0.0]


def test_the_reward_pickles_with_its_detector():
    reward = pickle.loads(pickle.dumps(BAPOReward(PlateauDetector())))
    assert reward(**rows(("Rome", "Rome"), ("Pisa", "Rome"))) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: BoundaryReward(bonus=0.0), "bonus: got 0.0"),
        (lambda: BoundaryReward(idk_rate=1.5), "idk_rate: got 1.5"),
        (lambda: BoundaryReward(consistency=0), "consistency: got 0"),
        (lambda: PlateauDetector(patience=-1), "patience: got -1"),
        (lambda: Resampler(max_attempts=-1), "max_attempts: got -1"),
        (lambda: Resampler(width=1), "width: got 1"),
        (lambda: Resampler()([[WRONG, WRONG]], None, None, "done"), "stage: got 'done'"),
        (lambda: rewarded(ALWAYS, "train", ["no"]), "stage: got 'train'"),
        (
            lambda: ALWAYS(torch.tensor([float("nan")]), torch.tensor([True]), ["a"], torch.tensor([0]), "explore"),
            "scores: got",
        ),
        (
            lambda: ALWAYS(torch.zeros(2), torch.zeros(2).bool(), ["a"], torch.zeros(2), "explore"),
            "answers: got 1 rows, wanted 2",
        ),
        (lambda: reliability([], []), "wanted one each a question"),
        (lambda: reliability([True], [False]), "question 0 is right but was not answered"),
        (lambda: judge_prediction("a", []), "golds: got none"),
        (lambda: judge_prediction("a", ["a"], 0.0), "at_least: got 0.0"),
        (lambda: BAPOReward(PlateauDetector())(["q"], ["a"], [[]]), "answer: got no such column"),
        (
            lambda: BAPOReward(PlateauDetector())(**rows((IDK, "Rome"), ("Pisa", "Pisa"))),
            "the group of 'q' has 'Rome' and 'Pisa'",
        ),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_refusals_must_be_booleans():
    with pytest.raises(TypeError, match="idk: got"):
        ALWAYS(torch.zeros(1), torch.zeros(1), ["a"], torch.zeros(1), "explore")
