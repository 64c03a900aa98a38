"""What Inspect finds through the entry point: the built-in models' provider, tasks, solvers, scorers, an approver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inspect_ai._util.registry import registry_add, registry_info
from inspect_ai.model import ModelAPI, modelapi

from assay.integrations.inspect.arenarl import (
    open_deep_research,
    open_travel,
    oracle_plan,
    valid_rate,
    weak_plan,
    win_rate,
    with_mcp,
)
from assay.integrations.inspect.calibration import calibration
from assay.integrations.inspect.evaluation import astroreason, plan_with_tools
from assay.integrations.inspect.interpretability import probe_score
from assay.integrations.inspect.lost_in_noise import distracted, last_block, lost_in_noise, noisy_check, read_evidence
from assay.integrations.inspect.post_training import p1_vl_minions, rubric_scorer, text2vis_scorer
from assay.integrations.inspect.safepred import safepred_approver
from assay.integrations.inspect.safety import (
    attack,
    safe_reply,
    safety_adversarial,
    safety_benchmark,
    safety_compliance,
    safety_multilingual,
    sharp,
    sharp_risk,
)
from assay.integrations.inspect.sentiment import (
    label_match,
    sentiment_prompting_absa,
    sentiment_prompting_ask,
    sentiment_prompting_irony,
    sentiment_prompting_sentiment,
)
from assay.integrations.inspect.test_time import glimprouter
from assay.integrations.inspect.text_tasks import text
from assay.integrations.inspect.toolsafe import ts_bench, ts_flow, ts_keywords, ts_oracle, ts_risk


@modelapi(name="assay")
def assay() -> type[ModelAPI]:
    """`--model assay/nano`; PyTorch is imported when such a model is first asked for."""
    from assay.integrations.inspect.provider import AssayModel

    return AssayModel


def _name_by_package(thing: Callable[..., Any]) -> None:
    """Register as `assay/NAME`. In an editable installation Inspect leaves the package out of the name where, as
    here, the distribution is named otherwise; `--solver assay/glimprouter` must work there too."""
    info = registry_info(thing)
    if not info.name.startswith("assay/"):
        registry_add(thing, info.model_copy(update={"name": f"assay/{info.name}"}))


for _thing in (
    astroreason,
    attack,
    calibration,
    distracted,
    glimprouter,
    label_match,
    last_block,
    lost_in_noise,
    noisy_check,
    open_deep_research,
    open_travel,
    oracle_plan,
    p1_vl_minions,
    plan_with_tools,
    probe_score,
    read_evidence,
    rubric_scorer,
    safe_reply,
    safepred_approver,
    safety_adversarial,
    safety_benchmark,
    safety_compliance,
    safety_multilingual,
    sentiment_prompting_absa,
    sentiment_prompting_ask,
    sentiment_prompting_irony,
    sentiment_prompting_sentiment,
    sharp,
    sharp_risk,
    text,
    text2vis_scorer,
    ts_bench,
    ts_flow,
    ts_keywords,
    ts_oracle,
    ts_risk,
    valid_rate,
    weak_plan,
    win_rate,
    with_mcp,
):
    _name_by_package(_thing)
