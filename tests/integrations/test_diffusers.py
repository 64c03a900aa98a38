import runpy
from pathlib import Path

import pytest
import torch
from diffusers import (
    DiTTransformer2DModel,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)

from assay.integrations.diffusers import StableVSFlowMatchScheduler, StableVSUniPC
from assay.methods.generation.stable_velocity import AlignmentHead, MemoryBank, Recipe, StableVMLoss, stable_schedule

EXAMPLE = Path(__file__).parents[2] / "examples" / "stable_velocity_diffusers.py"
WAN = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}


def gaussian_velocity(x, t, mean=1.5, std=0.3):
    """Exact velocity of one-dimensional data N(mean, std^2); its flow maps noise z to mean + std z."""
    gain = (x - (1 - t) * mean) / ((1 - t) ** 2 * std**2 + t**2)
    return t * gain - (mean + (1 - t) * std**2 * gain)


def run(scheduler, **kwargs):
    """End points of a scheduler on the exact field, as a pipeline would call it."""
    scheduler.set_timesteps(**kwargs)
    x = torch.linspace(-2, 2, 9)[:, None]
    for i, t in enumerate(scheduler.timesteps):
        x = scheduler.step(gaussian_velocity(x, scheduler.sigmas[i]), t, x, return_dict=False)[0]
    return x


def test_from_config_keeps_the_pipelines_settings_and_takes_its_own():
    parent = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_shift=0.6, max_shift=1.2)
    scheduler = StableVSFlowMatchScheduler.from_config(parent.config, low_steps=4)
    assert scheduler.config.use_dynamic_shifting and scheduler.config.base_shift == 0.6
    assert (scheduler.config.low_split, scheduler.config.low_steps, scheduler.config.low_noise) == (0.85, 4, 0.0)
    again = StableVSFlowMatchScheduler.from_config(scheduler.config)
    assert dict(again.config) | {"_use_default_values": 0} == dict(scheduler.config) | {"_use_default_values": 0}
    back = FlowMatchEulerDiscreteScheduler.from_config(scheduler.config)
    assert back.config.base_shift == 0.6


@pytest.mark.parametrize("kind", [StableVSFlowMatchScheduler, StableVSUniPC])
def test_saving_and_loading_keeps_every_key(kind, tmp_path):
    given = WAN if kind is StableVSUniPC else {"shift": 3.0}
    kind(low_split=0.7, low_steps=5, low_noise=0.1, **given).save_pretrained(tmp_path)
    loaded = kind.from_pretrained(tmp_path)
    assert all(loaded.config[key] == value for key, value in given.items())
    assert (loaded.config.low_split, loaded.config.low_steps, loaded.config.low_noise) == (0.7, 5, 0.1)


def test_the_schedule_is_the_parents_shortened_under_dynamic_shift_and_custom_sigmas():
    parent = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    scheduler = StableVSFlowMatchScheduler.from_config(parent.config)
    sigmas = torch.linspace(1, 1 / 28, 28).tolist()
    for kwargs in ({"num_inference_steps": 30, "mu": 1.15}, {"sigmas": sigmas, "mu": 0.8}):
        parent.set_timesteps(**kwargs)
        scheduler.set_timesteps(**kwargs)
        expected = stable_schedule(parent.sigmas.tolist(), 0.85, 9)
        assert scheduler.sigmas.tolist() == expected
        assert scheduler.timesteps.tolist() == pytest.approx([1000 * sigma for sigma in expected[:-1]])
        assert len(scheduler.timesteps) < len(parent.timesteps)
    with pytest.raises(ValueError, match="mu"):
        scheduler.set_timesteps(30)


def test_thirty_steps_become_twenty_at_the_flux_shift():
    scheduler = StableVSFlowMatchScheduler(use_dynamic_shifting=True)
    scheduler.set_timesteps(30, mu=1.15)
    assert len(scheduler.timesteps) == 20


def test_above_the_split_every_step_is_the_parents():
    given = {"num_inference_steps": 20}
    low = StableVSFlowMatchScheduler(shift=3.0, low_split=0.001, low_steps=1)
    with pytest.raises(ValueError, match="low_steps: got 1, wanted 1 to 0"):
        low.set_timesteps(**given)
    whole = StableVSFlowMatchScheduler(shift=3.0, low_split=0.5, low_steps=7)
    parent = FlowMatchEulerDiscreteScheduler(shift=3.0)
    expected = run(parent, **given)
    assert (parent.sigmas[:-1] < 0.5).sum() == 5  # fewer than 7: refused, not clamped
    with pytest.raises(ValueError, match="low_steps: got 7, wanted 1 to 5"):
        run(whole, **given)
    all_kept = StableVSFlowMatchScheduler(shift=3.0, low_split=0.5, low_steps=5)
    torch.testing.assert_close(run(all_kept, **given), expected)


def test_a_shortened_schedule_still_brings_noise_to_the_data():
    ends = run(StableVSFlowMatchScheduler(shift=3.0), num_inference_steps=60)
    assert (ends - (1.5 + 0.3 * torch.linspace(-2, 2, 9)[:, None])).abs().max() < 0.2


def test_unipc_runs_above_the_split_and_the_closed_form_below():
    given = {"num_inference_steps": 30}
    parent = UniPCMultistepScheduler(**WAN)
    scheduler = StableVSUniPC.from_config(parent.config, low_split=0.3)
    parent.set_timesteps(**given)
    with pytest.raises(ValueError, match="low_steps"):
        scheduler.set_timesteps(**given)
    low = int((parent.sigmas[:-1] < 0.3).sum())
    scheduler = StableVSUniPC.from_config(parent.config, low_split=0.3, low_steps=low)
    exact = 1.5 + 0.3 * torch.linspace(-2, 2, 9)[:, None]
    euler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    assert (run(scheduler, **given) - exact).abs().max() < (run(euler, **given) - exact).abs().max()
    assert len(scheduler.timesteps) == 30


def test_unipcs_own_steps_do_not_change_above_the_split():
    parent, scheduler = UniPCMultistepScheduler(**WAN), StableVSUniPC(low_split=0.5, low_steps=1, **WAN)
    parent.set_timesteps(20)
    scheduler.set_timesteps(20)
    x = y = torch.linspace(-2, 2, 9)[:, None]
    for i in range(len(scheduler.timesteps) - 1):  # the last of these leaves the high part
        assert scheduler.sigmas[i] == parent.sigmas[i]
        x = parent.step(gaussian_velocity(x, parent.sigmas[i]), parent.timesteps[i], x).prev_sample
        y = scheduler.step(gaussian_velocity(y, scheduler.sigmas[i]), scheduler.timesteps[i], y).prev_sample
        torch.testing.assert_close(x, y)


def test_noise_follows_the_generator():
    scheduler = StableVSFlowMatchScheduler(shift=3.0, low_noise=0.5)
    scheduler.set_timesteps(30)
    x, t = torch.zeros(4, 1), scheduler.timesteps[-3]
    moved = []
    for seed in (0, 0, 1):
        scheduler.set_timesteps(30)
        draws = torch.Generator().manual_seed(seed)
        moved.append(scheduler.step(torch.ones_like(x), t, x, generator=draws).prev_sample)
    assert torch.equal(moved[0], moved[1]) and not torch.equal(moved[0], moved[2])


def test_unsupported_settings_are_refused():
    with pytest.raises(ValueError, match="invert_sigmas: got True"):
        StableVSFlowMatchScheduler(invert_sigmas=True)
    with pytest.raises(ValueError, match="prediction_type: got 'epsilon', wanted 'flow_prediction'"):
        StableVSUniPC()
    with pytest.raises(ValueError, match="final_sigmas_type"):
        StableVSUniPC(final_sigmas_type="sigma_min", **WAN)
    with pytest.raises(ValueError, match=r"low_split: got 1\.2"):
        StableVSFlowMatchScheduler(low_split=1.2)
    with pytest.raises(ValueError, match="low_steps: got 0"):
        StableVSFlowMatchScheduler(low_steps=0)
    with pytest.raises(ValueError, match="low_noise: got 2"):
        StableVSFlowMatchScheduler(low_noise=2)
    scheduler = StableVSFlowMatchScheduler(shift=3.0)
    scheduler.set_timesteps(30)
    with pytest.raises(ValueError, match="integer indices"):
        scheduler.step(torch.zeros(1, 1), 3, torch.zeros(1, 1))
    with pytest.raises(ValueError, match="per_token_timesteps"):
        scheduler.step(torch.zeros(1, 1), scheduler.timesteps[-1], torch.zeros(1, 1), per_token_timesteps=torch.ones(1))


def test_a_flux_pipeline_takes_fewer_steps_and_ends_near_where_it_would_have():
    example = runpy.run_path(str(EXAMPLE))
    pipe = example["tiny_flux"]()
    calls = []
    pipe.transformer.register_forward_hook(lambda *_: calls.append(1))
    usual = example["draw"](pipe, 30)
    assert len(calls) == 30
    pipe.scheduler = StableVSFlowMatchScheduler.from_config(pipe.scheduler.config, low_split=0.7, low_steps=5)
    calls.clear()
    shortened = example["draw"](pipe, 30)
    assert len(calls) == len(pipe.scheduler.timesteps) < 30
    assert shortened.shape == usual.shape and torch.isfinite(shortened).all()
    assert (shortened - usual).square().mean() < 0.1 * usual.square().mean()


def test_a_wan_pipeline_takes_fewer_steps():
    torch.manual_seed(0)
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        text_dim=32,
        freq_dim=32,
        ffn_dim=32,
        num_layers=1,
        rope_max_seq_len=32,
    )
    scheduler = StableVSUniPC.from_config(UniPCMultistepScheduler(**WAN).config, low_split=0.7, low_steps=3)
    pipe = WanPipeline(tokenizer=None, text_encoder=None, vae=None, transformer=transformer, scheduler=scheduler)
    pipe.set_progress_bar_config(disable=True)
    calls = []
    transformer.register_forward_hook(lambda *_: calls.append(1))
    frames = pipe(
        prompt_embeds=torch.randn(1, 8, 32),
        height=16,
        width=16,
        num_frames=5,
        num_inference_steps=20,
        guidance_scale=1.0,
        output_type="latent",
    ).frames
    assert len(calls) == len(scheduler.timesteps) < 20
    assert torch.isfinite(frames).all()


def test_the_full_size_recipe_builds_without_allocating():
    recipe = Recipe()
    channels, size, _ = recipe.latent_shape
    with torch.device("meta"):
        model = DiTTransformer2DModel(
            num_attention_heads=recipe.heads,
            attention_head_dim=recipe.head_dim,
            in_channels=channels,
            out_channels=channels,
            num_layers=recipe.layers,
            sample_size=size,
            patch_size=recipe.patch,
            num_embeds_ada_norm=recipe.num_classes,
        )
        bank = MemoryBank(recipe.num_classes, recipe.bank_per_class, feature_shape=recipe.latent_shape, device="meta")
        loss = StableVMLoss(bank, recipe.split, recipe.label_dropout)
        head = AlignmentHead(recipe.heads * recipe.head_dim, 768)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(675e6, rel=0.15)  # SiT-XL/2
    assert loss.split == 0.5 and head[0].in_features == 1152
