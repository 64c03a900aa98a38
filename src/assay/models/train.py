"""Training of the built-in models: a recall phase, then the mixture of the text worlds, on one CPU thread.

Muon moves the matrices inside the blocks, AdamW the embeddings and norms; products are made in bfloat16, weights,
sums and attention stay float32. All stages are counted in absolute steps, so a training that was stopped goes on
exactly where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from assay.errors import AssayError, UserError
from assay.models import measure, weights
from assay.models import tokenizer as tok
from assay.models.nano import SIZES, inner_matrices, tiny_llama
from assay.models.recipe import RECIPES, Recipe, rate, total_steps
from assay.models.train_data import data_hash, rows_of_step
from assay.models.train_forward import reply_loss

LOG_EVERY, TRY_EVERY = 50, 250  # steps
_CURVE_PROBLEMS, _CURVE_SEED = 60, 10_000  # test problems for the curve, other ones than the gates'
_CHECKPOINT = "checkpoint.pt"

Entry = dict[str, float]


class Training:
    """A model, its optimisers and the step it is at; saved as a whole, so that it can go on."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed, self.step, self.seconds = recipe, seed, 0, 0.0
        self.log: list[Entry] = []
        self.model = tiny_llama(**asdict(SIZES[recipe.size]), seed=seed)
        matrices, others = inner_matrices(self.model)
        self.optimisers = (
            torch.optim.Muon(matrices, lr=recipe.muon_rate, momentum=recipe.momentum),
            torch.optim.AdamW(others, lr=recipe.adamw_rate, betas=recipe.betas),
        )

    def advance(self) -> float:
        """One step; returns its loss in nats per asked token."""
        started, recipe = time.perf_counter(), self.recipe
        rows = rows_of_step(recipe, self.step, self.seed)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = reply_loss(self.model, rows)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        factor = rate(recipe, self.step)
        decay = recipe.recall_decay if self.step < recipe.recall_steps else recipe.weight_decay
        for optimiser, base in zip(self.optimisers, (recipe.muon_rate, recipe.adamw_rate)):
            for group in optimiser.param_groups:
                group["lr"], group["weight_decay"] = base * factor, decay
            optimiser.step()
            optimiser.zero_grad()
        self.step += 1
        self.seconds += time.perf_counter() - started
        return loss.item()

    def save(self, path: Path) -> None:
        """Write the checkpoint under a temporary name and rename it."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "seed": self.seed,
            "log": self.log,
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def restore(self, path: Path) -> None:
        """Take up the checkpoint at `path`."""
        state = torch.load(path, weights_only=True)
        if state["seed"] != self.seed:
            raise UserError(f"--seed {self.seed}: the training in {path.parent} was begun with {state['seed']}")
        self.step, self.seconds, self.log = state["step"], state["seconds"], state["log"]
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"]):
            optimiser.load_state_dict(saved)


def run(training: Training, out: Path, minutes: float | None) -> Iterator[Entry]:
    """Advance to the end, or to the first checkpoint after `minutes`; yields step, loss, seconds and, less often,
    greedy accuracy on a few test problems."""
    until = time.perf_counter() + 60 * minutes if minutes is not None else float("inf")
    total, losses, tokenizer = total_steps(training.recipe), [], tok.build()
    while training.step < total:
        losses.append(training.advance())
        if training.step % LOG_EVERY and training.step < total:
            continue
        entry: Entry = {"step": training.step, "loss": sum(losses) / len(losses), "seconds": training.seconds}
        losses.clear()
        if training.step % TRY_EVERY == 0:
            training.model.eval()  # type: ignore[no-untyped-call]
            entry |= measure.greedy_accuracy(training.model, tokenizer, _CURVE_PROBLEMS, _CURVE_SEED)
        training.log.append(entry)
        training.save(out / _CHECKPOINT)
        yield entry
        if time.perf_counter() > until:
            return


def train_model(
    name: str,
    out: Path,
    *,
    seed: int = 0,
    minutes: float | None = None,
    resume: bool = False,
    show: Callable[[Entry, int], None] | None = None,
) -> Path:
    """Train a built-in model into the folder `out`: weights, tokenizer, recipe.json with all that was measured.

    `show(entry, total_steps)` is called as it goes on. Raises UserError where `out` holds an unfinished training
    and `resume` is False, AssayError when `minutes` are over before the last step (the checkpoint stays).
    """
    weights.check_name(name)
    training, checkpoint = Training(RECIPES[name], seed), out / _CHECKPOINT
    if checkpoint.exists():
        if not resume:
            raise UserError(f"{out} holds an unfinished training: add --resume to go on with it, or remove it")
        training.restore(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more threads change the sums, and with them the weights
    try:
        total = total_steps(training.recipe)
        for entry in run(training, out, minutes):
            if show is not None:
                show(entry, total)
        if training.step < total:
            raise AssayError(f"{minutes:g} minutes are over at step {training.step} of {total}: --resume goes on")
        finish(training, name, out)
    finally:
        torch.set_num_threads(threads)
    checkpoint.unlink()
    return out


def finish(training: Training, name: str, out: Path) -> None:
    """Write the weights as they are shipped, measure what was written, and note both in recipe.json."""
    report: dict[str, object] = {
        "name": name,
        "parameters": sum(p.numel() for p in training.model.parameters()),
        "recipe": asdict(training.recipe),
        "seed": training.seed,
        "data_sha256": data_hash(training.recipe, training.seed),
        "seconds": round(training.seconds, 1),
        "versions": weights.versions(),
        "log": [{key: round(value, 4) for key, value in entry.items()} for entry in training.log],
    }
    weights.save(training.model, report, out)
    measured = measure.measure(weights.read(out), tok.build())
    nano = weights.recipe("nano")["measured"] if name != "nano" and weights.available("nano") else None
    missed = measure.missed_gates(name, measured, nano)
    weights.save(training.model, report | {"measured": measured, "missed": missed}, out)
