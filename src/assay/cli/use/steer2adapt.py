"""Find the mix of concept vectors that makes a handful of examples come out right, and steer a model (2602.07276)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.interpretability.steer2adapt import Basis, Item, Recipe


def configure(verbs: Any) -> None:
    fit = verbs.add_parser("fit", help="search the mix for a task; writes a recipe that steers any time after")
    _add_model(fit)
    fit.add_argument("--concepts", type=Path, required=True, metavar="FILE.yaml", help=_CONCEPTS)
    fit.add_argument("--data", type=Path, required=True, metavar="FILE.jsonl", help=_DATA)
    fit.add_argument("--layers", metavar="A,B,...", help="where the mix is added (default: the middle third)")
    fit.add_argument("--backend", choices=("botorch", "optuna"), default="botorch")
    fit.add_argument("--positions", choices=("all", "generated"), default="all")
    fit.add_argument("--n-iter", type=int, default=32, metavar="N", help="steps of the search (default 32)")
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    fit.set_defaults(run=run_fit)

    run = verbs.add_parser("run", help="what the model says to a prompt, plain and steered")
    _add_model(run)
    run.add_argument("recipe", type=Path)
    run.add_argument("--prompt", required=True)
    run.add_argument("--max-tokens", type=int, default=64, metavar="N")
    run.set_defaults(run=run_prompt)

    evaluate = verbs.add_parser("eval", help="accuracy before and after on other items, each concept left out, grammar")
    _add_model(evaluate)
    evaluate.add_argument("recipe", type=Path)
    evaluate.add_argument("--data", type=Path, required=True, metavar="FILE.jsonl", help=_DATA)
    evaluate.add_argument("--grammar", action="store_true", help="also ask 600 minimal pairs of English sentences")
    evaluate.add_argument("--json", action="store_true")
    evaluate.set_defaults(run=run_eval)


_CONCEPTS = "name: {positive: [prompts], negative: [prompts]}, paired by place"
_DATA = 'items: {"prompt": "...", "gold": "...", "others": ["..."]} (without others: what greedy decoding writes)'


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="micro", help="a folder, a transformers name, nano or micro (the default)")


def run_fit(arguments: argparse.Namespace) -> int:
    from assay.cli.files import replacing
    from assay.cli.local_models import load
    from assay.methods.interpretability._steer_report import sign_stability
    from assay.methods.interpretability.steer2adapt import build_basis, save, search

    concepts, items = read_concepts(arguments.concepts), read_items(arguments.data)
    layers = None if arguments.layers is None else whole_numbers(arguments.layers)
    model, tokenizer = load(arguments.model)
    basis = build_basis(model, tokenizer, concepts, layers=layers)
    for one, other, cosine in basis.alike():
        print(f"{one} and {other} are nearly one direction (cosine {cosine:+.2f})")
    recipe = search(
        model,
        tokenizer,
        basis,
        items,
        n_iter=arguments.n_iter,
        backend=arguments.backend,
        positions=arguments.positions,
        seed=arguments.seed,
    )
    with replacing(arguments.out) as part:
        save(part, basis, recipe)
    print("concept              weight   sign kept when items are drawn anew")
    for (name, kept), weight in zip(sign_stability(recipe).items(), recipe.alpha):
        print(f"{name:<20} {weight:>+6.2f}   {kept:.0%}")
    best = max(recipe.trace, key=lambda one: one.score)
    before, after = (sum(m > 0 for m in margins) for margins in (recipe.before, best.after))
    print(f"{before} of {len(items)} calibration items right before, {after} after ({len(recipe.trace)} mixes tried)")
    if not any(recipe.alpha):
        print("no mix was better than none: the recipe changes nothing")
    print(f"wrote {arguments.out}")
    return 0


def run_prompt(arguments: argparse.Namespace) -> int:
    import torch

    from assay.cli.local_models import check_width, load
    from assay.methods.interpretability._replies import prompt_ids
    from assay.methods.interpretability.steer2adapt import SteeredModel

    if arguments.max_tokens < 1:
        raise UserError(f"--max-tokens: got {arguments.max_tokens}, wanted at least 1")
    basis, recipe = read_recipe(arguments.recipe)
    model, tokenizer = load(arguments.model)
    check_width(model, arguments.model, basis.vectors.shape[1], arguments.recipe)
    ids = torch.tensor([prompt_ids(tokenizer, arguments.prompt)])
    asked = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    settings = {"max_new_tokens": arguments.max_tokens, "do_sample": False, "pad_token_id": tokenizer.pad_token_id}
    plain = model.generate(**asked, **settings)
    steered = SteeredModel(model, basis, recipe).generate(**asked, **settings)
    for name, out in (("plain", plain), ("steered", steered)):
        print(f"{name}:\n{tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)}")
    return 0


def run_eval(arguments: argparse.Namespace) -> int:
    from assay.cli.local_models import check_width, load
    from assay.methods.interpretability import _steer_report

    basis, recipe = read_recipe(arguments.recipe)
    items = read_items(arguments.data)
    model, tokenizer = load(arguments.model)
    check_width(model, arguments.model, basis.vectors.shape[1], arguments.recipe)
    whole = _steer_report.change(model, tokenizer, basis, recipe, items)
    without = _steer_report.leave_one_out(model, tokenizer, basis, recipe, items)
    grammar = _steer_report.side_effects(model, tokenizer, basis, recipe) if arguments.grammar else {}
    if arguments.json:
        told = {
            "items": len(items),
            "before": whole.before,
            "after": whole.after,
            "lost": whole.lost,
            "concepts": without,
            "grammar": {name: {"before": one.before, "after": one.after} for name, one in grammar.items()},
        }
        print(json.dumps(told, indent=2))
        return 0
    print(f"{len(items)} items: right {whole.before:.1%} before, {whole.after:.1%} after; {whole.lost:.1%} of those")
    print("that were right are wrong now\n\nconcept              weight   share right that it brings")
    for (name, brings), weight in zip(without.items(), recipe.alpha):
        print(f"{name:<20} {weight:>+6.2f}   {brings:+.1%}")
    if grammar:
        print("\ngrammar                      before   after")
        for name, one in grammar.items():
            print(f"{name:<28} {one.before:>6.0%}  {one.after:>6.0%}")
    return 0


def read_concepts(file: Path) -> dict[str, tuple[list[str], list[str]]]:
    """The concepts of a YAML file: pairs of positive and negative prompts, equally many."""
    from assay.cli.rows import read_yaml

    data = read_yaml(file)
    if not isinstance(data, dict) or not data:
        raise UserError(f"{file}: wanted {_CONCEPTS}")
    found = {}
    for name, sides in data.items():
        pair = [sides.get(side) if isinstance(sides, dict) else None for side in ("positive", "negative")]
        if not all(isinstance(side, list) and side and all(isinstance(p, str) for p in side) for side in pair):
            raise UserError(f"{file}, concept {name}: wanted positive and negative, a list of prompts each")
        if len(pair[0]) != len(pair[1]):
            raise UserError(f"{file}, concept {name}: {len(pair[0])} positive and {len(pair[1])} negative prompts")
        found[str(name)] = (pair[0], pair[1])
    return found


def read_items(file: Path) -> list[Item]:
    """The items of a JSONL file."""
    from assay.cli.rows import read_jsonl
    from assay.methods.interpretability.steer2adapt import Item

    items = []
    for number, row in enumerate(read_jsonl(file, ("prompt", "gold")), 1):
        others = row.get("others", [])
        if not isinstance(others, list) or not all(isinstance(t, str) for t in (row["prompt"], row["gold"], *others)):
            raise UserError(f"{file}, item {number}: wanted texts as prompt and gold, a list of texts as others")
        items.append(Item(row["prompt"], row["gold"], tuple(others)))
    return items


def read_recipe(file: Path) -> tuple[Basis, Recipe]:
    """What `fit` wrote."""
    from assay.methods.interpretability.steer2adapt import load

    if not file.is_file():
        raise UserError(f"{file}: no such file")
    return load(file)


def whole_numbers(text: str) -> list[int]:
    """The numbers of `2,3,4`."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError(f"--layers: got {text!r}, wanted numbers such as 10,11,12") from error
