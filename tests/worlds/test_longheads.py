import math

import pytest
import torch

from assay.worlds.longheads import HEAD_DIM, SINK_PAIR, LongHeads, output_error, rotate, world


def test_a_slash_puts_its_peak_where_it_says():
    recipe = LongHeads("mixed", (4096,)).sample(1000)
    q, k, _ = recipe.draw(4096)
    number = next(i for i, head in enumerate(recipe.heads) if head.kind == "slash")
    head = recipe.heads[number]
    logits = q[number] @ k[number].T / math.sqrt(HEAD_DIM)
    by_lag = torch.stack([logits.diagonal(-lag).mean() for lag in (head.lag - 300, head.lag, head.lag + 300)])
    assert by_lag.argmax() == 1
    assert abs(by_lag[1] - head.slash) < 2.5  # the sink's and the topics' share of the logit comes on top


def test_rotation_depends_on_distance_alone():
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 16, generator=generator, dtype=torch.float64)

    def product(i, j):
        turned = [rotate(x[None], 10_000.0, torch.tensor([float(at)])) for x, at in ((q, i), (k, j))]
        return (turned[0] * turned[1]).sum().item()

    assert product(9, 2) == pytest.approx(product(1009, 1002), abs=1e-9)
    assert product(0, 0) == pytest.approx((q * k).sum().item())


def test_the_first_key_draws_every_query():
    recipe = LongHeads("mixed", (512,)).sample(3)
    q, k, _ = recipe.draw(512)
    logits = (q[0, :64] @ k[0].T / math.sqrt(HEAD_DIM)).mean(0)
    others = logits[64:].mean()
    assert logits[0] - others > 8
    assert k[0, 0, SINK_PAIR] > 10


def test_a_draw_repeats_and_its_parts_share_the_heads():
    recipe = world(lengths=[256]).sample(7)
    first, again, other = recipe.draw(256), recipe.draw(256), recipe.draw(256, part=1)
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert not torch.equal(first[0], other[0])
    shared = torch.nn.functional.cosine_similarity(first[0][3, 5:60].mean(0), other[0][3, 5:60].mean(0), dim=0)
    assert shared > 0.5, "the slash's vector is the head's, not the draw's"


def test_exact_attention_has_no_error_and_zeros_the_size_of_the_outputs():
    made = LongHeads("mixed", (256,))
    drawn = made.sample(1).draw(256)
    exact = torch.nn.functional.scaled_dot_product_attention(*(x[None] for x in drawn), is_causal=True)[0]
    assert made.check(drawn, exact).max() < 1e-6
    size = (exact.square().mean((1, 2)) / drawn[2].square().mean((1, 2))).sqrt()
    assert torch.allclose(made.check(drawn, torch.zeros_like(exact)), size)
    assert output_error(exact, exact, drawn[2]).tolist() == [0.0] * 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"kind": "odd"}, "kind"), ({"lengths": []}, "lengths"), ({"lengths": [0]}, "lengths"), ({"theta": 1}, "theta")],
)
def test_wrong_arguments_are_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        world(**arguments)
    with pytest.raises(ValueError, match="length"):
        world().sample(0).draw(0)
