"""Train probes on a model's activations that stay right on long texts; score, judge and cascade them (2601.11516)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from assay.errors import UserError

ARCHS = ("multimax", "rolling", "attention", "mean", "last", "ema")


def configure(verbs: Any) -> None:
    train = verbs.add_parser("train", help="a probe for labelled texts, with its threshold")
    train.add_argument("--model", required=True, help="nano, micro, a folder or a name (transformers, causal)")
    train.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help='JSONL: {"text": "...", "label": 0 or 1}'
    )
    train.add_argument("--layer", default="auto", help="decoder layer, counted from 0; auto tries three (default)")
    train.add_argument(
        "--arch", choices=ARCHS, default="rolling", help="how token scores are pooled (default: rolling)"
    )
    train.add_argument("--out", type=Path, required=True, metavar="FILE", help="safetensors")
    train.add_argument("--valid", type=float, default=0.25, help="share of the texts to choose by (default: 0.25)")
    train.add_argument("--steps", type=int, default=1000)
    train.add_argument("--starts", type=int, default=4, metavar="N", help="probes trained, the best kept (default: 4)")
    train.add_argument(
        "--false-alarm", type=float, default=1.0, metavar="W", help="weight of a false alarm (default: 1)"
    )
    train.add_argument("--window", type=int, default=512, help="tokens read in one go (default: 512)")
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(run=run_train)

    score = verbs.add_parser("score", help="the score of each text, and whether it is flagged")
    _add_scored(score, "FILE", 'JSONL: {"text": "..."}')
    score.add_argument(
        "--out", type=Path, metavar="FILE", help="JSONL with score and flagged added (default: terminal)"
    )
    score.set_defaults(run=run_score)

    evaluate = verbs.add_parser("eval", help="how often the probe errs on labelled texts, also by their length")
    _add_scored(evaluate, "FILE", 'JSONL: {"text": "...", "label": 0 or 1}')
    evaluate.add_argument("--json", action="store_true")
    evaluate.set_defaults(run=run_eval)

    cascade = verbs.add_parser("cascade", help="which scores to hand on to a dearer classifier")
    cascade.add_argument(
        "file", type=Path, metavar="SCORES", help="CSV or Parquet: score, label, second (its probability)"
    )
    cascade.add_argument(
        "--cost", type=float, default=50.0, help="of the second stage; the first costs 1 (default: 50)"
    )
    cascade.add_argument("--budget", type=float, default=0.08, help="share that may be handed on (default: 0.08)")
    cascade.add_argument("--bins", type=int, default=20, help="quantile bins of the score (default: 20)")
    cascade.add_argument(
        "--false-alarm", type=float, default=1.0, metavar="W", help="weight of a false alarm (default: 1)"
    )
    cascade.add_argument("--out", type=Path, default=Path("cascade.json"), metavar="FILE")
    cascade.add_argument("--plot", type=Path, metavar="FILE", help="also draw error over cost")
    cascade.set_defaults(run=run_cascade)


def _add_scored(parser: argparse.ArgumentParser, metavar: str, data: str) -> None:
    parser.add_argument("probe", type=Path, help="what `train` wrote")
    parser.add_argument("--data", type=Path, required=True, metavar=metavar, help=data)
    parser.add_argument("--model", help="default: the one it was trained on")


def run_train(arguments: argparse.Namespace) -> int:
    import torch

    from assay.cli.files import replacing
    from assay.cli.local_models import load
    from assay.methods.activations import find_layers
    from assay.methods.interpretability.production_probes import (
        MAKE,
        ProbeData,
        choose_threshold,
        padded,
        read_texts,
        save_probe,
        score_all,
        train_probe,
        weighted_error,
    )

    texts, labels = _labelled(arguments.data)
    if not 0 < arguments.valid < 1:
        raise UserError(f"--valid: got {arguments.valid}, wanted a share in (0, 1)")
    model, tokenizer = load(arguments.model)
    layers = _layers(arguments.layer, len(find_layers(model)))
    generator = torch.Generator().manual_seed(arguments.seed)
    order = torch.randperm(len(texts), generator=generator)
    sides = order[round(arguments.valid * len(texts)) :], order[: round(arguments.valid * len(texts))]
    y = torch.tensor(labels)
    best: tuple[float, int, Any, Any] | None = None
    for layer, states in read_texts(model, tokenizer, texts, layers, arguments.window).items():
        x, mask = padded(states)
        train, valid = (ProbeData(x[side], mask[side], y[side]) for side in sides)
        options: dict[str, Any] = {"steps": arguments.steps, "n_seeds": arguments.starts, "seed": arguments.seed}
        found = train_probe(lambda dim=x.shape[2]: MAKE[arguments.arch](dim), train, valid, **options)
        print(f"layer {layer}: validation loss {min(found.losses):.4f}, {max(found.losses):.4f} at the worst start")
        if best is None or min(found.losses) < best[0]:
            best = min(found.losses), layer, found.probe, valid
    assert best is not None
    _, layer, probe, valid = best
    scores = score_all(probe, valid.x, valid.mask).tolist()
    threshold = choose_threshold(scores, valid.y.tolist(), w_fp=arguments.false_alarm)
    about = {"model": arguments.model, "layer": layer, "threshold": threshold, "window": arguments.window}
    with replacing(arguments.out) as part:
        save_probe(probe, arguments.arch, part, about)
    error = weighted_error(scores, valid.y.tolist(), threshold, w_fp=arguments.false_alarm)
    print(f"{arguments.arch} probe of layer {layer}, threshold {threshold:.3f}, weighted error {error:.3f} there")
    print(f"wrote {arguments.out}")
    return 0


def run_score(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import read_jsonl
    from assay.methods.data.stages import write_rows

    rows = read_jsonl(arguments.data, ("text",))
    scores, about = _scored(arguments, [_text(row, arguments.data, n) for n, row in enumerate(rows, 1)])
    found = [{**row, "score": s, "flagged": s >= about["threshold"]} for row, s in zip(rows, scores)]
    if arguments.out is None:
        for row in found:
            print(json.dumps(row, ensure_ascii=False))
        return 0
    write_rows(arguments.out, found)
    print(f"{sum(row['flagged'] for row in found)} of {len(found)} texts flagged; wrote {arguments.out}")
    return 0


def run_eval(arguments: argparse.Namespace) -> int:
    import numpy as np
    from sklearn.metrics import roc_auc_score

    from assay.cli.words import rows
    from assay.methods.metrics import binary_report

    texts, labels = _labelled(arguments.data)
    scores, about = _scored(arguments, texts)
    said = [int(s >= about["threshold"]) for s in scores]
    lengths = np.array([len(text) for text in texts])
    edges = np.unique(np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1]))
    parts = [("all", np.ones(len(texts), bool))]
    for low, high in pairwise(edges):
        inside = (lengths >= low) & ((lengths < high) | (high == edges[-1]))
        parts.append((f"{low:.0f} to {high:.0f} characters", inside))
    found = []
    for name, inside in parts:
        report = binary_report(np.array(labels)[inside].tolist(), np.array(said)[inside].tolist())
        found.append({"part": name, "texts": report.n, "precision": report.precision, "recall": report.recall,
                      "false_alarms": report.false_positives, "missed": report.false_negatives})  # fmt: skip
    area = float(roc_auc_score(labels, scores))
    if arguments.json:
        print(json.dumps({"auroc": area, "threshold": about["threshold"], "parts": found}, indent=2))
        return 0
    table = [["part", "texts", "precision", "recall", "false alarms", "missed"]]
    table += [[str(r["part"]), str(r["texts"]), f"{r['precision']:.3f}", f"{r['recall']:.3f}", str(r["false_alarms"]),
               str(r["missed"])] for r in found]  # fmt: skip
    print(rows(table))
    print(f"AUROC {area:.3f}")
    return 0


def run_cascade(arguments: argparse.Namespace) -> int:
    import numpy as np

    from assay.cli.files import replacing
    from assay.cli.rows import numbers, read_columns
    from assay.methods.interpretability.production_probes import Policy, measure, threshold_randomised_optimal

    if not 0 <= arguments.budget <= 1:
        raise UserError(f"--budget: got {arguments.budget}, wanted a share in [0, 1]")
    names = ("score", "label", "second")
    s, y, p2 = (np.array(numbers(column, name)) for name, column in zip(names, read_columns(arguments.file, names)))
    if len(s) < 4:
        raise UserError(f"{arguments.file}: {len(s)} rows, wanted at least 4: one half to choose by, one to judge on")
    if np.unique(y).tolist() != [0, 1]:
        raise UserError(f"{arguments.file}: labels are {np.unique(y).tolist()[:4]}, wanted 0 and 1, both of them")
    order = np.random.default_rng(0).permutation(len(s))
    fitted, held = order[::2], order[1::2]
    weights = (arguments.cost, arguments.false_alarm, 1.0)
    frontier = threshold_randomised_optimal(
        s[fitted], y[fitted], p2[fitted], *weights, bins=arguments.bins, monotone=True
    )
    chosen = frontier.at_budget(arguments.budget * arguments.cost)
    judged = []
    for policy, share in ((chosen.often, 1 - chosen.chance), (chosen.rare, chosen.chance)):
        cost, error = measure(policy, s[held], y[held], p2[held], *weights)
        judged.append({"share": share, "thresholds": policy.thresholds, "held_out_cost": cost, "held_out_error": error})
    asks_all = Policy((), ("defer",))
    alone = {
        "first": measure(frontier.policies[0], s[held], y[held], p2[held], *weights)[1],
        "second": measure(asks_all, s[held], y[held], p2[held], *weights)[1],
    }
    content = {
        "cost": arguments.cost,
        "budget": arguments.budget,
        "policies": [one for one in judged if one["share"] > 0],
        "expected_cost": chosen.cost,
        "expected_error": chosen.error,
        "error_alone": alone,
        "frontier": [list(point) for point in frontier.points],
    }
    with replacing(arguments.out) as part:
        part.write_text(json.dumps(_finite(content), indent=2) + "\n", "utf-8")
    if arguments.plot is not None:
        with replacing(arguments.plot) as part:
            frontier.plot(part, arguments.plot.suffix.lstrip("."))
    for one in content["policies"]:
        lo, hi = one["thresholds"]
        print(f"{one['share']:.0%} of cases: no below {lo:.4g}, yes from {hi:.4g} on, between them ask")
    error = sum(one["share"] * one["held_out_error"] for one in judged)
    print(f"error on the other half {error:.3f}; first stage alone {alone['first']:.3f}, second {alone['second']:.3f}")
    print(f"wrote {arguments.out}" + (f" and {arguments.plot}" if arguments.plot else ""))
    return 0


def _finite(value: Any) -> Any:
    """The same with None for thresholds that lie nowhere, since JSON has no infinity."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and abs(value) == float("inf") else value


def _labelled(file: Path) -> tuple[list[str], list[int]]:
    from assay.cli.rows import read_jsonl

    rows = read_jsonl(file, ("text", "label"))
    texts = [_text(row, file, number) for number, row in enumerate(rows, 1)]
    for number, row in enumerate(rows, 1):
        if row["label"] not in (0, 1):
            raise UserError(f"{file}, row {number}: 'label' is {row['label']!r}, wanted 0 or 1")
    labels = [int(row["label"]) for row in rows]
    if len(set(labels)) < 2:
        raise UserError(f"{file}: all {len(labels)} labels are {labels[0]}, wanted both classes")
    return texts, labels


def _text(row: dict[str, Any], file: Path, number: int) -> str:
    if not isinstance(row["text"], str) or not row["text"]:
        raise UserError(f"{file}, row {number}: 'text' is {row['text']!r}, wanted text")
    return row["text"]


def _layers(word: str, count: int) -> list[int]:
    """The layer that is named, or one at each quarter of the model."""
    if word == "auto":
        return sorted({count // 4, count // 2, 3 * count // 4})
    if not word.isdigit() or int(word) >= count:
        raise UserError(f"--layer: got {word!r}, wanted auto or 0 to {count - 1}")
    return [int(word)]


def _scored(arguments: argparse.Namespace, texts: Sequence[str]) -> tuple[list[float], dict[str, Any]]:
    """The probe's score of each text, and what is known of the probe."""
    from assay.cli.local_models import load
    from assay.methods.interpretability.production_probes import load_probe, padded, read_texts, score_all

    if not arguments.probe.is_file():
        raise UserError(f"{arguments.probe}: no such file")
    probe, about = load_probe(arguments.probe)
    model, tokenizer = load(arguments.model or about["model"])
    found = read_texts(model, tokenizer, texts, [about["layer"]], about["window"])[about["layer"]]
    return [float(score_all(probe, *padded([states]))) for states in found], about
