from __future__ import annotations

import pytest
import torch

from assay.engine.runner import run
from assay.methods.interpretability.production_probes import LinearProbe
from assay.models.access import Models
from assay.trials.interpretability import production_probes as trial_module
from assay.trials.interpretability.production_probes import LAYER, WINDOW, Read, measured, states_of
from assay.worlds.text.requests import draw_item


def test_long_texts_are_read_window_by_window():
    import random

    torch.set_num_threads(1)
    model, tokenizer = Models().load("micro")
    tokenizer.model_max_length = 10**6
    items = [draw_item(random.Random(i), 1022, bool(i)) for i in range(2)]
    states, labels = states_of(model, tokenizer, items)
    assert states.shape == (2, 1024, 256)
    assert labels.tolist() == [0, 1]
    from assay.methods.activations import capture
    from assay.models.local_sampler import prompt_ids

    second = torch.tensor([prompt_ids(tokenizer, items[1].text)[WINDOW:1024]])
    alone = capture(model, second, [LAYER])[LAYER]
    torch.testing.assert_close(states[1:, WINDOW:].float(), alone, atol=2e-2, rtol=1e-2)


def test_the_error_is_that_of_all_long_texts_together():
    probe = LinearProbe(2)
    with torch.no_grad():
        probe.linear.weight.copy_(torch.tensor([[1.0, 0.0]]))
        probe.linear.bias.zero_()
    x = torch.tensor([[[1.0, 0]], [[-1.0, 0]], [[1.0, 0]], [[-1.0, 0]]])
    found = Read({"510": (x, torch.tensor([1, 0, 0, 0])), "1022": (x, torch.tensor([1, 0, 1, 1]))})
    told = measured(found, probe, 0.0, 0.1)
    assert told.extra["error_at_510"] == pytest.approx(1 / 3)
    assert told.extra["error_at_1022"] == pytest.approx(1 / 3)
    assert told.value == pytest.approx(1 / 4 + 1 / 4)
    assert told.extra["false_positives"] == pytest.approx(1 / 4)


@pytest.mark.slow
def test_the_quick_trial_runs_to_its_end():
    result = run(trial_module.trial, quick=True, isolation="inline")
    assert not result.failed
    assert {unit.arm for unit in result.units} >= {"baseline", "placebo", "method"}
