"""What Inspect finds through the entry point: the provider of the built-in models."""

from __future__ import annotations

from inspect_ai.model import ModelAPI, modelapi


@modelapi(name="assay")
def assay() -> type[ModelAPI]:
    """`--model assay/nano`; PyTorch is imported when such a model is first asked for."""
    from assay.integrations.inspect.provider import AssayModel

    return AssayModel
