"""Tells from a model's states whether the user's history does an answer harm (fpps)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
FEWEST = 20  # harmed examples


@dataclass(frozen=True)
class FactualityProber:
    """Logistic regression on z-scored [h_u ; h_u - h_0] at the end of the prompt (`single_pass`: on h_u alone).

    `auroc` is that of a stratified 5-fold cross-validation on the training states.
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: float
    auroc: float
    single_pass: bool = False

    def risk(self, h_u: Tensor, h_0: Tensor | None = None) -> Floats:
        """The chance (N,) that the history does harm, from states (N, D)."""
        x = features(h_u, h_0, self.single_pass)
        if x.shape[1] != len(self.weight):
            raise ValueError(f"h_u: got {h_u.shape[1]} features, the prober expects states of another width")
        logits = ((x - self.mean) / self.scale) @ self.weight + self.bias
        return np.asarray(torch.sigmoid(logits).double().numpy())


def features(h_u: Tensor, h_0: Tensor | None, single_pass: bool) -> Tensor:
    """(N, D) or (N, 2 D) in float32."""
    if single_pass:
        return h_u.float()
    if h_0 is None or h_0.shape != h_u.shape:
        raise ValueError(f"h_0: got {None if h_0 is None else tuple(h_0.shape)}, wanted {tuple(h_u.shape)}")
    return torch.cat([h_u, h_u - h_0], dim=1).float()


def fit_prober(
    h_u: Tensor, h_0: Tensor, harmed: NDArray[Any], *, single_pass: bool = False, seed: int = 0
) -> FactualityProber:
    """scikit-learn's LogisticRegression(C=1, balanced) on the states; raises ValueError below 20 harmed examples."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.asarray(harmed, dtype=bool)
    if labels.sum() < FEWEST or (~labels).sum() < FEWEST:
        raise ValueError(f"harmed: got {labels.sum()} of {len(labels)}, wanted at least {FEWEST} of each kind")
    x = features(h_u, h_0, single_pass).numpy()
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    chances = cross_val_predict(fitted, x, labels, cv=folds, method="predict_proba")[:, 1]
    scaler, regression = fitted.fit(x, labels)
    return FactualityProber(
        torch.tensor(scaler.mean_, dtype=torch.float32),
        torch.tensor(scaler.scale_, dtype=torch.float32),
        torch.tensor(regression.coef_[0], dtype=torch.float32),
        float(regression.intercept_[0]),
        float(roc_auc_score(labels, chances)),
        single_pass,
    )
