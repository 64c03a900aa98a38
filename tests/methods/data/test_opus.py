"""OPUS: factored gradients against autograd's, sketches against their promises, geometry against real optimisers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from assay.methods.data._opus_geometry import Diagonal, OptimizerGeometry, Scaled, Turned
from assay.methods.data._opus_ghost import record
from assay.methods.data._opus_sketch import CountSketch, OuterSketch, shares
from assay.methods.data._opus_updates import UpdateSketch, exact_gram, utilities
from assay.methods.data.opus import (
    BoltzmannSampler,
    OPUSSelector,
    ProxySet,
    boltzmann_select,
    last_layers,
    retrieve,
    row_losses,
)
from assay.models.nano import tiny_llama


def small(seed: int = 0) -> nn.Module:
    """Tied embeddings, norms, linear layers."""
    return tiny_llama(hidden=16, layers=2, heads=2, mlp=24, vocabulary=40, context=32, seed=seed)


def batch(rows: int = 5, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 40, (rows, 9), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def by_autograd(model: nn.Module, of: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Each row's gradients, one backward pass a row."""
    found = []
    for row in range(len(of["input_ids"])):
        model.zero_grad()
        row_losses(model, {name: value[row : row + 1] for name, value in of.items()}).sum().backward()
        found.append({name: p.grad.clone() for name, p in model.named_parameters()})
    model.zero_grad()
    return found


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    for step in range(steps):
        row_losses(model, batch(seed=step)).mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_ghosts_are_the_gradients_of_each_row_also_where_weights_are_tied() -> None:
    model, of = small(), batch()
    true = by_autograd(model, of)
    losses, ghosts = record(model, lambda: row_losses(model, of))
    assert set(ghosts.uses) == set(true[0])
    assert len(ghosts.uses["model.embed_tokens.weight"]) == 2, "embedding and head share a table"
    assert losses == pytest.approx(row_losses(model, of).detach())
    direction = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    for name in ghosts.uses:
        rows = torch.stack([one[name] for one in true])
        torch.testing.assert_close(ghosts.rows(name), rows, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(ghosts.total(name), rows.sum(0), atol=1e-6, rtol=1e-4)
        flat = rows.flatten(1)
        torch.testing.assert_close(ghosts.gram(name), flat @ flat.T, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(
            ghosts.dot(name, direction[name]), flat @ direction[name].flatten(), atol=1e-5, rtol=1e-4
        )
        torch.testing.assert_close(ghosts.take(torch.tensor([3, 1])).rows(name), rows[[3, 1]], atol=1e-6, rtol=1e-4)
    assert all(p.grad is None for p in model.parameters()), "no parameter's own gradient is touched"


def test_biases_layer_norms_and_other_layers_are_exact_as_well() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(9, 6), nn.LayerNorm(6), nn.Conv1d(4, 3, 2), nn.Flatten(), nn.Linear(15, 1))
    ids = torch.randint(9, (3, 4))
    _, ghosts = record(net, lambda: net(ids).squeeze(1) ** 2)
    for row in range(3):
        net.zero_grad()
        (net(ids[row : row + 1]).squeeze() ** 2).backward()
        for name, p in net.named_parameters():
            torch.testing.assert_close(ghosts.rows(name)[row], p.grad, atol=1e-5, rtol=1e-4)


def test_a_module_that_takes_more_than_one_tensor_is_named() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return (x + y) * self.weight

    net = Two()
    with pytest.raises(ValueError, match="Two has trainable parameters but does not take one tensor"):
        record(net, lambda: net(torch.ones(3, 2), torch.ones(3, 2)).sum(1))


def test_a_count_sketch_is_unbiased_and_its_variance_is_bounded() -> None:
    draw = np.random.default_rng(0)
    x, y = (torch.tensor(draw.standard_normal(200), dtype=torch.float32) for _ in range(2))
    y = y + 0.5 * x
    m = 32
    found = torch.stack([(s(x) * s(y)).sum() for s in (CountSketch(200, m, seed) for seed in range(4000))])
    bound = float((x.norm() ** 2 * y.norm() ** 2 + (x @ y) ** 2) / m)
    assert float(found.mean()) == pytest.approx(float(x @ y), abs=4 * math.sqrt(bound / 4000))
    assert float(found.var()) < 1.1 * bound
    assert float(found.var()) > 0.5 * bound, "else the test would say nothing"


def test_the_sketch_of_an_outer_product_is_unbiased() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 5, 6), torch.randn(2, 5, 7)
    whole = torch.einsum("bto,bti->boi", b, a).flatten(1)
    found = []
    for seed in range(0, 8000, 2):
        short = OuterSketch(7, 6, 64, seed)(b, a)
        found.append((short[0] * short[1]).sum())
    error = float(whole[0].norm() * whole[1].norm()) * math.sqrt(3 / 64 / len(found))
    assert float(torch.stack(found).mean()) == pytest.approx(float(whole[0] @ whole[1]), abs=4 * error)


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 5000), min_size=1, max_size=8), st.integers(1, 9000))
def test_every_parameter_gets_places_and_none_more_than_it_has_numbers(sizes: dict[str, int], total: int) -> None:
    given_out = shares(sizes, total)
    assert all(min(sizes[name], 64) <= given_out[name] <= sizes[name] for name in sizes)


def test_the_geometry_of_adamw_is_what_its_next_update_does_with_a_small_gradient() -> None:
    model = small()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
    assert all(isinstance(m, Scaled) for m in OptimizerGeometry.from_optimizer(optimizer, model).maps.values())
    trained(model, optimizer)
    geometry = OptimizerGeometry.from_optimizer(optimizer, model)
    name, p = next(iter(model.named_parameters()))
    state = optimizer.state[p]
    corrected = state["exp_avg_sq"] / (1 - 0.999 ** float(state["step"]))
    g = torch.randn_like(p)
    torch.testing.assert_close(geometry.maps[name](g), 0.1 * g / (corrected.sqrt() + 1e-8))
    assert isinstance(geometry.maps[name], Diagonal)


def test_the_geometry_of_muon_turns_its_momentum_into_its_update() -> None:
    model = small()
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.dim() < 2 or "embed" in name]
    muon, adamw = torch.optim.Muon(matrices, lr=0.02, weight_decay=0), torch.optim.AdamW(others, lr=0.002)
    for step in range(2):
        row_losses(model, batch(seed=step)).mean().backward()
        muon.step(), adamw.step()
        muon.zero_grad(), adamw.zero_grad()
    geometry = OptimizerGeometry.from_optimizer([muon, adamw], model)
    for name, p in model.named_parameters():
        if isinstance(geometry.maps[name], Turned):
            update = geometry.maps[name](muon.state[p]["momentum_buffer"])
            singular = torch.linalg.svdvals(update)
            assert singular[: len(singular) // 2].min() > 0.6, "the larger half of directions is levelled"
            assert singular.max() < 1.3
            assert torch.linalg.svdvals(muon.state[p]["momentum_buffer"]).max() < 0.5
    embed = geometry.maps["model.embed_tokens.weight"]
    assert isinstance(embed, Diagonal)
    ratio = (
        embed.weights / OptimizerGeometry.from_optimizer(adamw, nn.ParameterDict({"p": others[0]})).maps["p"].weights
    )
    torch.testing.assert_close(ratio, torch.full_like(ratio, 0.1))  # learning rates: 0.002 beside 0.02


@pytest.mark.parametrize("kind", ["sgd", "adamw", "muon"])
def test_utilities_and_products_are_those_of_the_updates_themselves(kind: str) -> None:
    model, of = small(), batch()
    optimizers = {
        "sgd": lambda: [torch.optim.SGD(model.parameters(), lr=0.1)],
        "adamw": lambda: [torch.optim.AdamW(model.parameters(), lr=1e-3)],
        "muon": lambda: [
            torch.optim.Muon([p for n, p in model.named_parameters() if "proj" in n], lr=1e-3),
            torch.optim.AdamW([p for n, p in model.named_parameters() if "proj" not in n], lr=1e-3),
        ],
    }[kind]()
    for one in optimizers:
        trained(model, one, 2)
    geometry = OptimizerGeometry.from_optimizer(optimizers, model)
    updates = [{n: geometry.maps[n](g) for n, g in row.items()} for row in by_autograd(model, of)]
    flat = torch.stack([torch.cat([u.flatten() for u in row.values()]) for row in updates])
    _, ghosts = record(model, lambda: row_losses(model, of))
    direction = {n: torch.randn_like(p) for n, p in model.named_parameters()}
    along = torch.cat([direction[n].flatten() for n in updates[0]])
    torch.testing.assert_close(utilities(ghosts, geometry, direction), flat @ along, atol=1e-3, rtol=1e-3)
    exact = flat @ flat.T
    torch.testing.assert_close(exact_gram(ghosts, geometry), exact, atol=1e-4 * float(exact.max()), rtol=1e-3)
    sketched = torch.stack([UpdateSketch(1024, seed).gram(ghosts, geometry) for seed in range(0, 200_000, 5000)])
    spread = float(exact.diagonal().max()) * 0.2
    torch.testing.assert_close(sketched.mean(dim=0), exact, atol=spread, rtol=0.0)


def test_a_low_temperature_takes_the_best_and_a_high_one_any() -> None:
    utility = torch.tensor([0.1, 3.0, -1.0, 2.0, 0.0])
    assert boltzmann_select(utility, 3, 1e-9).tolist() == [1, 3, 0]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([boltzmann_select(utility, 2, math.inf, generator) for _ in range(3000)])
    share = torch.bincount(drawn.flatten(), minlength=5) / 6000
    assert share.tolist() == pytest.approx([0.2] * 5, abs=0.03)


def test_what_is_like_a_chosen_row_is_put_off() -> None:
    utility = torch.tensor([3.0, 2.9, 1.0, 0.9])
    alike = torch.eye(4)
    alike[0, 1] = alike[1, 0] = 1.0
    assert boltzmann_select(utility, 2, 1e-9, gram=alike, redundancy=0.0).tolist() == [0, 1]
    assert boltzmann_select(utility, 2, 1e-9, gram=alike, redundancy=5.0).tolist() == [0, 2]


@settings(max_examples=40)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.integers(0, 100), st.floats(0.05, 50))
def test_a_selection_has_no_row_twice_and_none_without_a_loss(
    values: list[float], seed: int, temperature: float
) -> None:
    utility = torch.tensor([*values, -math.inf])
    keep = len(utility)
    chosen = boltzmann_select(utility, keep, temperature, torch.Generator().manual_seed(seed)).tolist()
    assert sorted(chosen) == list(range(len(values)))


def test_the_selector_prefers_candidates_that_are_like_the_proxy() -> None:
    model = small()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    like = torch.arange(5, 14).repeat(16, 1)  # the proxy counts up; others are noise
    noise = torch.randint(3, 40, (16, 9), generator=torch.Generator().manual_seed(1))
    selector = OPUSSelector(model, optimizer, ProxySet(like), keep=8, temperature=0.1, redundancy=0.0)
    taken = 0
    for _ in range(6):
        rows = selector.select({"input_ids": torch.cat([like, noise])})
        taken += int((rows < 16).sum())
        row_losses(model, {"input_ids": torch.cat([like, noise])[rows]}).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert taken >= 44, "of 48"
    assert selector.overhead().scoring > 0
    assert 0 < selector.overhead().share < math.inf


def test_a_row_whose_loss_is_not_finite_is_left_out_and_counted() -> None:
    class Fails(nn.Module):
        """A model whose second row blows up."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = small()

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> object:
            out = self.inner(input_ids=input_ids, attention_mask=attention_mask)
            factor = torch.ones(len(input_ids), 1, 1)
            factor[1] = math.nan
            out.logits = out.logits * factor
            return out

    model = Fails()
    optimizer = torch.optim.AdamW(model.parameters())
    selector = OPUSSelector(model, optimizer, ProxySet(batch(seed=9)["input_ids"]), keep=5, proxy_rows=3)
    chosen = selector.select({"input_ids": batch()["input_ids"]})
    assert sorted(chosen.tolist()) == [0, 2, 3, 4]
    assert selector.dropped == 1
    assert all(bool(d.isfinite().all()) for d in selector.direction.values())


def test_scoring_by_the_last_layers_alone_reads_only_those() -> None:
    model = small()
    names = last_layers(model, 1)
    assert names
    assert all("layers.1" in name for name in names)
    _, ghosts = record(model, lambda: row_losses(model, batch()), names)
    assert all("layers.1" in name for name in ghosts.uses)
    selector = OPUSSelector(
        model, torch.optim.SGD(model.parameters(), lr=1), ProxySet(torch.ones(2, 4).long()), 2, modules=names
    )
    assert len(selector.select(batch())) == 2


def test_sampling_by_scores_takes_no_place_twice_and_the_better_more_often() -> None:
    sampler = BoltzmannSampler(torch.tensor([0.0, 0.0, 0.0, 5.0]), 2, temperature=0.5, seed=1)
    rounds = [list(sampler) for _ in range(200)]
    assert all(len(set(one)) == 2 for one in rounds)
    assert sum(3 in one for one in rounds) > 190
    assert len(torch.utils.data.DataLoader(torch.arange(4), sampler=sampler)) == 2


def test_a_proxy_set_can_be_retrieved_by_nearness_to_a_benchmark() -> None:
    from assay.methods.text_index import hash_embed

    corpus = ["red apples and pears", "the moon landing", "green pears", "tax law"]
    assert sorted(retrieve(corpus, ["apples", "pears"], 2, hash_embed)) == [0, 2]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: boltzmann_select(torch.zeros(3), 4), "keep: got 4, wanted at most 3"),
        (lambda: boltzmann_select(torch.zeros(3), 2, 0.0), "temperature: got 0.0"),
        (lambda: boltzmann_select(torch.zeros(3), 2, redundancy=-1), "redundancy: got -1"),
        (lambda: ProxySet(torch.zeros(0, 4).long()), "proxy: got shape"),
        (lambda: ProxySet(torch.zeros(2, 4).long(), torch.ones(2, 3)), "attention_mask: got shape"),
        (lambda: selector().select({"input_ids": torch.ones(2, 4).long()}), "keep: got 3, wanted at most the 2"),
        (lambda: selector(geometry="adam"), "geometry: got 'adam'"),
        (lambda: selector(momentum=1.0), "momentum: got 1.0"),
        (lambda: selector(modules=["nowhere"]).select(batch()), "modules: got 'nowhere'"),
        (
            lambda: OptimizerGeometry.from_optimizer(torch.optim.SGD([nn.Parameter(torch.ones(1))]), small()),
            "does not hold",
        ),
        (
            lambda: OptimizerGeometry.from_optimizer(torch.optim.Adagrad(small(1).parameters()), small()),
            "does not hold",
        ),
        (lambda: CountSketch(0, 4, 0), "dim_in, dim_out: got 0, 4"),
        (lambda: CountSketch(3, 4, 0)(torch.ones(5)), "x: got a last axis of 5"),
        (lambda: retrieve(["a"], ["b"], 2, None), "k: got 2, wanted 1 to 1"),
        (lambda: BoltzmannSampler(torch.ones(2), 3), "n: got 3"),
        (lambda: last_layers(small(), 9), "n: got 9, wanted 1 to 2"),
    ],
)
def test_wrong_input_is_named(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()  # type: ignore[operator]


def test_an_optimiser_of_another_kind_is_refused() -> None:
    model = small()
    with pytest.raises(ValueError, match="got Adagrad, wanted AdamW, Adam, Muon or SGD"):
        OPUSSelector(model, torch.optim.Adagrad(model.parameters()), ProxySet(torch.ones(2, 4).long()))


def selector(**settings: object) -> OPUSSelector:
    model = small()
    return OPUSSelector(model, torch.optim.AdamW(model.parameters()), ProxySet(torch.ones(2, 4).long()), 3, **settings)  # type: ignore[arg-type]
