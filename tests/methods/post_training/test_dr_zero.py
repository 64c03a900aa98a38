import json
import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.concurrency import run_sync
from assay.methods.post_training._dr_zero_evolution import as_batch, hop_counts
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.dr_zero import (
    HRPO,
    Document,
    Judged,
    ModelProposer,
    ModelSolver,
    Proposal,
    ReinforceLoss,
    SelfEvolution,
    difficulty,
    hop_count,
    pieces,
    proposer_format,
    proposer_reward,
    solver_reward,
)
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.methods.protocols import Message
from assay.methods.text_index import TextIndex


def batch(rewards, key):
    rows = len(rewards)
    return RolloutBatch(
        rewards=torch.tensor(rewards, dtype=torch.float64),
        group=torch.arange(rows),
        mask=torch.ones(rows, 1, dtype=torch.bool),
        key=torch.tensor(key),
        allow_singletons=True,
    )


# --- rewards ---


@pytest.mark.parametrize(("right", "pays"), [(0, 0), (1, 1), (2, 0.75), (3, 0.5), (4, 0.25), (5, 0)])
def test_one_right_of_five_pays_most_and_none_or_all_pay_nothing(right, pays):
    assert difficulty([True] * right + [False] * (5 - right)) == pays


def test_difficulty_is_added_to_half_the_form_and_only_where_there_is_one():
    assert proposer_reward(0.8, [True, False]) == pytest.approx(0.4 + 1)
    assert proposer_reward(0.8, [True, True]) == pytest.approx(0.4)
    assert proposer_reward(0.0, [True, False]) == 0


def test_the_solver_is_right_once_both_are_normalised():
    assert solver_reward("The Rhine!", "rhine") == 1
    assert solver_reward("Main", "rhine") == 0
    assert solver_reward(None, "rhine") == 0


def test_hops_are_the_searches_that_say_something_plus_one():
    assert hop_count("<search>a</search> … <search>b</search>") == 3
    assert hop_count("<search> </search><search>a") == 1
    assert hop_count("") == 1


SEED = Message("user", "Ada was born in Rome.")
CALL = Message("assistant", "<think>on</think><search>Rome</search>")
REPLY = Message("tool", "The mayor of Rome is Zeno.")
END = "<think>done</think><question>Who governs where Ada was born?</question><answer>Zeno</answer>"


def test_a_question_in_full_form_scores_one():
    assert proposer_format([SEED, CALL, REPLY], END, 2) == 1


@pytest.mark.parametrize(
    ("messages", "response", "hops", "score"),
    [
        ([SEED, CALL, REPLY], END.replace("<think>done</think>", ""), 2, (1 + 0.5 + 1 + 1) / 4),
        ([SEED, CALL, REPLY], END, 4, (1 + 1 + 0.5 + 1) / 4),
        ([SEED, CALL], END, 2, (1 + 1 + 0 + 0) / 4),  # a call without a reply, an answer that was nowhere read
        ([SEED, CALL, REPLY], END, 1, 1.0),
        ([SEED, REPLY], END, 1, 1.0),  # with one hop calls are not looked at
        ([SEED, Message("assistant", "<think>on</think><search> </search>")], END, 2, (1 + 1 + 0.5 + 0) / 4),
        ([SEED, CALL, REPLY], END.replace(">Zeno<", ">Cy<"), 2, 3 / 4),
        ([SEED, CALL, REPLY], END.replace(">Zeno<", ">Yes<"), 2, 1.0),
        ([SEED, CALL, REPLY], END.replace(">Zeno<", ">Ada was born in the Rome<"), 2, (1 + 1 + 1 + 0.5) / 4),  # 6 words
        ([SEED, CALL, REPLY], END.replace(">Zeno<", ">Ada<"), 2, 0.0),  # inside the question
        ([SEED, CALL, REPLY], END.replace("<answer>Zeno</answer>", ""), 2, 0.0),
        ([SEED, CALL, REPLY], "<answer>Zeno</answer>", 2, 0.0),
        ([SEED, CALL, REPLY], END.replace(">Zeno<", "> <"), 2, 0.0),
    ],
)
def test_the_form_is_scored_part_by_part(messages, response, hops, score):
    assert proposer_format(messages, response, hops) == pytest.approx(score)


# --- HRPO ---


def test_questions_are_compared_with_those_of_as_many_hops():
    # hops 1: 0, 1 -> mean 1/2, std 1/2; hops 2: 3, 5, 7 -> mean 5, variance 8/3
    given_ = HRPO()(batch([0.0, 3.0, 1.0, 5.0, 7.0], [1, 2, 1, 2, 2]))
    root = 2 / math.sqrt(8 / 3)
    torch.testing.assert_close(given_, torch.tensor([-1, -root, 1, 0, root], dtype=torch.float64), atol=1e-5, rtol=0)


def test_delta_stands_inside_the_root():
    given_ = HRPO(delta=1.0)(batch([0.0, 2.0], [1, 1]))
    assert given_.tolist() == pytest.approx([-1 / math.sqrt(2), 1 / math.sqrt(2)])


def test_a_lone_hop_count_gets_nothing_and_is_counted_and_the_released_form_keeps_the_reward():
    estimator, rows = HRPO(), batch([0.2, 0.4, 0.9], [1, 1, 3])
    assert estimator(rows)[2] == 0
    assert estimator.lone_rows == 1
    assert GroupNormalised(by=("key",), singleton="raw")(rows)[2] == pytest.approx(0.9)


def test_equal_missing_and_single_rewards_stay_finite():
    assert HRPO()(batch([0.3] * 3, [1, 1, 1])).tolist() == [0] * 3
    assert HRPO()(batch([math.nan] * 3, [1, 1, 2])).tolist() == [0] * 3
    given_ = HRPO()(batch([math.nan, 0.0, 1.0], [1, 1, 1]))
    assert given_.tolist() == pytest.approx([0, -1, 1], abs=1e-4)


@given(st.lists(st.tuples(st.floats(-1, 2), st.integers(1, 4)), min_size=1, max_size=30), st.randoms())
@settings(deadline=None, max_examples=60)
def test_the_order_of_rows_does_not_matter_and_a_shift_of_one_hop_count_changes_nothing(rows, rng):
    rewards, key = map(list, zip(*rows))
    given_ = HRPO()(batch(rewards, key))
    order = rng.sample(range(len(rows)), len(rows))
    turned = HRPO()(batch([rewards[i] for i in order], [key[i] for i in order]))
    torch.testing.assert_close(given_[order], turned, atol=1e-6, rtol=1e-4)
    moved = HRPO()(batch([r + 3 * (h == 2) for r, h in rows], key))
    torch.testing.assert_close(given_, moved, atol=1e-4, rtol=1e-4)


def test_a_million_rows_are_weighed_in_a_second():
    big = batch([0.0], [1]).replace(
        rewards=torch.rand(1_000_000),
        group=torch.arange(1_000_000),
        mask=torch.ones(1_000_000, 1, dtype=torch.bool),
        key=torch.arange(1_000_000) % 4,
    )
    times = []
    for _ in range(3):
        begun = time.process_time()
        HRPO()(big)
        times.append(time.process_time() - begun)
    assert min(times) < 1


def test_trl_trains_on_it_by_the_column_of_hops():
    pytest.importorskip("trl")
    from assay.integrations.trl import run_grpo
    from assay.models.nano import tiny_llama
    from assay.models.tokenizer import build

    seen = []

    class Watched(HRPO):
        def __call__(self, batch):
            seen.append((batch.key.tolist(), batch.rewards))
            return super().__call__(batch)

    def digits(completions, **columns):
        return [float(sum(letter.isdigit() for letter in text)) for text in completions]

    rows = [{"prompt": f"{hops}: ", "key": hops} for hops in (1, 2)]
    model = tiny_llama(hidden=32, layers=1, heads=2, mlp=32)
    run = run_grpo(
        model, build(), rows, digits, advantage=Watched(), loss=ReinforceLoss(), steps=1, seed=0, rollouts=4, batch=8,
        max_tokens=3,
    )  # fmt: skip
    assert sorted(seen[0][0]) == [1] * 4 + [2] * 4
    assert math.isfinite(run.log[0]["loss"])


def test_verl_hands_the_hops_over_in_the_uid():
    from assay.integrations.verl import tag_uid, verl_estimator

    uids = np.array([tag_uid(f"q{i}", key=key) for i, key in enumerate((1, 1, 2, 2))])
    rewards = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 5.0], [0.0, 7.0]])
    advantages, _ = verl_estimator(HRPO())(rewards, torch.ones(4, 2), uids)
    assert advantages[:, 0].tolist() == pytest.approx([-1, 1, -1, 1], abs=1e-4)


# --- the loop ---


class Proposing:
    """Asks for the document's number, and keeps what it is taught."""

    def __init__(self):
        self.taught = []

    async def propose(self, documents, hops):
        return [Proposal(one.id, h, f"what is in {one.id}?", one.text, 0.0 if one.text == "bad" else 1.0)
                for one, h in zip(documents, hops)]  # fmt: skip

    def update(self, judged, advantages):
        self.taught.append((judged, advantages))


class Solving:
    """Knows a document's text in its first `lessons` attempts, and one more after each lesson."""

    def __init__(self, lessons=1):
        self.lessons, self.taught = lessons, []

    async def solve(self, proposals, n):
        assert all(one.form > 0 for one in proposals), "a question without form is not asked"
        return [[one.answer if i < self.lessons else None for i in range(n)] for one in proposals]

    def update(self, judged):
        self.taught.append(judged)
        self.lessons += 1


DOCUMENTS = [Document(f"d{i}", "bad" if i == 3 else f"text {i}") for i in range(10)]


def test_the_loop_pays_the_proposer_and_teaches_the_solver_what_it_answers_now_and_then(tmp_path):
    proposer, solver = Proposing(), Solving()
    evolution = SelfEvolution(
        proposer, solver, DOCUMENTS, iterations=5, proposals=10, proposer_steps=2, out=tmp_path / "q.jsonl"
    )
    sets = run_sync(evolution.run)
    assert len(proposer.taught) == 10
    judged, advantages = proposer.taught[0]
    torch.testing.assert_close(advantages, HRPO()(as_batch(judged)))
    assert sorted(one.proposal.hops for one in judged) == [1] * 4 + [2] * 3 + [3] * 2 + [4]
    assert [one.reward for one in judged if one.proposal.form] == pytest.approx([1.5] * 9), "one right of five"
    assert [len(taught) for taught in solver.taught] == [9, 9, 9, 9, 0], "what is always right teaches no more"
    assert len(sets) == 5

    rows = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert len(rows) == 5 * 3 * 10
    assert {row["document"] for row in rows} == {one.id for one in DOCUMENTS}
    bad = [row for row in rows if row["document"] == "d3"]
    assert not any(row["kept"] or row["right"] for row in bad)
    assert rows[0] == {
        **rows[0], "iteration": 0, "use": "proposer", "attempts": 5, "right": 1 if rows[0]["form"] else 0,
    }  # fmt: skip
    assert rows[29]["use"] == "solver"


def test_documents_repeat_only_where_there_are_fewer_than_proposals():
    evolution = SelfEvolution(Proposing(), Solving(), DOCUMENTS, proposals=25)
    names = [one.proposal.document for one in run_sync(evolution.batch)]
    assert len(set(names[:10])) == len(set(names[10:20])) == 10
    assert len(set(names[20:])) == 5


@given(st.integers(1, 300), st.lists(st.floats(0.01, 5), min_size=1, max_size=6))
def test_hop_counts_follow_the_shares(questions, mix):
    counts = hop_counts(questions, mix)
    assert len(counts) == questions
    for hops, share in enumerate(mix, start=1):
        assert abs(counts.count(hops) - share / sum(mix) * questions) <= 1 + 1e-6


# --- language models ---


def search_in(texts):
    index = TextIndex(texts)

    async def search(query, k):
        return index.search(query, k)

    return search


CORPUS = {"a": "Ada was born in Rome.", "b": "The mayor of Rome is Zeno."}


class Scripted:
    """A `Complete` that says its lines in turn and keeps the prompts."""

    def __init__(self, *lines):
        self.lines, self.prompts = list(lines), []

    async def __call__(self, prompt, **options):
        self.prompts.append(prompt)
        return self.lines.pop(0)


def test_a_model_proposes_by_searching():
    model = Scripted("<think>who?</think><search>mayor of Rome</search>", END)
    proposer = ModelProposer(model, search_in(CORPUS))
    (made,) = run_sync(proposer.propose, [Document("a", CORPUS["a"])], [2])
    assert (made.question, made.answer, made.form) == ("Who governs where Ada was born?", "Zeno", 1.0)
    assert [message.role for message in made.record] == ["user", "assistant", "tool", "assistant"]
    assert CORPUS["b"] in model.prompts[1]


def test_a_model_that_never_ends_stops_when_its_turns_are_used_up():
    model = Scripted(*["<think>more</think><search>Rome</search>"] * 4)
    (made,) = run_sync(ModelProposer(model, search_in(CORPUS)).propose, [Document("a", CORPUS["a"])], [2])
    assert (made.form, made.question) == (0, "")
    assert model.lines == []


def test_a_search_that_finds_nothing_is_told_so():
    model = Scripted("<search>zebra</search>", "<answer>none</answer>")
    assert run_sync(ModelSolver(model, search_in(CORPUS)).solve, [proposal()], 1) == [["none"]]
    assert "nothing was found" in model.prompts[1]


def test_a_model_answers_each_question_so_many_times():
    model = Scripted("<answer>Zeno</answer>", "I cannot say.", "<answer>Cy</answer>", "<answer>Zeno</answer>")
    solver = ModelSolver(model, search_in(CORPUS), concurrency=1)
    assert run_sync(solver.solve, [proposal(), proposal()], 2) == [["Zeno", None], ["Cy", "Zeno"]]
    assert "Zeno" not in model.prompts[0], "the gold answer is not shown"


def proposal(question="Who governs Rome?", answer="Zeno", form=1.0):
    return Proposal("a", 1, question, answer, form)


def test_the_best_paid_questions_are_shown_to_the_proposer_later():
    model = Scripted(END)
    proposer = ModelProposer(model, search_in(CORPUS))
    judged = [
        Judged(proposal("easy?"), (True, True)),
        Judged(proposal("hard?"), (True, False)),
        Judged(proposal("worse?"), (True, False)),
    ]
    proposer.update(judged, torch.tensor([2.0, 1.0, -1.0]))
    assert [one.proposal.question for one in proposer.examples] == ["hard?"]
    run_sync(proposer.propose, [Document("a", CORPUS["a"])], [1])
    assert "hard?" in model.prompts[0]


@given(st.text(alphabet="ab .\n", max_size=200), st.integers(1, 40))
def test_pieces_hold_the_whole_text_and_none_is_too_long(text, most):
    found = pieces(Document("x", text), most)
    assert all(0 < len(one.text) <= most for one in found)
    assert "".join("".join(one.text for one in found).split()) == "".join(text.split())
    assert len({one.id for one in found}) == len(found)


def test_pieces_are_cut_where_a_paragraph_ends():
    found = pieces(Document("x", "One two.\n\nThree four. Five."), 22)
    assert [(one.id, one.text) for one in found] == [("x#1", "One two."), ("x#2", "Three four. Five.")]
    assert pieces(Document("x", " whole "), 22) == [Document("x", "whole")]


def test_wrong_input_is_named():
    loop = {"proposer": Proposing(), "solver": Solving(), "documents": DOCUMENTS}
    for call, words in (
        (lambda: difficulty([True]), "correct: got 1 attempts"),
        (lambda: proposer_reward(1.5, [True, False]), r"form: got 1\.5"),
        (lambda: proposer_format([], END, 0), "hops: got 0"),
        (lambda: HRPO(0), "delta: got 0"),
        (lambda: Pipeline(HRPO())(RolloutBatch.from_rewards(torch.rand(1, 2))), "HRPO needs key"),
        (lambda: SelfEvolution(**{**loop, "documents": []}), "documents: got 0"),
        (lambda: SelfEvolution(**loop, solver_n=1), "solver_n: got 1"),
        (lambda: SelfEvolution(**loop, iterations=0), "iterations: got 0"),
        (lambda: SelfEvolution(**loop, hops_mix=(0, 0)), "hops_mix: got"),
        (lambda: pieces(Document("x", "y"), 0), "most: got 0"),
        (lambda: ModelSolver(Scripted(), search_in(CORPUS), turns=0), "turns: got 0"),
        (lambda: ModelProposer(Scripted(), search_in(CORPUS), passages=0), "passages: got 0"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_members_that_give_too_few_are_named():
    class Lazy(Proposing):
        async def propose(self, documents, hops):
            return []

    with pytest.raises(ValueError, match="propose: gave 0 proposals, wanted 64"):
        run_sync(SelfEvolution(Lazy(), Solving(), DOCUMENTS).batch)

    class Short(Solving):
        async def solve(self, proposals, n):
            return [["x"] for _ in proposals]

    with pytest.raises(ValueError, match="solve: gave 1 answers"):
        run_sync(SelfEvolution(Proposing(), Short(), DOCUMENTS).batch)
