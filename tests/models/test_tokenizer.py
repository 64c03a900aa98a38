"""The tokenizer of the built-in models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.models import tokenizer as tok

ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.just("\n"))


@pytest.fixture(scope="module")
def built():
    return tok.build()


@given(ascii_text)
def test_ascii_text_comes_back_exactly(text):
    assert tok.decode(tok.encode(text)) == text


@given(text=st.text(st.characters(exclude_characters="<>", codec="utf-8")))
def test_the_transformers_tokenizer_agrees_on_any_text(built, text):
    assert built.encode(text, add_special_tokens=False) == tok.encode(text)


@given(text=ascii_text.filter(lambda t: "<" not in t))
def test_the_transformers_tokenizer_decodes_exactly(built, text):
    assert built.decode(tok.encode(text)) == text


@pytest.mark.parametrize("number", [*map(str, range(100)), "00", "07", "09"])
def test_a_number_below_100_is_one_token(number):
    assert len(tok.encode(number)) == 1


def test_the_vocabulary_has_256_different_tokens():
    assert len(tok.VOCABULARY) == len(set(tok.VOCABULARY)) == tok.SIZE == 256


def test_what_is_not_ascii_becomes_unknown():
    assert tok.encode("é4") == [tok.UNK, tok.ID["4"]]


def test_the_chat_template_puts_each_role_between_its_marks(built):
    chat = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "12"},
        {"role": "assistant", "content": "#3"},
        {"role": "user", "content": "4"},
    ]
    text = built.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert text == "<bos><sys>s<user>12<bot>#3<eos><user>4<bot>"
    assert built.encode(text, add_special_tokens=False)[:3] == [tok.BOS, tok.SYS, tok.ID["s"]]


def test_words_become_tokens_of_their_own():
    longer = tok.build(["zebra", "apple"])
    assert len(longer) == 258
    assert longer.decode(longer.encode("12zebra", add_special_tokens=False)) == "12zebra"
    assert len(longer.encode("12zebra", add_special_tokens=False)) == 2
