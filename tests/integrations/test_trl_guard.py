"""What the training of a guard refuses; that it trains is shown where the command's test runs it."""

import pytest

pytest.importorskip("trl")

from assay.integrations.trl_guard import train_guard
from assay.methods.safety.toolsafe import StepRecord, ToolCall, Turn
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

STEP = StepRecord("Read my mail.", (), ToolCall("read_mail"), (), 0.0, False, False)


def refused(records, message, context=1024, tokenizer=None, **settings):
    model = tiny_llama(hidden=16, layers=1, heads=2, mlp=16, context=context)
    with pytest.raises(ValueError, match=message):
        train_guard(model, tokenizer or build(), records, brief=True, **settings)


def test_wrong_steps_and_settings_are_refused_before_anything_is_trained():
    refused([STEP] * 8, "sft_steps, grpo_steps: got 0, 1", sft_steps=0, grpo_steps=1)
    refused([STEP] * 2, "records: got 2, wanted at least 3, 1 to hold out")
    refused([*[STEP] * 8, StepRecord("x", (), ToolCall("y"))], "step 8 has no malicious_request, attacked, score")
    silent = build()
    silent.chat_template = None
    refused([STEP] * 8, "chat template", tokenizer=silent)


def test_a_step_that_does_not_fit_the_models_window_is_named_by_its_length():
    long = StepRecord("Read my mail.", (Turn("tool", "x" * 300),), ToolCall("read_mail"), (), 0.0, False, False)
    refused([*[STEP] * 7, long], r"longest question has \d{3} tokens .* window is 400: ask in brief", context=400)
