import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.concurrency import run_sync
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.methods.post_training.uniqueness import (
    EmbeddingStrategyJudge,
    LLMStrategyJudge,
    SignatureJudge,
    Uniqueness,
    cluster_ids,
    clustered,
    cover_at_n,
    strategy_prompt,
    uniqueness_weights,
)
from assay.methods.text_index import hash_embed


def batch_of(rewards, clusters):
    return RolloutBatch.from_rewards(torch.tensor(rewards)).replace(cluster=torch.tensor(clusters).flatten())


class Scripted:
    """A model that gives these replies in turn and keeps what it was asked."""

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    async def __call__(self, prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        self.asked.append(prompt)
        return self.replies.pop(0)


def groups(*members):
    return json.dumps({"ideas": [], "groups": [{"idea": "i", "solutions": list(m)} for m in members]})


def ask(judge, rollouts, problem="What is 2 + 2?"):
    return run_sync(judge.partition, problem, rollouts)


def test_advantages_are_divided_by_the_size_of_their_cluster():
    batch = batch_of([[1.0, 1.0, 1.0, 0.0]], [[7, 7, 3, 7]])
    base = GroupNormalised(scale="none")
    assert Pipeline(base, Uniqueness())(batch).tolist() == pytest.approx([0.25 / 3, 0.25 / 3, 0.25, -0.75 / 3])
    assert Pipeline(base, Uniqueness(alpha=0.5))(batch)[0] == pytest.approx(0.25 / 3**0.5)


def test_a_power_of_zero_leaves_advantages_alone():
    batch = batch_of([[1.0, 0.0, 0.0]], [[0, 0, 1]])
    assert torch.equal(Pipeline(GroupNormalised(), Uniqueness(alpha=0.0))(batch), GroupNormalised()(batch))


def test_the_same_cluster_number_in_two_groups_is_two_clusters():
    batch = batch_of([[1.0, 0.0], [1.0, 0.0]], [[0, 1], [0, 0]])
    weights = Uniqueness()(batch, torch.ones(4))
    assert weights.tolist() == [1.0, 1.0, 0.5, 0.5]


def test_normalised_weights_have_mean_one_in_every_group():
    batch = batch_of([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]], [[0, 0, 1], [5, 5, 5]])
    weights = Uniqueness(normalise=True)(batch, torch.ones(6)).view(2, 3)
    assert weights.mean(dim=1).tolist() == pytest.approx([1, 1])
    assert weights[0].tolist() == pytest.approx([0.75, 0.75, 1.5])


def test_token_advantages_are_weighted_row_by_row():
    batch = batch_of([[1.0, 0.0, 1.0]], [[0, 0, 1]]).replace(mask=torch.ones(3, 2).bool())
    assert Uniqueness()(batch, torch.ones(3, 2)).tolist() == [[0.5, 0.5], [0.5, 0.5], [1.0, 1.0]]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.floats(0, 1))
def test_the_weights_of_a_cluster_add_up_to_its_size_to_the_one_minus_alpha(ids, alpha):
    weights = uniqueness_weights(torch.tensor(ids), alpha)
    for cluster in set(ids):
        of = torch.tensor(ids) == cluster
        assert float(weights[of].sum()) == pytest.approx(float(of.sum()) ** (1 - alpha))
    assert float(weights.min()) >= len(ids) ** -alpha - 1e-12


@given(st.permutations(range(9)), st.lists(st.integers(0, 3), min_size=9, max_size=9))
def test_row_order_does_not_matter(order, ids):
    batch = RolloutBatch(
        torch.arange(9).float(), torch.arange(9) // 3, torch.ones(9, 1).bool(), cluster=torch.tensor(ids)
    )
    order = torch.tensor(order)
    moved = batch.replace(rewards=batch.rewards[order], group=batch.group[order], cluster=batch.cluster[order])
    pipeline = Pipeline(GroupNormalised(), Uniqueness())
    assert torch.allclose(pipeline(moved), pipeline(batch)[order])


def test_a_judge_fills_the_clusters_of_each_group():
    batch = RolloutBatch(
        torch.zeros(4),
        torch.tensor([1, 0, 1, 0]),
        torch.ones(4, 1).bool(),
        prompts=("b", "a", "b", "a"),
        completions=("pair", "list", "pair", "count"),
    )
    filled = clustered(batch, SignatureJudge(str))
    assert filled.cluster[0] == filled.cluster[2]
    assert filled.cluster[1] != filled.cluster[3]


def test_embeddings_are_merged_by_their_mean_cosine():
    texts = ["add the pairs from both ends", "add the pairs from both the ends", "list every case one by one", ""]
    assert sorted(ask(EmbeddingStrategyJudge(hash_embed, 0.6), texts)) == [[0, 1], [2], [3]]
    assert len(ask(EmbeddingStrategyJudge(hash_embed, 1.0), [texts[0], texts[0], texts[2]])) == 2
    assert ask(EmbeddingStrategyJudge(hash_embed), ["only"]) == [[0]]


def test_average_links_equal_those_worked_by_hand():
    angles = np.radians([0, 30, 70])  # cosines 0.866, 0.766, 0.342; the third's mean with the first two is 0.554

    def encode(texts):
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    assert ask(EmbeddingStrategyJudge(encode, 0.56), ["a", "b", "c"]) in ([[0, 1], [2]], [[2], [0, 1]])
    assert ask(EmbeddingStrategyJudge(encode, 0.55), ["a", "b", "c"]) == [[0, 1, 2]]


def test_a_model_is_asked_once_a_group_with_all_of_it():
    model = Scripted(groups([1, 3], [2]))
    judge = LLMStrategyJudge(model)
    assert ask(judge, ["pairs", "list", "also pairs"]) == [[0, 2], [1]]
    assert ask(judge, ["pairs", "list", "also pairs"]) == [[0, 2], [1]]
    assert len(model.asked) == 1
    assert all(text in model.asked[0] for text in ("What is 2 + 2?", "pairs", "list", "### Solution 3"))
    assert judge.void == 0


def test_the_examples_in_the_prompt_are_replies_that_would_be_taken():
    first, second = strategy_prompt("p", ["s"]).split("# Example")[1:]
    for example, wanted in ((first, [[0, 1], [2]]), (second.split("# Your turn")[0], [[0, 2], [1]])):
        judge = LLMStrategyJudge(Scripted("{" + example.split("\n\n{")[1]))
        assert ask(judge, ["a", "b", "c"]) == wanted
        assert judge.void == 0


def test_forgotten_rollouts_stand_alone_and_second_mentions_are_dropped():
    judge = LLMStrategyJudge(Scripted(groups([1, 2, 2], [2, 4])))
    assert ask(judge, list("abcde")) == [[0, 1], [3], [2], [4]]


def test_an_unusable_reply_is_sent_back_once_and_then_counted():
    repaired = Scripted("I think they are all alike.", groups([1, 2]))
    judge = LLMStrategyJudge(repaired)
    assert ask(judge, ["a", "b"]) == [[0, 1]]
    assert "it holds no JSON object" in repaired.asked[1]
    assert judge.void == 0

    judge = LLMStrategyJudge(Scripted(groups([1, 9]), "{}"))  # there is no ninth solution
    assert ask(judge, ["a", "b"]) == [[0], [1]]
    assert judge.void == 1


def test_a_group_of_one_is_not_asked_about():
    assert ask(LLMStrategyJudge(Scripted()), ["a"]) == [[0]]


def test_coverage_counts_reference_strategies_once():
    assert cover_at_n(["a", "a", "x"], ["a", "b"]) == 0.5


class Fixed:
    def __init__(self, partition):
        self.answer = partition

    async def partition(self, problem, rollouts):
        return self.answer


def texts(n):
    return RolloutBatch.from_rewards(torch.zeros(1, n)).replace(prompts=("p",) * n, completions=("c",) * n)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Uniqueness(alpha=1.5), "alpha: got 1.5"),
        (lambda: Uniqueness(alpha=-0.1), "alpha: got -0.1"),
        (lambda: Uniqueness()(texts(2), torch.ones(2)), "Uniqueness needs cluster"),
        (lambda: clustered(RolloutBatch.from_rewards(torch.zeros(1, 2)), Fixed([])), "needs prompts, completions"),
        (lambda: clustered(texts(2), Fixed([[0, 2]])), "partition: got rollout 2, wanted 0 to 1"),
        (lambda: clustered(texts(2), Fixed([[0, 0], [1]])), "partition: got rollout 0 twice"),
        (lambda: cluster_ids([[1]], 2), "partition: got none for rollout 0"),
        (lambda: EmbeddingStrategyJudge(hash_embed, 2.0), "threshold: got 2.0"),
        (lambda: cover_at_n(["a"], []), "reference: got no strategies"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
