"""Show where flow matching on your images or latents is nearly free of noise, so steps can be large (2602.05435)."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.cli.files import replacing
from assay.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from assay.methods.generation.stable_velocity import VarianceEstimate

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def configure(verbs: Any) -> None:
    variance = verbs.add_parser("variance", help="variance of the training target over time, and the low_split")
    variance.add_argument("data", type=Path, metavar="DATA", help=".npy of shape (N, ...), or a folder of images")
    variance.add_argument(
        "--split", default="auto", metavar="auto|T", help="recommend a low_split, or say what lies below T"
    )
    variance.add_argument("--xi", type=float, default=0.05, help="share of the maximum that counts as low (0.05)")
    variance.add_argument("--path", choices=("linear", "cosine"), default="linear", help="from data to noise")
    variance.add_argument("--times", type=int, default=39, help="points of the curve (39)")
    variance.add_argument("--draws", type=int, default=512, help="noised examples a point (512)")
    variance.add_argument("--refs", type=int, default=4096, help="examples used at most, drawn at random (4096)")
    variance.add_argument("--seed", type=int, default=0)
    variance.add_argument("--out", type=Path, default=Path("variance"), help="OUT.csv and OUT.png (variance)")
    variance.add_argument("--json", action="store_true", help="print the curve as JSON")
    variance.set_defaults(run=run_variance)
    recipe = verbs.add_parser("recipe", help="the paper's full-size settings, as YAML")
    recipe.set_defaults(run=run_recipe)


def run_recipe(arguments: argparse.Namespace) -> int:
    import yaml

    from assay.methods.generation.stable_velocity import Recipe

    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(Recipe()).items()}
    print(yaml.safe_dump(plain, sort_keys=False, default_flow_style=None), end="")
    return 0


def run_variance(arguments: argparse.Namespace) -> int:
    chosen = _split(arguments.split)
    for name in ("times", "draws", "refs"):
        if getattr(arguments, name) < 2:
            raise UserError(f"--{name}: got {getattr(arguments, name)}, wanted at least 2")
    data = read_examples(arguments.data)
    if not arguments.out.parent.is_dir():
        raise UserError(f"--out: there is no folder {arguments.out.parent}")

    import matplotlib.figure  # noqa: F401 - where it is missing, better now than after the work
    import numpy as np
    import torch

    from assay.methods.generation.stable_velocity import regime_split, variance_curve

    if len(data) > arguments.refs:
        rows = np.random.default_rng(arguments.seed).choice(len(data), arguments.refs, replace=False)
        data = data[np.sort(rows)]
    refs = torch.from_numpy(np.array(data, dtype=np.float32))
    times = [i / (arguments.times + 1) for i in range(1, arguments.times + 1)]
    generator = torch.Generator().manual_seed(arguments.seed)
    curve = variance_curve(refs, times, n=arguments.draws, path=arguments.path, generator=generator)
    recommended = regime_split(curve, arguments.xi)
    shares = shares_of_maximum(curve)
    written = write_csv(curve, shares, arguments.out), write_png(curve, recommended, arguments.out)
    if arguments.json:
        rows_out = [{**asdict(point), "share": share} for point, share in zip(curve, shares)]
        print(json.dumps({"examples": len(refs), "low_split": recommended, "curve": rows_out}, indent=2))
        return 0
    print(f"{len(refs)} examples of shape {tuple(refs.shape[1:])}, {arguments.path} path, t = 0 data, t = 1 noise")
    print(f"{'t':>6}  {'target variance':>15}  {'of maximum':>10}")
    for point, share in zip(curve, shares):
        print(f"{point.t:6.3f}  {point.conditional:15.5g}  {share:10.2%}")
    if chosen is None:
        print(f"recommended low_split {recommended:.3f} (variance first above {arguments.xi:.0%} of its maximum)")
    else:
        at = float(np.interp(chosen, times, shares))
        word = "low" if at <= arguments.xi else "not low: large steps below it will lose"
        print(f"at split {chosen:g} the variance is {at:.2%} of its maximum, {word}; recommended {recommended:.3f}")
    print(f"wrote {written[0]} and {written[1]}")
    return 0


def read_examples(place: Path) -> NDArray[np.floating]:
    """Examples `(N, ...)` of a .npy file, or of a folder of images in [-1, 1], `(N, 3, H, W)`; UserError else."""
    import numpy as np

    if place.is_dir():
        return _read_images(place)
    if not place.is_file():
        raise UserError(f"{place}: no such file or folder")
    try:
        data = np.load(place, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{place}: not a .npy file of numbers ({error})") from error
    if not isinstance(data, np.ndarray) or data.ndim < 2 or len(data) < 2:
        shape = getattr(data, "shape", "an archive")
        raise UserError(f"{place}: got {shape}, wanted one array of shape (N, ...) with N of at least 2")
    if not np.issubdtype(data.dtype, np.floating):
        raise UserError(f"{place}: got {data.dtype}, wanted floats as the model sees them (images in [-1, 1])")
    return data


def _read_images(folder: Path) -> NDArray[np.floating]:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
    if len(files) < 2:
        raise UserError(f"{folder}: holds {len(files)} images ({', '.join(IMAGES)}), wanted at least 2")
    pictures = []
    for file in files:
        try:
            with Image.open(file) as image:
                pictures.append(np.asarray(image.convert("RGB"), dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1)
        except (UnidentifiedImageError, OSError) as error:
            raise UserError(f"{file}: not an image that can be read") from error
        if pictures[-1].shape != pictures[0].shape:
            sizes = [f"{p.shape[2]}x{p.shape[1]}" for p in (pictures[-1], pictures[0])]
            raise UserError(f"{file}: is {sizes[0]}, the first image is {sizes[1]}; resize them as for training")
    return np.stack(pictures)


def shares_of_maximum(curve: Sequence[VarianceEstimate]) -> list[float]:
    """The conditional variance of every point over the largest one."""
    highest = max(point.conditional for point in curve)
    return [point.conditional / highest for point in curve]


def write_csv(curve: Sequence[VarianceEstimate], shares: Sequence[float], out: Path) -> Path:
    def write(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as stream:
            rows = csv.DictWriter(stream, [*asdict(curve[0]), "share"])
            rows.writeheader()
            rows.writerows({**asdict(point), "share": share} for point, share in zip(curve, shares))

    return _in_one_piece(out.with_name(out.name + ".csv"), write)


def write_png(curve: Sequence[VarianceEstimate], split: float, out: Path) -> Path:
    from matplotlib.figure import Figure  # not pyplot: no display, no global state

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([p.t for p in curve], [p.conditional for p in curve], label="variance of the target (conditional)")
    axes.plot([p.t for p in curve], [p.marginal for p in curve], "--", label="variance of the velocity (marginal)")
    axes.axvline(split, color="grey", linewidth=1, label=f"low_split {split:.3f}")
    axes.set(xlabel="t (0 data, 1 noise)", ylabel="summed over dimensions", xlim=(0, 1))
    axes.legend(frameon=False)
    return _in_one_piece(out.with_name(out.name + ".png"), lambda path: figure.savefig(path, dpi=150, format="png"))


def _in_one_piece(path: Path, write: Callable[[Path], None]) -> Path:
    """Write under a temporary name beside the path, then rename."""
    with replacing(path) as part:
        write(part)
    return path


def _split(word: str) -> float | None:
    """None for auto, else a time."""
    if word == "auto":
        return None
    try:
        time = float(word)
    except ValueError:
        time = -1.0
    if not 0 < time < 1:
        raise UserError(f"--split: got {word!r}, wanted 'auto' or a time in (0, 1)")
    return time
