"""What a call of a language model costs in floating-point operations."""

from __future__ import annotations

from assay.methods.test_time._step_loop import Routed


def call_flops(parameters: int, prompt_tokens: int, new_tokens: int) -> float:
    """2 · parameters · tokens: the usual estimate of a forward pass, for the prompt tokens that are not in the
    cache and the tokens generated (attention over the context is left out)."""
    if parameters <= 0 or prompt_tokens < 0 or new_tokens < 0:
        raise ValueError(f"parameters {parameters}, tokens {prompt_tokens} + {new_tokens}: wanted > 0 and >= 0")
    return 2.0 * parameters * (prompt_tokens + new_tokens)


def routed_flops(routed: Routed, small_parameters: int, large_parameters: int) -> float:
    """FLOPs of a routed answer: probes, drafts thrown away and the answer included."""
    small_new = routed.small_tokens + routed.probe_tokens
    return call_flops(small_parameters, routed.small_prefill, small_new) + call_flops(
        large_parameters, routed.large_prefill, routed.large_tokens
    )
