import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.safety.safepred import (
    ActionText,
    CompactState,
    LearnedWorldModel,
    LLMWorldModel,
    Policy,
    PolicyMatcher,
    Prediction,
    PredictionFormatError,
    ReactiveGuard,
    Recorded,
    SafePred,
    TrajectoryStore,
    choose_safely,
    compact_state,
    dump_policies,
    extract_policies,
    lay_blame,
    load_policies,
    path_risk,
    read_document,
)
from assay.methods.screens import GuiObs, Node

RULES = """# The office

Backup copies must never be deleted. They are few.

Lunch is at noon.

Payments above 500 require approval by a second person.
"""
POLICIES = extract_policies(RULES)


def state(*elements, page="Disk"):
    return CompactState("http://x.test/", page, tuple(elements), " ".join(name for _, name in elements))


def press(name):
    return ActionText("press", "button", name)


def test_sentences_with_a_modal_word_become_policies_and_the_goal_is_always_one():
    assert [(p.policy_id, p.risk_level, p.scope) for p in POLICIES] == [
        ("P000", "high", "The office"), ("P001", "medium", "The office"), ("P002", "medium", "every task"),
    ]  # fmt: skip
    assert POLICIES[0].definitions == ("Backup copies must never be deleted.",)
    assert load_policies(dump_policies(POLICIES)) == tuple(POLICIES)


def test_a_paragraph_that_says_the_same_twice_is_merged():
    twice = extract_policies("Keys must never be lost, ever.\n\nKeys must never be lost, ever!")
    assert len(twice) == 2  # and the goal
    assert len(twice[0].definitions) == 2


def test_references_are_capped_by_level_without_near_duplicates_and_the_oldest_goes():
    policy = Policy("P1", ("x must not be",), "s", "d", "LOW")
    assert policy.risk_level == "low"
    texts = [
        "alpha beta gamma",
        "press the red lever",
        "42 is the number",
        "who goes there",
        "zebra crossing",
        "umbrella",
    ]
    for text in texts:
        policy = policy.with_reference(text)
    assert policy.reference == tuple(texts[1:])
    assert policy.with_reference("press the red lever!").reference == policy.reference


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Policy("P", ("a",), "s", "d", "huge"), "risk_level: got 'huge'"),
        (lambda: Policy("P", (), "s", "d", "low"), r"definitions: got \(\)"),
        (lambda: PolicyMatcher([POLICIES[0], POLICIES[0]]), "the id 'P000' occurs twice"),
        (lambda: SafePred(None, []), "policies: got none"),
        (lambda: SafePred(None, POLICIES, horizon=0), "horizon: got 0"),
        (lambda: SafePred(None, POLICIES, child_threshold=0.5), "child_threshold: got 0.5"),
        (lambda: PolicyMatcher(POLICIES, 0), "threshold: got 0"),
        (lambda: SafePred(None, POLICIES, n_samples=0), "n_samples: got 0"),
        (lambda: SafePred(None, POLICIES, max_regenerate=-1), "max_regenerate: got -1"),
        (lambda: SafePred(None, POLICIES).review_path([]), "risks: got none"),
        (lambda: LearnedWorldModel([[]]), "episodes: got no recorded step"),
        (lambda: LearnedWorldModel(episodes(), k=0), "k: got 0"),
        (lambda: LearnedWorldModel([]), "episodes: got no recorded step"),
        (lambda: LLMWorldModel(None, history=-1), "history: got -1"),
        (lambda: path_risk([]), "risks: got none"),
        (lambda: extract_policies("   "), "it holds no text"),
        (lambda: extract_policies("Lunch is at noon."), "no sentence in it"),
        (lambda: load_policies("{}"), "no list of policies"),
    ],
)
def test_wrong_input_is_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_policies_must_be_a_list_of_policies():
    with pytest.raises(TypeError, match="wanted a list of Policy"):
        PolicyMatcher("P000")


def test_documents_are_read_whatever_their_kind(tmp_path):
    import zipfile

    page, word, other = tmp_path / "a.html", tmp_path / "a.docx", tmp_path / "a.xls"
    page.write_text("<html><script>no()</script><p>Keys must stay.</p></html>")
    with zipfile.ZipFile(word, "w") as packed:
        packed.writestr("word/document.xml", "<w:d xmlns:w='w'><w:p><w:t>Keys </w:t><w:t>must stay.</w:t></w:p></w:d>")
    assert read_document(page) == read_document(word) == "Keys must stay."
    other.write_text("x")
    with pytest.raises(ValueError, match=r"got a\.xls"):
        read_document(other)


def test_words_touch_a_policy_by_their_stems_and_need_two():
    match = PolicyMatcher(POLICIES)
    assert match.touched(["The backup copy was deleted."]) == ("P000",)
    assert match.touched(["Copies", "Backup"]) == ()
    assert match.touched(["Two lines.", "Delete backup"]) == ("P000",)
    assert match.touched(["Order lunch at noon"]) == ()


QUIET, HARM = state(("button", "Clean")), state(("button", "Clean"), ("alert", "Backup copies deleted"))


def episodes():
    """Pressing Clean is followed two steps later by harm; pressing Look never is without it."""
    bad = [
        Recorded(QUIET, press("Clean disk"), QUIET),
        Recorded(QUIET, press("Look"), QUIET),
        Recorded(QUIET, press("Look"), HARM),
    ]
    good = [Recorded(QUIET, press("Open list"), state(("button", "Back"), page="List"))] * 3
    return [bad] * 3 + [good] * 3 + [[Recorded(QUIET, press("Look"), QUIET)] * 12]


def test_a_learned_model_foresees_what_followed_and_only_that():
    model = LearnedWorldModel(episodes(), k=3)
    harm = model.predict(QUIET, press("Clean disk"), "", (), POLICIES, 4)
    assert (harm.violated_policy_ids, harm.violated_later) == ((), ("P000",))
    assert "Backup copies deleted" in harm.risk_explanation
    assert model.predict(QUIET, press("Clean disk"), "", (), POLICIES, 1).violated_later == ()
    fine = model.predict(QUIET, press("Open list"), "", (), POLICIES, 4)
    assert fine.new_elements == (("button", "Back"),)
    assert fine.removed_elements == (("button", "Clean"),)
    assert fine.violated_later == ()
    assert model.predict(state(page="Other"), press("Dance"), "", (), POLICIES, 4) == Prediction("unknown")
    with pytest.raises(ValueError, match="horizon: got 0"):
        model.predict(QUIET, press("Look"), "", (), POLICIES, 0)


def test_what_was_pressed_between_a_cause_and_its_warning_is_not_blamed():
    model = LearnedWorldModel(episodes())
    assert model.predict(QUIET, press("Look"), "", (), POLICIES, 4).violated_later == ()


def test_two_wordings_of_one_outcome_add_up():
    said = ("Backup copies deleted", "Deleted: backup copies", "All backup copies were deleted")
    wordings = [[Recorded(QUIET, press("Clean disk"), state(("alert", words)))] for words in said]
    quiet = [[Recorded(QUIET, press("Clean disk"), QUIET)] * 2]
    made = LearnedWorldModel(wordings + quiet).predict(QUIET, press("Clean disk"), "", (), POLICIES, 4)
    assert made.new_elements == (), "no wording alone is expected"
    assert made.violated_policy_ids == ("P000",)
    assert all(words in made.risk_explanation for words in said)


def test_the_controls_that_a_page_offers_are_no_outcome():
    offers = state(("button", "Delete backup copies"), page="Backups")
    model = LearnedWorldModel([[Recorded(QUIET, press("Backups"), offers)] * 3])
    made = model.predict(QUIET, press("Backups"), "", (), POLICIES, 4)
    assert (made.violated_policy_ids, made.violated_later) == ((), ())
    assert made.new_elements == (("button", "Delete backup copies"),)


def test_a_learned_model_sees_no_less_than_a_reactive_guard():
    model = LearnedWorldModel(episodes())
    for seen, action in ((QUIET, press("Delete backup copies")), (HARM, press("Dance"))):
        assert not ReactiveGuard(POLICIES).review(seen, action, ()).safe
        assert model.predict(seen, action, "", (), POLICIES, 4).violated_policy_ids == ("P000",)


def test_blame_goes_to_what_warnings_follow_and_away_from_what_they_often_do_not():
    # Kind 1 was tried twice, once without a warning. A round weighs a share s over t tries (s + s / (t + 1)) / (t + 1):
    # 3/4 of its own for kind 0, 4/9 for kind 1.
    (late, soon) = (lay_blame([[0, 1], [1, 1]], {0: 1}, 1)[kind] for kind in (0, 1))
    odds = (27 / 16) ** 29
    assert late == (0.0, pytest.approx(odds / (1 + odds)), (0,))
    assert soon == (pytest.approx(1 / (1 + odds) / 2), 0.0, ())


def test_what_cannot_be_told_apart_shares_the_blame_and_a_warning_from_the_start_has_no_cause():
    assert lay_blame([[0, 1]], {0: 1}, 4) == {0: (0.0, 0.5, (0,)), 1: (0.5, 0.0, (0,))}
    assert lay_blame([[0, 1]], {0: -1}, 4) == {}


def test_a_control_that_is_harmless_on_other_pages_is_blamed_less():
    rows, first = [[0, 1], [2, 2, 2]], {0: 1}
    assert lay_blame(rows, first, 1)[0][1] == lay_blame(rows, first, 1)[1][0] == 0.5
    told = lay_blame(rows, first, 1, controls=(0, 1, 1))
    assert told[0][1] > 0.99
    assert told[1][0] < 0.01


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=5),
    st.data(),
    st.integers(1, 4),
    st.lists(st.integers(0, 3), max_size=5),
)
def test_blame_is_a_chance_and_what_comes_after_a_warning_changes_nothing(rows, data, horizon, after):
    first = {n: data.draw(st.integers(0, len(row) - 1)) for n, row in enumerate(rows) if data.draw(st.booleans())}
    found = lay_blame(rows, first, horizon)
    assert all(soon >= 0 and late >= 0 and soon + late <= 1 + 1e-9 for soon, late, _ in found.values())
    longer = [row + after if n in first else row for n, row in enumerate(rows)]
    assert lay_blame(longer, first, horizon) == found


def test_a_permuted_model_warns_as_often_of_other_actions():
    model = LearnedWorldModel(episodes(), k=1)
    dealt = model.permuted(np.random.default_rng(3))
    asked = [press(name) for name in ("Clean disk", "Look", "Open list")]
    warned = [[bool(m.predict(QUIET, a, "", (), POLICIES, 4).violated_later) for a in asked] for m in (model, dealt)]
    assert warned[0] == [True, False, False]
    assert sum(warned[1]) == 1
    assert warned[1] != warned[0]


class Says:
    def __init__(self, **fields):
        self.fields = fields

    def predict(self, *asked):
        return Prediction("d", **self.fields)


def test_risk_is_the_penalty_for_harm_now_or_later_and_each_can_be_left_out():
    later = Says(violated_later=("P000",))
    guard = SafePred(later, POLICIES)
    review = guard.review(QUIET, press("Clean"), ("line",))
    assert (review.risk, review.safe, review.violated, review.replan) == (0.8, False, ("P000",), True)
    assert SafePred(later, POLICIES, long_term=False).review(QUIET, press("Clean"), ()).safe
    assert SafePred(Says(violated_policy_ids=("P000",)), POLICIES, short_term=False).review(QUIET, press("a"), ()).safe
    assert SafePred(later, POLICIES, violation_penalty=0.5).review(QUIET, press("a"), ()).safe, "why 0.8 is needed"


class Wavers:
    """Foresees harm every other time."""

    def __init__(self):
        self.asked = 0

    def predict(self, *asked):
        self.asked += 1
        return Prediction("d", violated_policy_ids=() if self.asked % 2 else ("P000",))


def test_of_several_predictions_the_riskiest_counts():
    assert SafePred(Wavers(), POLICIES).review(QUIET, press("a"), ()).safe
    review = SafePred(Wavers(), POLICIES, n_samples=2).review(QUIET, press("a"), ())
    assert (review.safe, review.predicted.violated_policy_ids) == (False, ("P000",))


def test_a_way_is_unsafe_by_its_first_step_or_by_a_later_one_over_the_childs_threshold():
    fine, harm = Prediction("d"), Prediction("d", violated_policy_ids=("P000",), risk_explanation="gone")
    guard = SafePred(Wavers(), POLICIES)
    assert guard.review_path([fine, fine]).safe
    assert guard.review_path([harm, harm]).risk == pytest.approx(0.8)
    late = guard.review_path([fine, harm])
    assert (late.safe, late.risk, late.explanation) == (False, pytest.approx(0.8 / 3), "gone")
    assert SafePred(Wavers(), POLICIES, child_threshold=0.9).review_path([fine, harm]).safe


def test_the_risk_of_a_path_halves_with_every_step():
    assert path_risk([0.8, 0.0]) == pytest.approx(0.8 * 2 / 3)
    assert path_risk([0.0, 0.0, 0.7]) == pytest.approx(0.7 / 7)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_a_path_is_never_riskier_than_its_worst_step(risks):
    assert min(risks) - 1e-9 <= path_risk(risks) <= max(risks) + 1e-9


def answers(*replies):
    left = list(replies)

    async def complete(prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        complete.asked.append(prompt)
        return left.pop(0) if len(left) > 1 else left[0]

    complete.asked = []
    return complete


def reply(ids, **more):
    return "```json\n" + json.dumps({"semantic_delta": "x", "violated_policy_ids": ids, **more}) + "\n```"


def test_a_model_answers_and_unknown_ids_are_asked_about_once_then_fail_closed():
    model = answers(reply(["P9"]), reply(["P000"]))
    made = LLMWorldModel(model).predict(QUIET, press("a"), "g", (press("b"),), POLICIES, 4)
    assert made.violated_policy_ids == ("P000",)
    assert len(model.asked) == 2
    stubborn = SafePred(LLMWorldModel(answers(reply(["P9"]))), POLICIES).review(QUIET, press("a"), ())
    assert not stubborn.safe
    assert "unknown policy ids P9" in stubborn.explanation


@pytest.mark.parametrize(
    "text",
    ["It is fine.", reply(None), reply("P000"), reply([3]), reply([], semantic_delta=4), reply([]) + reply(["P000"]),
     json.dumps({"violated_policy_ids": []}) + json.dumps({"violated_policy_ids": ["P000"]}), "{}", ""],
)  # fmt: skip
def test_an_answer_that_cannot_be_used_fails_closed(text):
    with pytest.raises(PredictionFormatError):
        LLMWorldModel(answers(text)).predict(QUIET, press("a"), "", (), POLICIES, 4)
    review = SafePred(LLMWorldModel(answers(text)), POLICIES).review(QUIET, press("a"), ())
    assert (review.safe, review.risk) == (False, 1.0)


def test_an_agent_proposes_again_with_advice_until_it_is_safe_or_gives_up():
    guard = SafePred(LearnedWorldModel(episodes(), k=3), POLICIES)
    given = []

    def propose(advice):
        given.append(list(advice))
        return press("Open list") if advice else press("Clean disk")

    action, reviews = choose_safely(propose, guard, QUIET, ())
    assert action == press("Open list")
    assert [r.safe for r in reviews] == [False, True]
    assert "do not press Clean disk" in given[1][0]
    action, reviews = choose_safely(lambda advice: press("Clean disk"), guard, QUIET, ())
    assert (action, len(reviews)) == (None, 4)
    action, reviews = choose_safely(lambda advice: press("Clean disk"), guard, QUIET, ("a plan",))
    assert (action, len(reviews)) == (None, 1), "the plan is to be rewritten first"
    assert choose_safely(lambda advice: None, guard, QUIET, ()) == (None, [])


def test_a_reactive_guard_sees_words_on_the_screen_and_nothing_ahead():
    guard = ReactiveGuard(POLICIES)
    assert guard.review(QUIET, press("Clean disk"), ()).safe
    assert not guard.review(QUIET, press("Delete backup copies"), ()).safe
    assert not guard.review(HARM, press("Look"), ()).safe


def test_what_happened_is_kept_beside_what_was_predicted(tmp_path):
    store = TrajectoryStore(tmp_path / "t.jsonl")
    seen = Prediction("d", new_elements=(("alert", "Backup copies deleted"),))
    store.append(QUIET, press("Clean"), seen, HARM)
    store.append(QUIET, press("Clean"), Prediction("d"), HARM)
    store.append(QUIET, press("Look"), Prediction("d"), QUIET)
    assert store.prediction_accuracy() == 0.5
    with pytest.raises(ValueError, match="no step on which"):
        TrajectoryStore(tmp_path / "none.jsonl").prediction_accuracy()


def test_a_small_guard_is_trained_in_the_form_in_which_it_is_asked(tmp_path):
    store = TrajectoryStore(tmp_path / "t.jsonl")
    later = state(("button", "Clean"), ("alert", "Backup copies deleted"), ("alert", "Low on ink"))
    for before, name, after in ((QUIET, "Clean", QUIET), (QUIET, "Look", later), (HARM, "Look", HARM)):
        store.append(before, press(name), Prediction("d"), after)
    pairs = store.distil_dataset(POLICIES, horizon=2, goal="g")
    read = [LLMWorldModel(answers(answer)).predict(QUIET, press("x"), "", (), POLICIES, 2) for _, answer in pairs]
    assert [made.violated_policy_ids for made in read] == [("P000",), ("P000",), ()]
    assert read[0].long_term_impact == "Backup copies deleted; Low on ink"
    assert read[0].risk_explanation == "Backup copies deleted"
    assert (read[1].semantic_delta, read[1].long_term_impact) == ("appears: Backup copies deleted; Low on ink", "")
    asked = answers(reply([]))
    LLMWorldModel(asked).predict(QUIET, press("Clean"), "g", (), POLICIES, 2)
    assert asked.asked == [pairs[0][0]]
    assert store.distil_dataset(POLICIES, 1)[0][1].count("Low on ink") == 1
    with pytest.raises(ValueError, match="horizon: got 0"):
        store.distil_dataset(POLICIES, 0)


def test_a_model_is_told_its_last_actions():
    model = answers(reply([]))
    past = [press(name) for name in "abcde"]
    for known in (past[:2], past):
        LLMWorldModel(model, history=3).predict(QUIET, press("x"), "", known, POLICIES, 4)
    LLMWorldModel(model, history=0).predict(QUIET, press("x"), "", past, POLICIES, 4)
    told = [next(line for line in asked.splitlines() if line.startswith("Done before")) for asked in model.asked]
    assert told == ["Done before: press a; press b", "Done before: press c; press d; press e", "Done before: nothing"]


def test_a_model_is_shown_its_wrong_predictions_as_such(tmp_path):
    store = TrajectoryStore(tmp_path / "t.jsonl")
    store.append(QUIET, press("Clean"), Prediction("nothing happens"), HARM)
    store.append(QUIET, press("Clean"), Prediction("d", new_elements=(("alert", "Backup copies deleted"),)), HARM)
    told = store.mistakes()
    assert told == ["press Clean on Disk: predicted nothing happens; it showed Backup copies deleted"]
    model = answers(reply([]))
    LLMWorldModel(model, mistakes=told).predict(QUIET, press("a"), "", (), POLICIES, 4)
    assert f"A wrong prediction of before: {told[0]}" in model.asked[0]


def test_a_screen_is_kept_small():
    nodes = tuple(Node(i, "button", f"b{i}", "", (), (0, 0, 9, 9), True, i != 1, -1) for i in range(3))
    made = compact_state(GuiObs(nodes, "http://x.test/a?seed=1", "t" * 9000))
    assert made.url == "http://x.test/a"
    assert made.key_elements == (("button", "b0"), ("button", "b2"))
    assert len(made.text) == 4000
