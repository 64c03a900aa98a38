"""`--model assay/nano` in Inspect: real evaluations, against the model itself."""

from __future__ import annotations

import gc

import anyio
import pytest
import torch
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ContentImage, GenerateConfig, get_model
from inspect_ai.scorer import accuracy, includes
from inspect_ai.solver import Generate, TaskState, generate, solver
from inspect_ai.tool import ToolInfo

from assay.methods.concurrency import gather
from assay.methods.interpretability import steer2adapt
from assay.models import tokenizer as tok
from assay.models.local_sampler import prompt_ids
from assay.models.nano import load
from assay.worlds.text import lists, lookup

PROBLEMS = [(lookup, lists)[i % 2].sample(100 + i) for i in range(32)]


@pytest.fixture(scope="module")
def nano():
    return get_model("assay/nano")


@pytest.fixture
def run(tmp_path):
    def evaluate(solvers, problems=PROBLEMS, **options):
        task = Task(
            dataset=[Sample(input=p.prompt, target=f"#{p.answer}") for p in problems],
            solver=solvers,
            scorer=includes(),
            metrics=[accuracy()],
        )
        (log,) = eval(task, model="assay/nano", display="none", log_dir=str(tmp_path), **options)
        return log

    return evaluate


def test_an_evaluation_scores_what_the_models_own_replies_score(run):
    problems = PROBLEMS[:10]
    log = run(generate(), problems=problems, temperature=0.0, max_tokens=60)
    assert log.status == "success", log.error
    model, tokenizer = load("nano")
    right = 0
    for problem in problems:
        ids = [*prompt_ids(tokenizer, problem.prompt)]
        with torch.no_grad():
            reply = model.generate(
                torch.tensor([ids]), max_new_tokens=60, do_sample=False, pad_token_id=tok.PAD, eos_token_id=tok.EOS
            )
        right += f"#{problem.answer}" in tokenizer.decode(reply[0, len(ids) :])
    assert log.results.scores[0].metrics["accuracy"].value == pytest.approx(right / len(problems))


def test_usage_counts_prompt_and_written_tokens(run):
    log = run(generate(), problems=PROBLEMS[:3], temperature=0.0)
    usage = log.stats.model_usage["assay/nano"]
    prompts = [len(tok.encode(p.prompt)) + 3 for p in PROBLEMS[:3]]
    replies = [len(tok.encode(sample.output.completion)) + 1 for sample in log.samples]
    assert usage.input_tokens == sum(prompts)
    assert usage.output_tokens == sum(replies)
    assert usage.total_tokens == sum(prompts) + sum(replies)


def test_repeated_evaluations_are_equal_and_epochs_differ(run):
    def texts():
        log = run(generate(), problems=PROBLEMS[:4], temperature=1.5, seed=None, epochs=3)
        return {(s.id, s.epoch): s.output.completion for s in log.samples}

    first = texts()
    assert len({first[(1, epoch)] for epoch in (1, 2, 3)}) > 1
    assert len(first) == 12


def test_choices_logprobs_and_alternatives_come_with_the_output(nano):
    async def main():
        config = GenerateConfig(num_choices=3, temperature=1.5, seed=1, logprobs=True, top_logprobs=4, max_tokens=20)
        output = await nano.generate(PROBLEMS[0].prompt, config=config)
        assert len(output.choices) == 3
        for choice in output.choices:
            entries = choice.logprobs.content
            text = "".join(e.token for e in entries if e.token != "<eos>")
            assert text == choice.message.text
            for entry in entries:
                assert len(entry.top_logprobs) == 4
                assert entry.top_logprobs[0].logprob >= entry.logprob - 1e-9
        again = await nano.generate(PROBLEMS[0].prompt, config=config)
        assert [c.message.text for c in again.choices] == [c.message.text for c in output.choices]

    anyio.run(main)


def test_one_request_at_a_time_gives_what_32_at_once_give(nano):
    config = GenerateConfig(temperature=1.0, seed=7, max_tokens=40)

    async def main():
        at_once = await gather([lambda p=p: nano.generate(p.prompt, config=config) for p in PROBLEMS])
        for problem, output in list(zip(PROBLEMS, at_once))[::5]:
            alone = await nano.generate(problem.prompt, config=config)
            assert alone.completion == output.completion

    anyio.run(main)


def test_a_last_assistant_message_is_continued(nano):
    async def main():
        config = GenerateConfig(temperature=0.0)
        problem = PROBLEMS[0]
        whole = (await nano.generate(problem.prompt, config=config)).completion
        chat = [ChatMessageUser(content=problem.prompt), ChatMessageAssistant(content=whole[:5])]
        assert (await nano.generate(chat, config=config)).completion == whole[5:]

    anyio.run(main)


def test_stop_sequences_and_limits_end_a_reply(nano):
    async def main():
        prompt = PROBLEMS[0].prompt
        one = await nano.generate(prompt, config=GenerateConfig(temperature=0.0, stop_seqs=["\n"]))
        assert "\n" not in one.completion
        assert one.choices[0].stop_reason == "stop"
        cut = await nano.generate(prompt, config=GenerateConfig(temperature=0.0, max_tokens=2))
        assert cut.choices[0].stop_reason == "max_tokens"
        assert cut.usage.output_tokens == 2

    anyio.run(main)


def test_a_token_limit_ends_the_sample_as_a_limit(run):
    @solver
    def thrice():
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            for _ in range(3):
                state = await generate(state)
                state.messages.append(ChatMessageUser(content=PROBLEMS[0].prompt))
            return state

        return solve

    log = run(thrice(), problems=PROBLEMS[:1], token_limit=50)
    assert log.samples[0].limit.type == "token"


@pytest.mark.parametrize("setting", [{"best_of": 2}, {"presence_penalty": 0.5}, {"logit_bias": {1: 2.0}}])
def test_settings_the_models_do_not_know_are_refused_by_name(nano, setting):
    async def main():
        with pytest.raises(ValueError, match=f"assay/nano does not know {next(iter(setting))}"):
            await nano.generate("C1+1", config=GenerateConfig(**setting))

    anyio.run(main)


def test_tools_and_images_are_refused(nano):
    async def main():
        with pytest.raises(ValueError, match="does not know tools"):
            await nano.generate("C1+1", tools=[ToolInfo(name="add", description="adds")])
        with pytest.raises(ValueError, match="got image, but the built-in models read text only"):
            await nano.generate([ChatMessageUser(content=[ContentImage(image="data:image/png;base64,AAAA")])])

    anyio.run(main)


def test_an_unknown_built_in_model_says_which_there_are():
    with pytest.raises(Exception, match="unknown model 'pico': the built-in ones are nano, micro"):
        get_model("assay/pico")


def test_connections_are_pooled_for_all_built_in_models(nano):
    assert nano.api.connection_key() == "assay"
    assert nano.api.max_connections() == 256


def test_a_recipe_steers_the_model_for_as_long_as_it_lives(nano, tmp_path):
    basis = steer2adapt.Basis(torch.full((1, 128), 2.0), ("loud",), 2, (2,))
    for name, weight in (("loud", 1.0), ("none", 0.0)):
        recipe = steer2adapt.Recipe((weight,), ("loud",), 0.0, (2,), norm_cap=2.0)
        steer2adapt.save(tmp_path / f"{name}.json", basis, recipe)

    async def main():
        prompt, config = "Sabcd V", GenerateConfig(temperature=0.0, max_tokens=12)
        plain = (await nano.generate(prompt, config=config)).completion
        for name in ("loud", "none"):
            steered = get_model("assay/nano", recipe=str(tmp_path / f"{name}.json"), memoize=False)
            gc.collect()
            said = (await steered.generate(prompt, config=config)).completion
            assert (said == plain) == (name == "none")

    anyio.run(main)
