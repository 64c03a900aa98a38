"""Building Production-Ready Probes For Gemini (2601.11516).

Probes that are trained on short texts break on long ones: an average is diluted, soft attention too. `MultiMaxProbe`
takes the greatest value of each head, `RollingMeansAttentionProbe` the greatest attention-weighted mean of a short
window; a cascade sends only undecided cases to an expensive classifier, at thresholds that are found exactly.

    trained = train_probe(lambda: RollingMeansAttentionProbe(dim=256), train, valid)
    threshold = choose_threshold(scores, labels, weights=weights)          # short and some long benign texts
    with ProbeMonitor(model, trained.probe, layer=12, stop_on=threshold) as monitor:
        model.generate(ids, stopping_criteria=[monitor])                   # a score with every token
    frontier = threshold_randomised_optimal(s1, y, p2, c=50, bins=20)      # cost against error

Details that matter
- What it costs: a probe is O(T D mlp_dim); streaming needs O(1) memory a head, O(window) for rolling means.
- When it does not help: the hard maximum over-fires where near misses grow in number with the text; rolling means are
  then the better choice, and where one token tells all, the hard maximum is.
- Rolling means use full windows only, where the text has that many tokens; else the whole text.
- The frontier is exact on the cases it is built on; with a bin for every score it fits their labels. Give it quantile
  bins that hold tens of cases, and judge a policy on others by `measure`.
- Hyper-parameters are ours: heads 10, width 100, AdamW 1e-3 with weight decay 3e-3, 1,000 steps, 8 starts.
- The paper searches designs with AlphaEvolve; `evolve_probes` searches a small typed grammar, and reads a model's
  proposals as data. The batch form of rolling means is O(T window), the window being a constant.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import torch
from torch import BoolTensor, Tensor, nn

from assay.methods.activations import Intervention, intervene
from assay.methods.interpretability._probe_cascade import (
    Frontier,
    Mixture,
    Policy,
    measure,
    threshold_randomised_optimal,
)
from assay.methods.interpretability._probe_models import (
    AttentionProbe,
    LinearProbe,
    MultiMaxProbe,
    Probe,
    RollingMeansAttentionProbe,
    State,
    keep_where,
)
from assay.methods.interpretability._probe_reading import padded, read_texts
from assay.methods.interpretability._probe_search import Design, DesignedProbe, Tried, evolve_probes, parse_design
from assay.methods.interpretability._probe_training import (
    MAKE,
    ProbeData,
    Trained,
    choose_threshold,
    load_probe,
    save_probe,
    score_all,
    train_probe,
    weighted_error,
)

__all__ = [
    "MAKE",
    "AttentionProbe",
    "Design",
    "DesignedProbe",
    "Frontier",
    "LinearProbe",
    "Mixture",
    "MultiMaxProbe",
    "Policy",
    "Probe",
    "ProbeData",
    "ProbeMonitor",
    "RollingMeansAttentionProbe",
    "Trained",
    "Tried",
    "choose_threshold",
    "evolve_probes",
    "load_probe",
    "measure",
    "padded",
    "parse_design",
    "read_texts",
    "save_probe",
    "score_all",
    "threshold_randomised_optimal",
    "train_probe",
    "weighted_error",
]


class ProbeMonitor:
    """Scores a model's states while it generates; within `with` every forward pass adds its tokens.

    stop_on   give the monitor to `generate(stopping_criteria=[monitor])` and a row ends once its score is that high

    `scores` (B,) is the score of what was read so far. A batch of another size, or `reset()`, starts anew.
    """

    def __init__(self, model: nn.Module, probe: Probe, layer: int, stop_on: float | None = None) -> None:
        self.model, self.probe, self.layer, self.stop_on = model, probe, layer, stop_on
        self.state: State | None = None
        self._hooks: AbstractContextManager[None] | None = None

    @property
    def scores(self) -> Tensor:
        """(B,) logits. Raises ValueError before anything was read."""
        if self.state is None:
            raise ValueError("scores: nothing was read yet")
        return self.probe.score(self.state)

    def reset(self) -> None:
        """Forget what was read."""
        self.state = None

    def __enter__(self) -> ProbeMonitor:
        self.reset()
        self._hooks = intervene(self.model, [Intervention(self.layer, self._watch)])
        self._hooks.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hooks is not None:
            self._hooks.__exit__(kind, error, trace)

    def __call__(self, input_ids: Tensor, scores: Tensor | None = None, **_: Any) -> BoolTensor:
        """Which rows have reached `stop_on`, as `generate` asks of a stopping criterion."""
        if self.stop_on is None:
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]
        return (self.scores >= self.stop_on).to(input_ids.device)  # type: ignore[return-value]

    @torch.no_grad()
    def _watch(self, h: Tensor, mask: BoolTensor) -> Tensor:
        states = h.to(next(self.probe.parameters()).dtype)
        if self.state is None or len(self.state[0]) != len(h):
            self.state = self.probe.init_state(len(h))
        for j in range(h.shape[1]):
            self.state = keep_where(mask[:, j], self.probe.step(self.state, states[:, j]), self.state)
        return h
