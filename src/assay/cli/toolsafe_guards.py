"""A guard of ToolSafe that a command names: "keywords", a trained one in a folder, a built-in model, or any other."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError, without_markup

if TYPE_CHECKING:
    from assay.methods.safety.toolsafe import GuardVerdict, StepRecord

    Rate = Callable[[StepRecord], Awaitable[GuardVerdict]]

KEYWORDS = "keywords"
CARD = "guard.json"  # lies beside a trained guard's weights and says how it is to be asked
HELP = "a model by name (openai/…), nano, micro, the folder of a trained guard, or keywords"
REPLY = 300  # tokens that a local guard may write


def find_guard(name: str) -> Rate:
    """The guard of that name, as an async callable. UserError where it cannot be had."""
    from assay.methods.safety.toolsafe import KeywordGuard, ModelGuard
    from assay.models.weights import NAMES

    if name == KEYWORDS:
        by_words = KeywordGuard()

        async def rate(record: StepRecord) -> GuardVerdict:
            return by_words(record)

        return rate
    if name in NAMES or Path(name).is_dir():
        return ModelGuard(_local(name), brief=name in NAMES or _is_brief(Path(name))).rate
    if "/" not in name:
        raise UserError(f"--guard: got {name!r}, wanted {HELP}")
    from inspect_ai._util.error import PrerequisiteError

    from assay.integrations.inspect.models import complete

    try:
        return ModelGuard(complete(name)).rate
    except (PrerequisiteError, ValueError) as error:  # no such provider, or no key for it
        raise UserError(f"--guard {name}: {without_markup(error)}") from error


def write_card(folder: Path, content: Mapping[str, Any]) -> None:
    """Say beside the weights how the guard was trained and is to be asked."""
    (folder / CARD).write_text(json.dumps(dict(content), indent=1) + "\n", "utf-8")


def _is_brief(folder: Path) -> bool:
    card = folder / CARD
    return card.is_file() and bool(json.loads(card.read_text("utf-8")).get("brief"))


def _local(name: str) -> Any:
    """A model of this process as a `Complete`; special tokens that a text spells out are not read as such."""
    from assay.cli.local_models import load
    from assay.methods.safety.toolsafe import plain_words
    from assay.models.local_sampler import LocalSampler

    model, tokenizer = load(name)
    sampler = LocalSampler(model, tokenizer)

    async def complete(
        prompt: str,
        *,
        images: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        max_tokens: int | None = None,
    ) -> str:
        asked = plain_words(prompt, tokenizer.all_special_tokens)
        (reply,) = await sampler(asked, temperature=temperature, max_tokens=max_tokens or REPLY)
        return reply.text

    return complete
