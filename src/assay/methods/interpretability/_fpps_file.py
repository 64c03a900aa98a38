"""A fitted FPPS as one safetensors file (fpps)."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

from assay.methods.interpretability._fpps_prober import FactualityProber
from assay.methods.interpretability.fpps import FPPS

SCHEMA = "assay.fpps/1"
_TENSORS = ("mean", "scale", "weight")


def save(path: Path, fpps: FPPS) -> None:
    """Write the tensors, and everything else as metadata."""
    from safetensors.torch import save_file

    prober = fpps.prober
    plain = {f.name: getattr(fpps, f.name) for f in fields(fpps) if f.name not in ("prober", "direction")}
    plain |= {"bias": prober.bias, "auroc": prober.auroc, "single_pass": prober.single_pass}
    tensors = {name: getattr(prober, name).contiguous() for name in _TENSORS} | {
        "direction": fpps.direction.contiguous()
    }
    save_file(tensors, path, metadata={"schema": SCHEMA, "fpps": json.dumps(plain)})


def load(path: Path) -> FPPS:
    """What `save` wrote. Raises ValueError for another file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("schema") != SCHEMA:
                raise ValueError("another schema")
            tensors = {name: file.get_tensor(name) for name in (*_TENSORS, "direction")}
    except (SafetensorError, ValueError, OSError) as error:
        raise ValueError(f"{path}: not a file of the form {SCHEMA}") from error
    plain = json.loads(metadata["fpps"])
    told = {name: plain.pop(name) for name in ("bias", "auroc", "single_pass")}
    prober = FactualityProber(**{name: tensors[name] for name in _TENSORS}, **told)
    return FPPS(prober=prober, direction=tensors["direction"], **plain)
