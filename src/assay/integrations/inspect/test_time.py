"""Test-time methods as Inspect solvers: `inspect eval TASK --solver assay/glimprouter -S threshold=1.0`.

Models are taken by role, e.g. `--model-role small=vllm/… --model-role large=vllm/…`; without one the built-in
nano and micro are used. Token usage appears in the log under each model and role.
"""

from __future__ import annotations

from dataclasses import asdict

from inspect_ai.log import transcript
from inspect_ai.model import ChatMessageAssistant, ModelOutput, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from assay.integrations.inspect.models import sampler
from assay.methods.test_time.glimprouter import GlimpRouter


@solver
def glimprouter(
    threshold: float = 1.0,
    top_logprobs: int = 20,
    step_stop: str = "\n\n",
    temperature: float = 0.6,
    top_p: float = 0.95,
    max_step_tokens: int = 512,
    max_answer_tokens: int = 2048,
    token_budget: int = 8192,
    first_steps_large: int = 0,
    end_of_thinking: str = "</think>",
) -> Solver:
    """Route each reasoning step to the role `small` or `large` by the entropy of its first token."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        large = get_model(role="large", default="assay/micro")
        router = GlimpRouter(
            small=sampler(get_model(role="small", default="assay/nano")),
            large=sampler(large),
            threshold=threshold,
            top_logprobs=top_logprobs,
            step_stop=step_stop,
            temperature=temperature,
            top_p=top_p,
            max_step_tokens=max_step_tokens,
            max_answer_tokens=max_answer_tokens,
            token_budget=token_budget,
            first_steps_large=first_steps_large,
            end_of_thinking=end_of_thinking,
        )
        routed = await router.solve(state.input_text)
        state.output = ModelOutput.from_content(str(large), routed.text)
        state.messages.append(ChatMessageAssistant(content=routed.text, model=str(large), source="generate"))
        state.store.set("glimprouter", asdict(routed))
        transcript().info({"large_share": routed.large_share, "stop_reason": routed.stop_reason})
        return state

    return solve
