"""Slash heads: train a small RoPE transformer on answers nine tokens back, and see the head that learns to look there.

    pip install 'assay-papers[lm]'
    python examples/slash_heads.py

Queries and keys come to lie along one direction first, then attention gathers at the lag. For a model of yours:
`assay use slash_pattern heads MODEL --text FILE --out heads.html`. Nothing is downloaded.
"""

from __future__ import annotations

import argparse

from assay.methods.interpretability._slash_training import train_shallow


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    stages = train_shallow(0, steps=parser.parse_args().steps, every=50)
    print("step   loss  attention 9 back  rank-one share of queries, keys")
    for stage in stages:
        print(f"{stage.step:4}  {stage.loss:5.2f}  {stage.score:16.2f}  {stage.queries:.2f}, {stage.keys:.2f}")


if __name__ == "__main__":
    main()
