"""Split a model's activations into regions with directions of their own; look at them, steer by them (2602.02464)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from assay.methods.interpretability.mfa import MFA, Region

AROUND = 12  # tokens shown before a state's own
BATCH = 16


def configure(verbs: Any) -> None:
    fit = verbs.add_parser("fit", help="regions of a layer's states over a text")
    fit.add_argument("--model", required=True, help="nano, micro, a folder or a name (transformers, causal)")
    fit.add_argument("--text", type=Path, required=True, metavar="FILE", help="plain text, UTF-8")
    fit.add_argument("--layer", type=int, required=True, help="decoder layer whose output is read, counted from 0")
    fit.add_argument("--k", type=int, default=64, help="regions (default: 64)")
    fit.add_argument("--rank", type=int, default=10, help="directions of each region (default: 10)")
    fit.add_argument("--out", type=Path, required=True, metavar="FILE", help="safetensors")
    fit.add_argument("--method", choices=("sgd", "em"), default="em", help="gradient steps, or exact EM (default)")
    fit.add_argument("--epochs", type=int, default=8, help="times through the states (default: 8)")
    fit.add_argument("--lr", type=float, default=1e-2, help="learning rate of the gradient steps (default: 0.01)")
    fit.add_argument("--max-tokens", type=int, default=200_000, metavar="N", help="of the text (default: 200,000)")
    fit.add_argument("--length", type=int, default=128, help="tokens read in one go (default: 128)")
    fit.add_argument("--seed", type=int, default=0)
    fit.set_defaults(run=run_fit)

    explain = verbs.add_parser("explain", help="what each region is about, on a text")
    explain.add_argument("file", type=Path, metavar="M", help="what `fit` wrote")
    explain.add_argument("--text", type=Path, required=True, metavar="FILE", help="plain text to show regions on")
    explain.add_argument("--html", type=Path, metavar="FILE", help="write a page, instead of a table to the terminal")
    explain.add_argument("--model", help="default: the one that was read")
    explain.add_argument("--max-tokens", type=int, default=20_000, metavar="N", help="of the text (default: 20,000)")
    explain.add_argument("--regions", type=int, default=64, metavar="N", help="shown, heaviest first (default: 64)")
    explain.set_defaults(run=run_explain)

    steer = verbs.add_parser("steer", help="continue a prompt with states moved towards a region")
    steer.add_argument("file", type=Path, metavar="M", help="what `fit` wrote")
    steer.add_argument("--region", type=int, required=True)
    steer.add_argument("--alpha", type=float, default=0.3, help="how far, 0 to 1 (default: 0.3)")
    steer.add_argument("--z", type=float, nargs="+", metavar="Z", help="also move to this place within the region")
    steer.add_argument("--prompt", required=True)
    steer.add_argument("--model", help="default: the one that was read")
    steer.add_argument("--max-tokens", type=int, default=40, metavar="N")
    steer.set_defaults(run=run_steer)


def run_fit(arguments: argparse.Namespace) -> int:
    from assay.cli.files import replacing
    from assay.methods.interpretability.mfa import fit_mfa

    states, _, _, _, _ = _read(arguments.model, arguments.layer, arguments)
    fit = fit_mfa(
        states,
        arguments.k,
        arguments.rank,
        arguments.method,
        arguments.epochs,
        arguments.lr,
        seed=arguments.seed,
    )
    with replacing(arguments.out) as part:
        fit.mfa.save(part, {"model": arguments.model, "layer": str(arguments.layer), "length": str(arguments.length)})
    print(f"{len(states)} states of {states.shape[1]} numbers, {arguments.k} regions of rank {arguments.rank}")
    print(f"nats a state, held out: {fit.validation[0]:.2f} after one epoch, {min(fit.validation):.2f} at best")
    print(f"wrote {arguments.out}")
    return 0


def run_explain(arguments: argparse.Namespace) -> int:
    from assay.cli.files import replacing
    from assay.cli.words import rows
    from assay.methods.interpretability.mfa import describe, neighbours

    mfa, metadata = _load(arguments.file)
    arguments.length = int(metadata.get("length", "128"))
    name, layer = _model_of(arguments, metadata)
    states, tokens, contexts, model, tokenizer = _read(name, layer, arguments)
    unembed = model.get_output_embeddings().weight.detach().float().cpu()
    vocabulary = [tokenizer.decode([i]) for i in range(len(unembed))]
    told = describe(mfa, states.float(), tokens, contexts, unembed, vocabulary)[: arguments.regions]
    if arguments.html:
        near = neighbours(mfa, min(3, mfa.regions - 1)) if mfa.regions > 1 else [[] for _ in range(mfa.regions)]
        with replacing(arguments.html) as part:
            part.write_text(page(f"{name}, layer {layer}", told, near), "utf-8")
        print(f"wrote {arguments.html}")
        return 0
    table = [["region", "weight", "kind", "rank used", "tokens", "would write"]]
    for region in told:
        shown = [f"{region.number}", f"{region.weight:.1%}", region.kind, f"{region.effective_rank:.1f}"]
        table.append([*shown, region.label, " ".join(map(repr, region.writes[:3]))])
    print(rows(table))
    return 0


def run_steer(arguments: argparse.Namespace) -> int:
    import torch

    from assay.cli.local_models import load
    from assay.methods.activations import intervene
    from assay.methods.interpretability.mfa import MFASteerer

    mfa, metadata = _load(arguments.file)
    name, layer = _model_of(arguments, metadata)
    model, tokenizer = load(name)
    steerer = MFASteerer(model, mfa, layer)
    if arguments.z is None:
        move = steerer.centroid(arguments.region, arguments.alpha)
    else:
        move = steerer.latent(arguments.region, arguments.alpha, torch.tensor(arguments.z))
    _check_width(mfa, model)
    ids = torch.tensor([tokenizer.encode(arguments.prompt)])
    for title, moves in (("plain", []), ("steered", [move])):
        with torch.no_grad(), intervene(model, moves):
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=arguments.max_tokens,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id or 0,
            )
        print(f"{title}: {tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)!r}")
    return 0


def _load(file: Path) -> tuple[MFA, dict[str, str]]:
    from assay.methods.interpretability.mfa import MFA

    if not file.is_file():
        raise UserError(f"{file}: no such file")
    return MFA.load(file)


def _model_of(arguments: argparse.Namespace, metadata: dict[str, str]) -> tuple[str, int]:
    name = arguments.model or metadata.get("model")
    if name is None or "layer" not in metadata:
        raise UserError(f"{arguments.file} does not say what model and layer it is of: `assay use mfa fit` writes such")
    return name, int(metadata["layer"])


def _check_width(mfa: MFA, model: Any) -> None:
    wanted = mfa.centroids.shape[1]
    if model.config.hidden_size != wanted:
        raise UserError(f"the regions are of {wanted} dimensions, the model's states of {model.config.hidden_size}")


def _read(name: str, layer: int, arguments: argparse.Namespace) -> tuple[Tensor, list[str], list[str], Any, Any]:
    """States (N, D) of a text in half precision, the token and the context of each, the model and its tokenizer."""
    import torch

    from assay.cli.local_models import load
    from assay.cli.rows import read_text
    from assay.methods.activations import capture

    for option in ("max_tokens", "length"):
        if getattr(arguments, option) < 1:
            raise UserError(f"--{option.replace('_', '-')}: got {getattr(arguments, option)}, wanted at least 1")
    text = read_text(arguments.text)
    model, tokenizer = load(name)
    ids = tokenizer.encode(text, add_special_tokens=False)[: arguments.max_tokens]
    if not ids:
        raise UserError(f"{arguments.text}: no tokens")
    rows = [ids[at : at + arguments.length] for at in range(0, len(ids), arguments.length)]
    longest = len(rows[0])
    padded = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    states = capture(model, padded, [layer], batch_size=BATCH, attention_mask=mask)[layer][mask.bool()].half()
    tokens = [tokenizer.decode([i]) for i in ids]
    contexts = ["".join(tokens[max(0, i - AROUND) : i + 1]) for i in range(len(ids))]
    return states, tokens, contexts, model, tokenizer


def page(title: str, told: Sequence[Region], near: Sequence[Sequence[tuple[int, float]]]) -> str:
    """A page without any other file: a card a region."""
    return PAGE.format(title=escape(title), cards="\n".join(_card(region, near[region.number]) for region in told))


def _card(region: Region, near: Sequence[tuple[int, float]]) -> str:
    def words(found: Sequence[str]) -> str:
        return " ".join(f"<code>{escape(repr(word)[1:-1])}</code>" for word in found) or "none"

    directions = "".join(f"<li>{words(plus[:5])} against {words(minus[:5])}</li>" for plus, minus in region.directions)
    contexts = "".join(f"<li><code>{escape(context)}</code></li>" for context in region.contexts)
    others = ", ".join(f'<a href="#r{other}">{other}</a> ({apart:.0f})' for other, apart in near)
    tokens = " ".join(f"<code>{escape(repr(t)[1:-1])}</code> {share:.0%}" for t, share in region.tokens)
    return (
        f'<section id="r{region.number}"><h2>Region {region.number}: {escape(region.label)}</h2>'
        f"<p>{region.weight:.1%} of the states, {region.kind} (evenness {region.evenness:.2f}), "
        f"{region.effective_rank:.1f} directions in use, {region.local_share:.0%} of its variance along them</p>"
        f"<p><b>Tokens</b> {tokens or 'none in this text'}</p><p><b>Would write</b> {words(region.writes)}</p>"
        f"<p><b>Nearest</b> {others or 'none'} (nats apart)</p>"
        f"<details><summary>Contexts and directions</summary><ul>{contexts}</ul><ol>{directions}</ol></details>"
        "</section>"
    )


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Regions of {title}</title>
<style>
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }}
section {{ border-top: 1px solid #ccc; padding: .5rem 0 }}
h2 {{ font-size: 1.1rem; margin: .4rem 0 }}
p {{ margin: .3rem 0 }}
code {{ background: #f2f2f2; border-radius: 3px; padding: 0 .2em; white-space: pre-wrap }}
</style>
<h1>Regions of {title}</h1>
<p>Each region is a cloud of states with a centre and a few directions. Its tokens are those whose states lie in it;
what it would write is what its centre raises most at the model's output.</p>
{cards}
</html>
"""
