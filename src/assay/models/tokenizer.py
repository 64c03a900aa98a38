"""The tokenizer of the built-in models: 256 tokens, a whole number below 100 is one of them.

That is what makes a million parameters enough for arithmetic: no digit has to be carried inside a number.
Any text can be encoded (what is not ASCII becomes `<unk>`) and ASCII text decodes exactly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_ROLES = ["<pad>", "<bos>", "<eos>", "<user>", "<bot>", "<sys>", "<mask>", "<mem>"]
_MARKS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
SPECIAL = [*_ROLES, *_MARKS, "<ref>", "<unk>"]
_PIECE = r"\d\d?|[\s\S]"
_CHARACTERS = ["\n", *(chr(c) for c in range(32, 127) if not chr(c).isdigit())]
_NUMBERS = [*map(str, range(100)), *(f"0{d}" for d in range(10))]
SIZE = 256
VOCABULARY = [*SPECIAL, *_CHARACTERS, *_NUMBERS]
VOCABULARY += [f"<unused{i}>" for i in range(SIZE - len(VOCABULARY))]
ID = {token: i for i, token in enumerate(VOCABULARY)}
PAD, BOS, EOS, USER, BOT, SYS = (ID[f"<{name}>"] for name in ("pad", "bos", "eos", "user", "bot", "sys"))
UNK = ID["<unk>"]
_pieces = re.compile(_PIECE).findall

CHAT_TEMPLATE = (
    "<bos>{% for m in messages %}"
    "{{ {'system': '<sys>', 'user': '<user>', 'assistant': '<bot>', 'tool': '<tool_response>'}[m['role']] }}"
    "{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}<eos>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
)


def encode(text: str) -> list[int]:
    """Token ids of plain text; the name of a special token in it is read as characters."""
    return [ID.get(piece, UNK) for piece in _pieces(text)]


def decode(ids: Sequence[int]) -> str:
    """The text of the ids, special tokens by name."""
    return "".join(VOCABULARY[i] for i in ids)


def build(words: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """The same vocabulary as a transformers tokenizer; `words` are added as tokens of their own."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel(ID, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECE), behavior="isolated")
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        mask_token="<mask>",
        additional_special_tokens=[t for t in SPECIAL if t not in ("<pad>", "<bos>", "<eos>", "<unk>", "<mask>")],
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
        chat_template=CHAT_TEMPLATE,
    )
    if words:
        tokenizer.add_tokens(list(words))
    return tokenizer
