"""From Directions to Regions: Decomposing Activations in Language Models via Local Geometry (2602.02464).

A layer's states are read as a mixture of factor analysers: K regions, each with a centroid and q directions of its own.
A state is then which region it lies in and where inside it, and it can be moved to a region, or within one.

    fit = fit_mfa(states, regions=1000, rank=10)               # states (N, D)
    code = fit.mfa.encode(states)                              # which region, which place, what dictionary
    with intervene(model, [MFASteerer(model, fit.mfa, layer=12).centroid(17, alpha=0.3)]): ...

Details that matter
- What it costs: O(B K D q) a batch; 1,000 regions of rank 10 hold as many numbers as 11,000 directions.
- When it does not help: attributes that vary freely of one another in one cloud need as many directions there as they
  have values, and a region has only q; a dictionary of global directions shares them among all states.
- Default metric of the k-means is euclidean; its centroids are means of clusters in the full space for both metrics.
- Data are centred and brought to unit spread before the fit and the mixture is put back into their units after it, so
  that one learning rate fits all models. The noise starts at what k-means leaves over.
- `method="em"` (Ghahramani and Hinton 1996) is ours: few rounds do what many epochs of gradient steps do.
- The place of a state is its posterior mean, not scaled by alpha where one steers by it (`MFASteerer.latent`).
- Our reading: features are localised by the spread between classes that they can move (`rank_features`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from assay.methods.interpretability._mfa_density import MFA, Encoded
from assay.methods.interpretability._mfa_fit import Fit, fit_mfa, init_projected_kmeans
from assay.methods.interpretability._mfa_regions import Region, describe, neighbours
from assay.methods.interpretability._mfa_steering import (
    Code,
    Localisation,
    MFASteerer,
    at_random,
    interchange,
    localise,
    mfa_code,
    rank_features,
)

__all__ = [
    "MFA",
    "Code",
    "Encoded",
    "Fit",
    "Localisation",
    "MFADecomposition",
    "MFASteerer",
    "Region",
    "at_random",
    "describe",
    "fit_mfa",
    "init_projected_kmeans",
    "interchange",
    "localise",
    "mfa_code",
    "neighbours",
    "rank_features",
]


class MFADecomposition(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A mixture of factor analysers as scikit-learn knows estimators.

    n_components, rank   K and q
    method, epochs, lr   as in `fit_mfa`; few rows want method="em"
    random_state         seed of the fit

    After `fit`, `mfa_` is the mixture; `transform` gives coefficients (N, K(1+q)) and `inverse_transform` states.
    """

    def __init__(
        self,
        n_components: int = 2,
        rank: int = 1,
        *,
        method: str = "em",
        epochs: int = 20,
        lr: float = 1e-2,
        random_state: int = 0,
    ) -> None:
        self.n_components, self.rank = n_components, rank
        self.method, self.epochs, self.lr, self.random_state = method, epochs, lr, random_state

    def fit(self, X: ArrayLike, y: object = None) -> MFADecomposition:
        """Fit to rows (N, D); all of them, none held out."""
        rows = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2, ensure_min_features=2)
        self.fit_ = fit_mfa(
            np.array(rows),
            self.n_components,
            self.rank,
            self.method,  # type: ignore[arg-type]
            self.epochs,
            self.lr,
            val=0.0,
            seed=self.random_state,
        )
        self.mfa_ = self.fit_.mfa
        self.n_iter_ = len(self.fit_.train)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Coefficients (N, K(1+q)): responsibilities, and responsibilities times places."""
        rows = self._rows(X)
        return self._own(self.mfa_.encode(rows).coeffs)

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """States (N, D) of coefficients (N, K(1+q))."""
        check_is_fitted(self)
        coeffs = torch.as_tensor(np.asarray(X), dtype=self.mfa_.centroids.dtype)
        return self._own(coeffs @ self.mfa_.encode(self.mfa_.centroids[:1]).dictionary.T)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """The likeliest region of each row, (N,)."""
        rows = self._rows(X)
        labels: NDArray[np.int64] = self.mfa_.responsibilities(rows).argmax(1).numpy()
        return labels

    def score_samples(self, X: ArrayLike) -> NDArray[np.floating]:
        """Log density of each row, (N,), in nats."""
        rows = self._rows(X)
        return self._own(self.mfa_.log_prob(rows))

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean log density, nats a row."""
        return float(self.score_samples(X).mean())

    def _rows(self, X: ArrayLike) -> torch.Tensor:
        check_is_fitted(self)
        return torch.from_numpy(np.array(validate_data(self, X, dtype=[np.float64, np.float32], reset=False)))

    @staticmethod
    def _own(values: torch.Tensor) -> NDArray[np.floating]:
        found: NDArray[np.floating] = values.detach().numpy()
        return found
