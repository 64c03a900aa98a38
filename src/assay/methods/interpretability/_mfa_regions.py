"""What a region is about: its tokens and contexts, what it would write, how wide it is, which regions lie near it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from assay.methods.interpretability._mfa_density import MFA

WORDS = 8  # shown of each list
CONTEXTS = 6
NEAR = 32  # regions, by distance of centroids, among which neighbours are looked for
BROAD = 0.5  # evenness of the tokens of a region above which it is a topic rather than a token


@dataclass(frozen=True)
class Region:
    """One region, told by the states it is most responsible for.

    weight          share of the mixture
    tokens          (token, share of the region's states) of the commonest
    contexts        texts around the states it is surest of
    writes          tokens that the centroid raises most at the model's output
    directions      of each loading, the tokens that its plus and its minus side raise most
    effective_rank  exp of the entropy of the loadings' variances
    evenness        entropy of its tokens over the greatest possible, 0 (one token) to 1
    local_share     variance along the loadings over all variance of the region
    """

    number: int
    weight: float
    tokens: tuple[tuple[str, float], ...]
    contexts: tuple[str, ...]
    writes: tuple[str, ...]
    directions: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    effective_rank: float
    evenness: float
    local_share: float

    @property
    def kind(self) -> str:
        """ "broad" (many tokens: a topic, a syntax) or "narrow" (few)."""
        return "broad" if self.evenness > BROAD else "narrow"

    @property
    def label(self) -> str:
        """Its commonest tokens, for want of a better name."""
        return " ".join(repr(token) for token, _ in self.tokens[:3])


@torch.no_grad()
def describe(
    mfa: MFA,
    states: Tensor,
    tokens: Sequence[str],
    contexts: Sequence[str],
    unembed: Tensor | None = None,
    vocabulary: Sequence[str] = (),
) -> list[Region]:
    """Every region, heaviest first, from states (N, D), the token that each is of and the text around it.

    unembed, vocabulary   the model's output matrix (V, D) and its V tokens, for the logit lens; without them `writes`
                          and `directions` are empty
    """
    if not len(states) == len(tokens) == len(contexts):
        raise ValueError(
            f"tokens, contexts: got {len(tokens)} and {len(contexts)}, wanted {len(states)}, one for each state"
        )
    if unembed is not None and len(vocabulary) != len(unembed):
        raise ValueError(f"vocabulary: got {len(vocabulary)} tokens, wanted {len(unembed)}, one a row of unembed")
    alpha = torch.cat([mfa.responsibilities(chunk) for chunk in states.split(4096)])
    home = alpha.argmax(1)
    psi = mfa.psi.expand(mfa.regions, -1).sum(1)
    found = []
    for k in mfa.weights.argsort(descending=True).tolist():
        own = (home == k).nonzero().flatten()
        surest = own[alpha[own, k].argsort(descending=True, stable=True)[:CONTEXTS]]
        counts = Counter(tokens[i] for i in own.tolist())
        variances = mfa.loadings[k].square().sum(0)
        local = float(torch.linalg.matrix_norm(mfa.loadings[k]).square())
        lens = (lambda v: _lens(unembed, vocabulary, v)) if unembed is not None else (lambda v: ())
        found.append(
            Region(
                k,
                float(mfa.weights[k]),
                tuple((token, n / len(own)) for token, n in counts.most_common(WORDS)),
                tuple(contexts[i] for i in surest.tolist()),
                lens(mfa.centroids[k] - mfa.weights @ mfa.centroids),
                tuple((lens(w), lens(-w)) for w in mfa.loadings[k].T) if unembed is not None else (),
                _effective(variances),
                _evenness(counts),
                local / (local + float(psi[k])),
            )
        )
    return found


@torch.no_grad()
def neighbours(mfa: MFA, count: int = 3) -> list[list[tuple[int, float]]]:
    """For each region its `count` nearest by symmetric Kullback-Leibler divergence (nats), nearest first, looked for
    among the `NEAR` regions with the nearest centroids."""
    if not 1 <= count < mfa.regions:
        raise ValueError(f"count: got {count}, wanted 1 to {mfa.regions - 1}")
    distances = torch.cdist(mfa.centroids, mfa.centroids).fill_diagonal_(float("inf"))
    candidates = distances.topk(min(NEAR, mfa.regions - 1), largest=False).indices
    found = []
    for k, near in enumerate(candidates.tolist()):
        apart = [(other, _divergence(mfa, k, other) + _divergence(mfa, other, k)) for other in near]
        found.append(sorted(apart, key=lambda pair: (pair[1], pair[0]))[:count])
    return found


def _divergence(mfa: MFA, k: int, other: int) -> float:
    """KL(N_k || N_other), with the covariances as W W' + Psi and the inverse of the second by Woodbury."""
    psi = mfa.psi.expand(mfa.regions, -1).double()
    a, b = mfa.loadings[k].double(), mfa.loadings[other].double()
    weighted = b / psi[other].unsqueeze(1)  # Psi^-1 W
    inner = torch.linalg.cholesky(torch.eye(mfa.rank, dtype=b.dtype) + b.T @ weighted)

    def through(columns: Tensor) -> Tensor:  # squared lengths under the inverse covariance of `other`
        half = torch.linalg.solve_triangular(inner, weighted.T @ columns, upper=False)
        return (columns.square() / psi[other].unsqueeze(1)).sum(0) - half.square().sum(0)

    shared = torch.linalg.solve_triangular(inner, weighted.T, upper=False).square().sum(0)
    noise = psi[k] @ (1 / psi[other] - shared)  # tr(C_other^-1 Psi_k)
    gap = (mfa.centroids[k] - mfa.centroids[other]).double().unsqueeze(1)
    total = noise + through(a).sum() + through(gap).sum() - len(a) + _logdet(psi[other], b) - _logdet(psi[k], a)
    return float(total / 2)


def _logdet(psi: Tensor, loadings: Tensor) -> Tensor:
    inner = torch.eye(loadings.shape[1], dtype=psi.dtype) + loadings.T @ (loadings / psi.unsqueeze(1))
    return psi.log().sum() + torch.logdet(inner)


def _lens(unembed: Tensor, vocabulary: Sequence[str], direction: Tensor) -> tuple[str, ...]:
    return tuple(vocabulary[i] for i in (unembed @ direction).topk(min(WORDS, len(vocabulary))).indices.tolist())


def _effective(variances: Tensor) -> float:
    shares = variances / variances.sum().clamp(min=1e-12)
    return float(torch.special.entr(shares).sum().exp())


def _evenness(counts: Counter[str]) -> float:
    if sum(counts.values()) < 2:
        return 0.0
    shares = torch.tensor(list(counts.values()), dtype=torch.float64) / sum(counts.values())
    most = torch.tensor(float(sum(counts.values()))).log()
    return float(torch.special.entr(shares).sum() / most)
