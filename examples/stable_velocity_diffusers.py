"""Put StableVS into a diffusers pipeline: same pipeline, fewer steps.

Runs as it stands, on a Flux pipeline with tiny random weights, to show the plumbing and the number of steps.
For pictures, load real weights instead:

    pipe = FluxPipeline.from_pretrained("black-forest-labs/FLUX.1-dev", torch_dtype=torch.bfloat16)

Where to put `low_split` depends on your model's latents: `assay use stable_velocity variance LATENTS.npy` tells.

    pip install 'assay-papers[generation]'
    python examples/stable_velocity_diffusers.py
"""

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

from assay.integrations.diffusers import StableVSFlowMatchScheduler


def tiny_flux() -> FluxPipeline:
    """A Flux pipeline of some thousand random weights, without text encoders."""
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
    )
    vae = AutoencoderKL(
        block_out_channels=(4,), latent_channels=1, norm_num_groups=1, scaling_factor=1.5, shift_factor=0.06
    )
    pipe = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae,
        transformer=transformer,
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(pipe: FluxPipeline, steps: int) -> torch.Tensor:
    """Latents for one fixed prompt embedding and one fixed noise."""
    generator = torch.Generator().manual_seed(0)
    prompt = torch.randn(1, 8, 32, generator=generator)
    pooled = torch.randn(1, 32, generator=generator)
    return pipe(
        prompt_embeds=prompt,
        pooled_prompt_embeds=pooled,
        height=32,
        width=32,
        num_inference_steps=steps,
        output_type="latent",
        generator=generator,
    ).images


if __name__ == "__main__":
    pipe = tiny_flux()
    usual = draw(pipe, 30)
    print(f"{type(pipe.scheduler).__name__}: {len(pipe.scheduler.timesteps)} steps")

    pipe.scheduler = StableVSFlowMatchScheduler.from_config(pipe.scheduler.config, low_split=0.7, low_steps=5)
    shortened = draw(pipe, 30)
    print(f"{type(pipe.scheduler).__name__}: {len(pipe.scheduler.timesteps)} steps, of 30 asked for")
    print(f"RMS difference of the latents: {(usual - shortened).square().mean().sqrt():.4f}")
