"""Any Inspect model as a `Sampler` or a `Complete`."""

from __future__ import annotations

import anyio
import pytest
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from assay.integrations.inspect.models import complete, sampler
from assay.methods.protocols import Message
from assay.models import access
from assay.worlds.text import lookup

PROBLEM = lookup.sample(3)


def mock(seen):
    """An outside model that answers with a count and notes what it was asked."""

    def reply(messages, tools, tool_choice, config):
        seen.append((messages, config))
        output = ModelOutput.from_content("mockllm/model", f"reply {len(seen)}")
        output.usage = ModelUsage(input_tokens=5, output_tokens=2, total_tokens=9, input_tokens_cache_read=2)
        return output

    return get_model("mockllm/model", custom_outputs=reply, memoize=False)


def test_a_built_in_model_through_inspect_replies_as_it_does_without():
    async def main():
        options = {"temperature": 0, "max_tokens": 40, "top_logprobs": 3, "stop": ["#"]}
        through = await sampler("assay/nano")(PROBLEM.prompt, **options)
        direct = await access.sampler("nano")(PROBLEM.prompt, **options)
        assert through == direct

    anyio.run(main)


def test_prefill_goes_through():
    async def main():
        chat = [Message("user", PROBLEM.prompt), Message("assistant", PROBLEM.trace[:5])]
        options = {"temperature": 0, "continue_assistant": True}
        assert await sampler("assay/nano")(chat, **options) == await access.sampler("nano")(chat, **options)

    anyio.run(main)


def test_several_replies_are_several_calls_with_seeds_of_their_own():
    seen = []

    async def main():
        samples = await sampler(mock(seen))([Message("system", "s"), Message("user", "u")], n=3, seed=11)
        assert sorted(s.text for s in samples) == ["reply 1", "reply 2", "reply 3"]
        assert {(s.tokens_in, s.tokens_out) for s in samples} == {(7, 2)}
        assert all(s.logprobs is None for s in samples)

    anyio.run(main)
    assert len({config.seed for _, config in seen}) == 3
    assert seen[0][1].seed == 11
    assert [m.role for m in seen[0][0]] == ["system", "user"]


def test_a_provider_that_cannot_continue_is_asked_to_in_words(caplog):
    seen = []

    async def main():
        await sampler(mock(seen))([Message("user", "u"), Message("assistant", "so far")], continue_assistant=True)

    anyio.run(main)
    assert seen[0][0][-1].role == "user"
    assert seen[0][0][-1].text == "Continue exactly from: so far"
    assert "cannot continue an assistant message" in caplog.text


def test_complete_hands_the_schema_to_prompt_and_provider():
    seen = []
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}

    async def main():
        assert await complete(mock(seen))("Judge this.", schema=schema, max_tokens=9) == "reply 1"

    anyio.run(main)
    (messages, config) = seen[0]
    assert messages[0].text.startswith("Judge this.")
    assert '"score"' in messages[0].text
    assert config.response_schema.json_schema.properties["score"].type == "integer"
    assert (config.temperature, config.max_tokens) == (0.0, 9)


def test_images_go_along(tmp_path):
    seen = []

    async def main():
        await complete(mock(seen))("What is this?", images=("data:image/png;base64,AAAA",))

    anyio.run(main)
    assert [part.type for part in seen[0][0][0].content] == ["image", "text"]


def test_wrong_calls_are_refused():
    async def main():
        with pytest.raises(ValueError, match="n: got 0"):
            await sampler(mock([]))("u", n=0)
        with pytest.raises(ValueError, match="continue_assistant"):
            await sampler(mock([]))("u", continue_assistant=True)
        with pytest.raises(ValueError, match="role 'tool'"):
            await sampler(mock([]))([Message("tool", "t")])

    anyio.run(main)
