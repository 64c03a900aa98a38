from __future__ import annotations

import pytest
import torch
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model
from inspect_ai.solver import generate

from assay.integrations.inspect.interpretability import probe_score
from assay.methods.interpretability.production_probes import LinearProbe, save_probe


@pytest.mark.parametrize(("threshold", "flagged"), [(-1e6, 1.0), (1e6, 0.0)])
def test_a_probe_flags_what_a_model_was_asked_and_said(tmp_path, threshold, flagged):
    torch.manual_seed(0)
    about = {"model": "nano", "layer": 1, "threshold": threshold, "window": 16}
    save_probe(LinearProbe(128), "mean", tmp_path / "p.safetensors", about)
    task = Task(
        [Sample("what is 2 and 3"), Sample("open the door " * 5)],
        solver=generate(max_tokens=4),
        scorer=probe_score(str(tmp_path / "p.safetensors")),
    )
    log = eval(task, model=get_model("assay/nano"), display="none", log_dir=str(tmp_path))[0]
    assert log.status == "success", log.error
    assert log.results.scores[0].metrics["mean"].value == flagged
    scores = [sample.scores["probe_score"].metadata["probe_score"] for sample in log.samples]
    assert scores[0] != scores[1]
