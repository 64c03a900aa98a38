"""Parts for diffusers pipelines.

StableVS (2602.05435) as a drop-in scheduler for flow-matching pipelines (Flux, SD3, Qwen-Image, Wan):

    pipe.scheduler = StableVSFlowMatchScheduler.from_config(pipe.scheduler.config, low_split=0.85, low_steps=9)
    pipe(prompt, num_inference_steps=30)       # 30 is the count before shortening; fewer are taken

Down to `low_split` the parent scheduler steps as ever, with its shift, `mu` and custom sigmas; below it only
`low_steps` of the steps are left, taken in closed form. `len(scheduler.timesteps)` is the number of steps taken.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteSchedulerOutput
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from torch import Tensor

from assay.methods.generation.stable_velocity import kept_steps, stable_step

Init = Callable[..., None]


def _with_keys_of(parent: type) -> Callable[[Init], Init]:
    """Give an `__init__(self, *, own, **inherited)` the parent's parameters in its signature.

    diffusers reads a class's config keys there; so they follow the installed version of the parent.
    """

    def decorate(init: Init) -> Init:
        own = [p for p in inspect.signature(init).parameters.values() if p.kind is not p.VAR_KEYWORD]
        inherited = list(inspect.signature(parent.__init__).parameters.values())[1:]
        keywords = [p.replace(kind=p.KEYWORD_ONLY) for p in inherited]
        init.__signature__ = inspect.Signature([*own, *keywords])  # type: ignore[attr-defined]
        return init

    return decorate


class _StableVS:
    """What both schedulers add to their parent: three config keys, a shorter schedule, the closed-form step."""

    config: Any
    sigmas: Tensor
    timesteps: Tensor

    def _configure(self, low_split: float, low_steps: int, low_noise: float) -> None:
        if not 0 < low_split < 1:
            raise ValueError(f"low_split: got {low_split}, wanted a time in (0, 1)")
        if low_steps < 1:
            raise ValueError(f"low_steps: got {low_steps}, wanted at least 1")
        if not 0 <= low_noise <= 1:
            raise ValueError(f"low_noise: got {low_noise}, wanted a share in [0, 1]")
        self.register_to_config(low_split=low_split, low_steps=low_steps, low_noise=low_noise)  # type: ignore[attr-defined]

    def _shorten(self) -> None:
        """Drop the steps that StableVS skips; both tables are cut alike, whatever shifted them before."""
        kept = kept_steps(self.sigmas.tolist(), self.config.low_split, self.config.low_steps)
        self.sigmas = torch.cat([self.sigmas[kept], self.sigmas[-1:]])
        self.timesteps = self.timesteps[kept]

    def _is_low(self, timestep: Any) -> bool:
        """Whether the step from this timestep is one of the closed-form ones."""
        if self.step_index is None:  # type: ignore[attr-defined]
            if not torch.is_tensor(timestep) and not isinstance(timestep, float):
                return False  # an index instead of a timestep: the parent says what is wrong with it
            self._init_step_index(timestep)  # type: ignore[attr-defined]
        return float(self.sigmas[self.step_index]) < self.config.low_split  # type: ignore[attr-defined]

    def _stable_step(self, model_output: Tensor, sample: Tensor, generator: torch.Generator | None) -> Tensor:
        t, s = (float(sigma) for sigma in self.sigmas[self.step_index : self.step_index + 2])  # type: ignore[attr-defined]
        moved = stable_step(sample.float(), model_output.float(), t, s, self.config.low_noise, generator=generator)
        self._step_index += 1  # type: ignore[attr-defined]
        return moved.to(model_output.dtype)


class StableVSFlowMatchScheduler(_StableVS, FlowMatchEulerDiscreteScheduler):
    """Euler steps down to `low_split`, then `low_steps` closed-form ones (Flux, SD3, Qwen-Image).

    `low_noise` is the share of fresh noise in a low step; 0 makes the step Euler's. Raises ValueError for
    `invert_sigmas`, for per-token timesteps below the split, and, in `set_timesteps`, where fewer than
    `low_steps` steps lie below the split.
    """

    @_with_keys_of(FlowMatchEulerDiscreteScheduler)
    def __init__(
        self, *, low_split: float = 0.85, low_steps: int = 9, low_noise: float = 0.0, **inherited: Any
    ) -> None:
        super().__init__(**inherited)
        self._configure(low_split, low_steps, low_noise)
        if self.config.invert_sigmas:
            raise ValueError("invert_sigmas: got True, wanted False: StableVS runs from noise (1) to data (0)")

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        """The parent's schedule, shortened. `num_inference_steps` counts the steps before that."""
        super().set_timesteps(num_inference_steps, device, sigmas, mu, timesteps)
        self._shorten()

    def step(
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        s_churn: float = 0.0,
        s_tmin: float = 0.0,
        s_tmax: float = float("inf"),
        s_noise: float = 1.0,
        generator: torch.Generator | None = None,
        per_token_timesteps: Tensor | None = None,
        return_dict: bool = True,
    ) -> FlowMatchEulerDiscreteSchedulerOutput | tuple[Tensor]:
        """One step, from `sample` at `timestep` to the next; the signature is the parent's."""
        if not self._is_low(timestep):
            return super().step(
                model_output,
                timestep,
                sample,
                s_churn,
                s_tmin,
                s_tmax,
                s_noise,
                generator,
                per_token_timesteps,
                return_dict,
            )
        if per_token_timesteps is not None:
            raise ValueError("per_token_timesteps: wanted None below low_split; StableVS has one time a batch")
        moved = self._stable_step(model_output, sample, generator)
        return FlowMatchEulerDiscreteSchedulerOutput(prev_sample=moved) if return_dict else (moved,)


class StableVSUniPC(_StableVS, UniPCMultistepScheduler):
    """UniPC down to `low_split`, then `low_steps` closed-form steps (Wan).

    Takes the config of a UniPC scheduler that predicts a flow (`prediction_type="flow_prediction"`,
    `use_flow_sigmas=True`, `final_sigmas_type="zero"`), else ValueError.
    """

    @_with_keys_of(UniPCMultistepScheduler)
    def __init__(
        self, *, low_split: float = 0.85, low_steps: int = 9, low_noise: float = 0.0, **inherited: Any
    ) -> None:
        super().__init__(**inherited)
        self._configure(low_split, low_steps, low_noise)
        wanted = {
            "prediction_type": "flow_prediction",
            "use_flow_sigmas": True,
            "final_sigmas_type": "zero",
            "solver_p": None,
        }
        for key, value in wanted.items():
            if self.config[key] != value:
                raise ValueError(f"{key}: got {self.config[key]!r}, wanted {value!r} for StableVS")

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
    ) -> None:
        """The parent's schedule, shortened. `num_inference_steps` counts the steps before that."""
        super().set_timesteps(num_inference_steps, device, sigmas, mu)
        self._shorten()

    def step(
        self,
        model_output: Tensor,
        timestep: int | Tensor,
        sample: Tensor,
        return_dict: bool = True,
        generator: torch.Generator | None = None,
    ) -> SchedulerOutput | tuple[Tensor]:
        """One step, from `sample` at `timestep` to the next; `generator` draws the noise of a noisy low step."""
        if not self._is_low(timestep):
            return super().step(model_output, timestep, sample, return_dict)
        moved = self._stable_step(model_output, self._corrected(model_output, sample), generator)
        return SchedulerOutput(prev_sample=moved) if return_dict else (moved,)

    def _corrected(self, model_output: Tensor, sample: Tensor) -> Tensor:
        """The first low step asks for the velocity that UniPC's corrector needs to finish its own last step."""
        last, self.last_sample = self.last_sample, None
        if last is None or self.step_index - 1 in self.disable_corrector:
            return sample
        x0 = self.convert_model_output(model_output, sample=sample)
        return self.multistep_uni_c_bh_update(
            this_model_output=x0, last_sample=last, this_sample=sample, order=self.this_order
        )
