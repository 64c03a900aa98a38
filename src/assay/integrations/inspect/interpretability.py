"""Interpretability methods as Inspect scorers.

inspect eval TASK --scorer assay/probe_score -S probe=p.safetensors -S model=/path/of/the/model/that/is/read
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState


@scorer(metrics=[mean(), stderr()])
def probe_score(probe: str, model: str | None = None) -> Scorer:
    """1 where a probe flags the sample's input and reply, else 0; the score itself is in the metadata.

    probe   what `assay use production_probes train` wrote
    model   the model whose states are read (nano, micro, a folder, a name); default: the one it was trained on
    """
    from assay.methods.interpretability.production_probes import load_probe, padded, read_texts, score_all

    trained, about = load_probe(Path(probe))
    reader, tokenizer = _load(model or about["model"])

    async def score(state: TaskState, target: Target) -> Score:
        text = f"{state.input_text}\n{state.output.completion}"
        states = read_texts(reader, tokenizer, [text], [about["layer"]], about["window"])[about["layer"]]
        value = float(score_all(trained, *padded(states)))
        flagged = value >= about["threshold"]
        return Score(value=float(flagged), answer=state.output.completion, metadata={"probe_score": value})

    return score


def _load(name: str) -> tuple[Any, Any]:
    from assay.models import weights

    if name in weights.NAMES:
        from assay.models.nano import load

        return load(name)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(name).eval(), AutoTokenizer.from_pretrained(name)
