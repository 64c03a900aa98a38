"""Parts for transformers models.

Importing this module registers Prism (2602.08426) as an attention implementation:

    import assay.integrations.transformers
    model = AutoModelForCausalLM.from_pretrained(path, attn_implementation="assay_prism")
    model.config.assay_prism = {"p": 0.9}      # or a PrismConfig; the default keeps 0.95

Long prefills attend to chosen blocks of keys only; short ones, decoding and training go through full attention.
"""

from __future__ import annotations

from assay.methods.attention._prism_forward import PrismStats, prism_attention_forward, prism_stats
from assay.methods.attention.prism import PrismConfig
from assay.methods.attention.registration import register

__all__ = ["PrismConfig", "PrismStats", "prism_stats"]

register("assay_prism", prism_attention_forward)
