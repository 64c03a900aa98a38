import pytest
import torch

from assay.models.generators import MLPVelocity


def test_it_returns_a_velocity_of_the_shape_of_its_input_and_hears_time_and_class():
    torch.manual_seed(0)
    model = MLPVelocity((1, 4, 4), width=16, blocks=2, num_classes=3)
    x, labels = torch.randn(5, 1, 4, 4), torch.tensor([0, 1, 2, 3, 3])  # 3 stands for none
    early, late = model(x, torch.full((5,), 0.1), labels), model(x, torch.full((5,), 0.9), labels)
    assert early.shape == x.shape
    assert not torch.allclose(early, late)
    assert not torch.allclose(early, model(x, torch.full((5,), 0.1), labels.flip(0)))


def test_every_parameter_learns():
    model = MLPVelocity((6,), width=16, blocks=2)
    model(torch.randn(4, 6), torch.rand(4)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_wrong_input_is_named():
    plain, labelled = MLPVelocity((6,), width=8), MLPVelocity((6,), width=8, num_classes=2)
    with pytest.raises(ValueError, match=r"x: got \(2, 5\), wanted \(B, 6\)"):
        plain(torch.zeros(2, 5), torch.zeros(2))
    with pytest.raises(ValueError, match="cond: got labels, wanted no labels"):
        plain(torch.zeros(2, 6), torch.zeros(2), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="cond: got none, wanted labels"):
        labelled(torch.zeros(2, 6), torch.zeros(2))
