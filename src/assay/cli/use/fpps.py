"""Keep a model's facts right when a user's history is in the prompt: fit on your triples, then ask (2601.11000)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.interpretability.fpps import Triple


def configure(verbs: Any) -> None:
    fit = verbs.add_parser("fit", help="find the layer, train the prober, tune the steering; writes one file")
    fit.add_argument("--model", default="micro", help="a folder, a transformers name, nano or micro (the default)")
    fit.add_argument("--data", type=Path, required=True, metavar="FILE.jsonl", help=_DATA)
    fit.add_argument("--layer", type=int, metavar="N", help="counted from 0 (default: found by patching)")
    fit.add_argument("--variant", choices=("H", "S", "M"), default="M", help="hard, soft or mixed (the default)")
    fit.add_argument("--single-pass", action="store_true", help="tell the risk from the personalised pass alone")
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")
    fit.set_defaults(run=run_fit)

    run = verbs.add_parser("run", help="answer a question after a history: plain, personalised, steered, and the risk")
    run.add_argument("fpps", type=Path, help="what `fit` wrote")
    run.add_argument("--model", default="micro", help="the model it was fitted on")
    run.add_argument("--history", type=Path, required=True, metavar="FILE.jsonl", help='sessions: {"text": "..."}')
    run.add_argument("--question", required=True)
    run.add_argument("--retrieve", type=int, metavar="K", help="only the K sessions nearest to the question (BM25)")
    run.add_argument("--max-tokens", type=int, default=64, metavar="N")
    run.set_defaults(run=run_question)


_DATA = 'triples: {"question", "history", "gold", "history_answer", "kind": "factual" or "personal"}'


def run_fit(arguments: argparse.Namespace) -> int:
    from assay.cli.files import replacing
    from assay.cli.local_models import load
    from assay.methods.interpretability import fpps
    from assay.methods.interpretability._fpps_file import save

    triples = read_triples(arguments.data)
    model, tokenizer = load(arguments.model)
    found = fpps.fit(
        model,
        tokenizer,
        triples,
        layer=arguments.layer,
        variant=arguments.variant,
        single_pass=arguments.single_pass,
        seed=arguments.seed,
    )
    with replacing(arguments.out) as part:
        save(part, found)
    h_u, h_0 = fpps.states(model, tokenizer, triples, found.layer)
    before = fpps.score(model, tokenizer, triples, found.layer)
    after = fpps.score(model, tokenizer, triples, found.layer, found.change(h_u, h_0))
    print(f"layer {found.layer}, prober AUROC {found.prober.auroc:.2f} (5-fold), gamma {found.gamma:g}")
    print("on these triples     factual  personal  overall  misled")
    for name, scores in (("with history", before), ("steered", after)):
        shares = (scores.factual, scores.personal, scores.overall, scores.hallucination)
        print(f"{name:<18}" + "".join(f"  {share:>7.1%}" if share == share else "        -" for share in shares))
    print(f"wrote {arguments.out}")
    return 0


def run_question(arguments: argparse.Namespace) -> int:
    from assay.cli.local_models import check_width, load
    from assay.cli.rows import read_jsonl
    from assay.methods.interpretability._fpps_file import load as load_fpps
    from assay.methods.interpretability.fpps import FPPS, personalized_generate
    from assay.methods.text_index import TextIndex

    if arguments.max_tokens < 1 or (arguments.retrieve is not None and arguments.retrieve < 1):
        raise UserError("--max-tokens and --retrieve want at least 1")
    if not arguments.fpps.is_file():
        raise UserError(f"{arguments.fpps}: no such file")
    fitted = load_fpps(arguments.fpps)
    sessions = [str(row["text"]) for row in read_jsonl(arguments.history, ("text",))]
    if arguments.retrieve is not None:
        index = TextIndex({f"{i:09}": text for i, text in enumerate(sessions)})
        sessions = [
            sessions[i] for i in sorted(int(p.id) for p in index.search(arguments.question, arguments.retrieve))
        ]
    model, tokenizer = load(arguments.model)
    check_width(model, arguments.model, len(fitted.direction), arguments.fpps)
    history, asked = "\n".join(sessions), (model, tokenizer)
    tokens = arguments.max_tokens
    plain, _ = personalized_generate(*asked, "", arguments.question, fitted, max_new_tokens=tokens)
    steered, risk = personalized_generate(*asked, history, arguments.question, fitted, max_new_tokens=tokens)
    untouched = FPPS(fitted.layer, fitted.prober, fitted.direction, "H", tau=2.0)
    personal, _ = personalized_generate(*asked, history, arguments.question, untouched, max_new_tokens=tokens)
    for name, text in (("without history", plain), ("with history", personal), ("steered", steered)):
        print(f"{name}: {text}")
    print(f"risk {risk:.2f} at layer {fitted.layer}")
    return 0


def read_triples(file: Path) -> list[Triple]:
    """The triples of a JSONL file."""
    from assay.cli.rows import read_jsonl
    from assay.methods.interpretability.fpps import Triple

    found = []
    for number, row in enumerate(read_jsonl(file, ("question", "history", "gold")), 1):
        texts = [row["question"], row["history"], row["gold"], row.get("history_answer", "")]
        if not all(isinstance(text, str) for text in texts):
            raise UserError(f"{file}, triple {number}: wanted texts as question, history, gold and history_answer")
        try:
            found.append(Triple(*texts, kind=row.get("kind", "factual")))
        except ValueError as error:
            raise UserError(f"{file}, triple {number}: {error}") from error
    return found
