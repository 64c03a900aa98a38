"""Prism in transformers: a long prefill that attends to chosen blocks of keys only.

    pip install 'assay-papers[lm]'
    python examples/prism_transformers.py

A small Llama with random weights stands in for yours, so its heads have no structure to find: with p = 1 every block
is kept and the logits are those of full attention; with less, blocks are left out. Nothing is downloaded.
"""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from assay.integrations.transformers import prism_stats


def main() -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=100, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    tokens = torch.randint(0, 100, (1, 2048))
    with torch.no_grad():
        full = model(tokens).logits
        model.set_attn_implementation("assay_prism")  # or from_pretrained(path, attn_implementation="assay_prism")
        for p in (1.0, 0.9, 0.5):
            model.config.assay_prism = {"p": p, "block": 64}
            with prism_stats(rows=4) as stats:
                off = (model(tokens).logits - full).abs().max().item()
            density, recall = (sum(x) / len(x) for x in (stats.densities, stats.recalls))
            print(f"p = {p:.1f}: {density:.0%} of the blocks, {recall:.0%} of the attention, logits off by {off:.1e}")


if __name__ == "__main__":
    main()
