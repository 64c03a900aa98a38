import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.text_index import TextIndex, TfidfEmbed, hash_embed, near_duplicates

DOCS = {
    "rome": "Ada was born in Rome.",
    "pisa": "Bea lives in Pisa with Ada.",
    "ulm": "Cleo was born in Ulm, and Cleo died there.",
}


def ids(index: TextIndex, query: str, k: int = 5, mode="bm25") -> list[str]:
    return [passage.id for passage in index.search(query, k, mode)]


def test_rarer_words_weigh_more():
    assert ids(TextIndex(DOCS), "born in Ulm") == ["ulm", "rome", "pisa"]
    assert ids(TextIndex(DOCS), "Bea, was she born?", k=1) == ["pisa"]


def test_bm25_scores_equal_the_formula():
    # FTS5: idf = ln((N - n + 0.5) / (n + 0.5)), at least 1e-6; k1 = 1.2, b = 0.75; here N = 3 and "Pisa" is in n = 1
    lengths = [5, 6, 9]
    idf = np.log((3 - 1 + 0.5) / (1 + 0.5))
    score = idf * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 6 / np.mean(lengths)))
    assert TextIndex(DOCS).search("pisa")[0].score == pytest.approx(score)


def test_equal_scores_stand_in_the_order_of_their_ids():
    texts = dict.fromkeys("dbca", "the same words")
    index = TextIndex(texts, embed=hash_embed)
    for mode in ("bm25", "cosine"):
        assert ids(index, "same words", mode=mode) == ["a", "b", "c", "d"]


def test_only_texts_that_share_a_word_are_found_by_words():
    assert ids(TextIndex(DOCS), "Zanzibar") == []
    assert ids(TextIndex(DOCS), "?!") == []
    assert ids(TextIndex({}), "born") == []


@given(st.text())
def test_any_text_can_be_searched_for(query):
    index = TextIndex(DOCS, embed=hash_embed)
    assert len(index.search(query, 2)) <= 2
    assert len(index.search(query, 2, "cosine")) == 2


def test_a_query_of_thousands_of_words_is_answered():
    query = " ".join(f"word{i}" for i in range(5000)) + " Ulm"
    assert ids(TextIndex(DOCS), query) == ["ulm"]


def test_diacritics_and_case_do_not_matter():
    assert ids(TextIndex({"a": "Málaga"}), "MALAGA") == ["a"]


def test_cosine_search_ranks_by_the_embedders_vectors():
    vectors = {"a": [1, 0], "b": [0, 1], "c": [0.6, 0.8], "?": [0, 1]}

    def embed(texts):
        return np.array([vectors[text] for text in texts], np.float32)

    found = TextIndex({name: name for name in "abc"}, embed=embed).search("?", 2, "cosine")
    assert [(passage.id, round(passage.score, 3)) for passage in found] == [("b", 1.0), ("c", 0.8)]


def test_an_index_comes_back_from_pickle_and_serves_several_threads():
    index = pickle.loads(pickle.dumps(TextIndex(DOCS, embed=partial(hash_embed, dim=64))))
    assert len(index) == 3
    index.search("born")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: ids(index, "born in Ulm"), range(50)))
    assert found == [["ulm", "rome", "pisa"]] * 50
    assert ids(index, "Cleo of Ulm", 1, "cosine") == ["ulm"]


@given(st.lists(st.text(), max_size=6), st.integers(1, 300))
def test_hashed_rows_are_unit_or_zero_and_independent_of_their_neighbours(texts, dim):
    rows = hash_embed(texts, dim)
    assert rows.shape == (len(texts), dim)
    assert rows.dtype == np.float32
    lengths = np.linalg.norm(rows, axis=1)
    assert all(abs(length - 1) < 1e-5 or length == 0 for length in lengths)
    for text, row in zip(texts, rows):
        assert np.array_equal(hash_embed([text], dim)[0], row)


def test_shared_words_bring_hashed_texts_closer():
    one, near, far = hash_embed(["the red house", "the red barn", "a blue sea"])
    assert one @ near > one @ far


def test_tfidf_weighs_rare_words_and_knows_no_others():
    embed = TfidfEmbed(["common rare", "common", "common other"])
    common, rare, both, unknown = embed(["common", "rare", "common rare", "unseen"])
    assert both @ rare > both @ common > 0
    assert not unknown.any()
    assert embed([]).shape == (0, 3)


def test_near_duplicates_are_the_pairs_above_the_threshold_whatever_the_block():
    vectors = np.array([[1, 0], [0.8, 0.6], [1, 0], [0, 1]], np.float32)
    for block in (1, 3, 1024):
        assert [(i, j) for i, j, _ in near_duplicates(vectors, 0.7, block)] == [(0, 1), (0, 2), (1, 2)]
    assert next(near_duplicates(vectors, 0.7))[2] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: TextIndex(["a"]), TypeError, "docs: got list"),
        (lambda: TextIndex({1: "a"}), TypeError, "wanted a mapping from ids to texts"),
        (lambda: TextIndex(DOCS).search("a", 0), ValueError, "k: got 0"),
        (lambda: TextIndex(DOCS).search("a", mode="fuzzy"), ValueError, "mode: got 'fuzzy'"),
        (lambda: TextIndex(DOCS).search("a", mode="cosine"), ValueError, "made with embed="),
        (lambda: hash_embed(["a"], 0), ValueError, "dim: got 0"),
        (lambda: TfidfEmbed(["", "?"]), ValueError, "2 texts without a word"),
        (lambda: list(near_duplicates(np.zeros(3, np.float32))), ValueError, r"vectors: got shape \(3,\)"),
        (lambda: list(near_duplicates(np.zeros((1, 1), np.float32), 2)), ValueError, "threshold: got 2"),
        (lambda: list(near_duplicates(np.zeros((1, 1), np.float32), block=0)), ValueError, "block: got 0"),
    ],
)
def test_wrong_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_an_embedder_that_forgets_a_text_is_named():
    with pytest.raises(ValueError, match=r"embed: gave shape \(1, 4\), wanted \(3, d\)"):
        TextIndex(DOCS, embed=lambda texts: np.zeros((1, 4), np.float32)).search("a", mode="cosine")
