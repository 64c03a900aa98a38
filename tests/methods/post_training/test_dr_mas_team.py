import pytest
import torch

from assay.methods.post_training._dr_mas_orchestras import team_answer, text_view
from assay.methods.post_training._dr_mas_policies import Written
from assay.methods.post_training.dr_mas import (
    AgentModelMap,
    DrMAS,
    FeatureAgent,
    GlobalGRPO,
    MultiAgentTrainer,
    SolverVerifier,
    Step,
    TextAgent,
    VerifySearchAnswer,
)
from assay.models.nano import tiny_llama
from assay.models.policies import FeaturePolicy
from assay.models.tokenizer import build


class Script:
    """Acts from a list per agent, and keeps what each was shown."""

    def __init__(self, **lines):
        self.lines, self.shown = lines, []

    def __call__(self, agent, seen):
        self.shown += [(agent, one) for one in seen]
        return [self.lines[agent].pop(0) for _ in seen]


def spoken(episode):
    return [step.agent for step in episode]


def test_an_approved_draft_leaves_and_the_last_answer_is_not_verified():
    act = Script(
        solver=["<answer>4</answer>", "<answer>5</answer>", "<answer>6</answer>"],
        verifier=["<verdict>Approve</verdict>", "no. <verdict>reject</verdict>"],
    )
    first, second = SolverVerifier(max_loops=2).run(["2+2", "3+3"], act)
    assert spoken(first) == ["solver", "verifier"]
    assert spoken(second) == ["solver", "verifier", "solver"]
    assert (team_answer(first), team_answer(second)) == ("4", "6")
    assert "<answer>5</answer>" in second[2].observation, "the solver sees what was rejected"
    assert "Task: 3+3" in second[1].observation


def test_a_single_loop_calls_no_verifier():
    assert spoken(SolverVerifier(max_loops=1).run(["q"], Script(solver=["a"]))[0]) == ["solver"]


def test_the_verifier_routes_to_search_until_it_has_enough_or_the_turns_are_used_up():
    act = Script(
        verifier=["<verdict>search</verdict>"] * 2 + ["<verdict>answer</verdict>", "<verdict>search</verdict>"],
        searcher=["<search>a</search>", "<search>b</search>", "<search>c</search>"],
        answerer=["<answer>x</answer>", "<answer>y</answer>"],
    )
    first, second = VerifySearchAnswer(lambda query: f"[{query}]", max_turns=2).run(["q1", "q2"], act)
    assert spoken(first) == ["verifier", "searcher", "verifier", "answerer"]
    assert spoken(second) == ["verifier", "searcher", "verifier", "searcher", "answerer"]
    assert second[1].result == "[<search>b</search>]"
    assert "found: [<search>b</search>]" in second[2].observation
    assert "enough to answer" in second[2].observation, "a verifier without a draft routes"
    assert team_answer(second) == "y"


def test_an_episode_without_an_answer_has_none():
    assert team_answer([]) is None
    assert team_answer([Step("solver", "", "I am lost")]) is None
    with pytest.raises(ValueError, match="agent: got 'critic'"):
        text_view("critic", "q", ())


# --- a team over features: the solver repeats a bit, the verifier sends wrong drafts back ---


def see(agent, question, steps):
    draft = float(steps[-1].action[0]) if agent == "verifier" else 0.5
    return torch.tensor([float(question), draft, float(len(steps) > 1)])


def bits(action):
    return bool(action[0] == 1)


def reward(question, steps):
    last = [step for step in steps if step.agent == "solver"][-1]
    return float(int(last.action[0]) == question) - 0.05 * len(steps)


def policy(seed=0):
    return lambda: FeatureAgent(FeaturePolicy(3, (2,), (16,), generator=torch.Generator().manual_seed(seed)))


def team(advantage=None, **changes):
    fields = {
        "models": {"small": policy()},
        "placement": AgentModelMap({"solver": "small", "verifier": "small"}, learning_rate=1e-2),
        "orchestra": SolverVerifier(2, see=see, approves=bits),
        "reward": reward,
        "advantage": DrMAS() if advantage is None else advantage,
    }
    return MultiAgentTrainer(**{**fields, **changes}, seed=3)


def test_rows_carry_question_episode_and_agent():
    played = team().play([0, 1])
    batch = played.batch
    assert len(batch) == sum(map(len, played.episodes))
    assert batch.trajectory.unique().tolist() == list(range(16))
    assert torch.equal(batch.group, batch.trajectory // 8)
    for row, step in enumerate(played.steps):
        assert played.agents[batch.agent[row]] == step.agent
    for number, episode in enumerate(played.episodes):
        assert batch.rewards[batch.trajectory == number].unique().item() == pytest.approx(
            reward([0, 1][number // 8], episode)
        )


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("advantage", [DrMAS(), GlobalGRPO()])
def test_a_team_learns_its_task(shared, advantage):
    placement = AgentModelMap({"solver": "small", "verifier": "small"}, learning_rate=2e-2, shared=shared)
    trainer = team(advantage, placement=placement)
    rewards = [trainer.step([0, 1, 0, 1]).reward for _ in range(60)]
    assert sum(rewards[-10:]) / 10 > sum(rewards[:10]) / 10 + 0.2
    assert sorted(trainer.learners) == (["small"] if shared else ["solver", "verifier"])


def test_a_run_repeats_itself_and_a_step_names_the_norms_of_who_acted():
    first, second = team(), team()
    norms = [trainer.step([0, 1]).gradient_norms for trainer in (first, second)]
    assert norms[0] == norms[1]
    assert sorted(norms[0]) == ["solver", "verifier"]
    alone = team(orchestra=SolverVerifier(1, see=see, approves=bits))
    assert list(alone.step([0, 1]).gradient_norms) == ["solver"]


def test_a_reward_may_be_given_to_each_step():
    trainer = team(reward=lambda question, steps: list(range(len(steps))))
    batch = trainer.play([0, 1]).batch
    assert batch.rewards[batch.trajectory == 0].tolist() == list(range(int((batch.trajectory == 0).sum())))
    with pytest.raises(ValueError, match="reward: gave 0 for"):
        team(reward=lambda question, steps: []).play([0])


def test_models_of_two_sizes_act_in_one_team():
    wide = FeaturePolicy(3, (2,), (64, 64), generator=torch.Generator().manual_seed(1))
    trainer = team(
        models={"small": policy(), "large": lambda: FeatureAgent(wide)},
        placement=AgentModelMap({"solver": "small", "verifier": "large"}, {"small": 1e-2, "large": 1e-3}),
    )
    before = wide.network[0].weight.clone()
    trainer.step([0, 1])
    assert trainer.learners["verifier"].policy.policy is wide
    assert not torch.equal(before, wide.network[0].weight)


# --- a team of language models ---


def speaker():
    return TextAgent(tiny_llama(hidden=32, layers=1, heads=2, mlp=32), build(), max_tokens=4)


def test_a_language_model_tells_the_log_probability_of_what_it_wrote():
    agent = speaker()
    prompts = ["a", "a longer prompt"]
    written = agent.act(prompts, torch.Generator().manual_seed(0))
    assert written == agent.act(prompts, torch.Generator().manual_seed(0))
    logprobs, mask = agent.logprobs(prompts, written)
    assert mask.sum(dim=1).tolist() == [len(one.tokens) for one in written]
    alone, _ = agent.logprobs(prompts[:1], written[:1])
    torch.testing.assert_close(logprobs[0, : alone.shape[1]], alone[0], atol=1e-4, rtol=1e-4)
    ids = agent._prompt(prompts[0]) + list(written[0].tokens)
    direct = torch.log_softmax(agent.model(torch.tensor([ids])).logits[0], dim=-1)
    start = len(ids) - len(written[0].tokens)
    wanted = [direct[start - 1 + i, token].item() for i, token in enumerate(written[0].tokens)]
    assert alone[0].tolist() == pytest.approx(wanted, abs=1e-4)


def test_what_was_written_ends_with_the_end_token_and_reads_as_its_text():
    agent = speaker()
    end = agent.tokenizer.eos_token_id
    word = agent.tokenizer("7", add_special_tokens=False)["input_ids"]
    assert agent._written([*word, end, end]) == Written("7", (*word, end))
    assert str(agent._written(word)) == "7"


def test_language_models_take_a_step_as_a_team():
    trainer = MultiAgentTrainer(
        {"nano": speaker},
        AgentModelMap({"solver": "nano", "verifier": "nano"}, shared=True),
        SolverVerifier(),
        lambda question, steps: float(sum(letter.isdigit() for letter in str(steps[-1].action))),
        DrMAS(),
        rollouts=4,
    )
    done = trainer.step(["1+1", "2+2"])
    assert done.gradient_norms["nano"] > 0


def test_a_wrong_team_is_named():
    both = {"solver": "small", "verifier": "small"}
    for changes, words in (
        ({"placement": AgentModelMap({**both, "critic": "small"})}, "names 'critic', which the orchestra never calls"),
        ({"placement": AgentModelMap({"solver": "small"})}, "no model for 'verifier'"),
        ({"models": {"large": policy()}}, "has no 'small'"),
        ({"orchestra": type("Empty", (), {"agents": ()})()}, "orchestra: has no agents"),
        ({"rollouts": 1}, "rollouts: got 1"),
    ):
        with pytest.raises(ValueError, match=words):
            team(**changes)
    with pytest.raises(ValueError, match="shared: the agents name large and small"):
        AgentModelMap({"solver": "small", "verifier": "large"}, shared=True)
    with pytest.raises(ValueError, match="models: got no agent"):
        AgentModelMap({})
    with pytest.raises(ValueError, match="learning_rate: got none for 'small'"):
        AgentModelMap(both, learning_rate={"large": 1e-3})
    with pytest.raises(ValueError, match="learning_rate: got 0"):
        AgentModelMap(both, learning_rate=0)
    with pytest.raises(ValueError, match="questions: got none"):
        team().play([])
    with pytest.raises(ValueError, match="max_loops: got 0"):
        SolverVerifier(0)
    with pytest.raises(ValueError, match="max_turns: got 0"):
        VerifySearchAnswer(str, 0)
    with pytest.raises(ValueError, match="temperature: got 0"):
        TextAgent(None, build(), temperature=0)
    with pytest.raises(ValueError, match="act: gave 0 actions of 'solver', wanted 1"):
        SolverVerifier().run(["q"], lambda agent, seen: [])
