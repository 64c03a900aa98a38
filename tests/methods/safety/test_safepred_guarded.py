import pytest

from assay.methods.safety.safepred import (
    ActionText,
    CompactState,
    PlanMonitor,
    Prediction,
    ReactiveGuard,
    SafePred,
    TrajectoryStore,
    action_text,
    extract_policies,
    guarded,
)
from assay.methods.screens import Click, Done, Drag, Fail, Goto, GuiObs, Key, Node, Scroll, Type

POLICIES = extract_policies("Backup copies must never be deleted.")
NAMES = ("Delete backup copies", "Compress copies", "Look")


def screen(*names, text="Disk"):
    nodes = [Node(0, "main", "", "", (), (0, 0, 100, 100), True, True, -1)]
    nodes += [
        Node(i, "button", name, "", (), (10, 20 * i, 50, 10), True, True, 0, near=f"row {i}")
        for i, name in enumerate(names, 1)
    ]
    return GuiObs(tuple(nodes), "http://x.test/", text)


SEEN = screen(*NAMES)


def on(name):
    return Click(*next(n.centre for n in SEEN.tree if n.name == name))


class Stubborn:
    """Takes its actions in order, whatever it is told, and keeps what it was shown."""

    def __init__(self, *actions):
        self.left, self.shown = list(actions), []

    def act(self, seen):
        self.shown.append(seen.text)
        return self.left.pop(0)


class Heeds:
    """Presses the first button that no line of the guard names."""

    def __init__(self):
        self.shown = []

    def act(self, seen):
        self.shown.append(seen.text)
        told = [line for line in seen.text.splitlines() if line.startswith("Guard:")]
        return next((on(name) for name in NAMES if not any(name in line for line in told)), Done())


def test_an_agent_is_told_in_its_text_and_asked_again():
    agent = guarded(Heeds(), ReactiveGuard(POLICIES))
    assert agent.act(SEEN) == on("Compress copies")
    assert agent._agent.shown == ["Disk", "Disk\nGuard: do not press Delete backup copies"]
    assert [review.safe for review in agent.reviews] == [False, True]


def test_what_was_carried_out_is_known_with_the_next_screen():
    agent = guarded(Heeds(), ReactiveGuard(POLICIES))
    agent.act(SEEN)
    assert agent.path == []
    agent.act(SEEN)
    assert [step.name for step in agent.path] == ["Compress copies"], "the refused proposal never happened"


def test_after_all_tries_it_fails_or_takes_the_least_risk():
    bad = on("Delete backup copies")
    agent = guarded(Stubborn(*[bad] * 3), ReactiveGuard(POLICIES, max_regenerate=2))
    assert isinstance(agent.act(SEEN), Fail)
    assert len(agent.reviews) == 3
    agent = guarded(Stubborn(*[bad] * 3), ReactiveGuard(POLICIES, max_regenerate=2), give_up="safest")
    assert agent.act(SEEN) == bad
    with pytest.raises(ValueError, match="give_up: got 'hope'"):
        guarded(Heeds(), ReactiveGuard(POLICIES), give_up="hope")


def test_a_plan_that_leads_to_harm_is_rewritten_and_told():
    why = []

    def planner(plan, guidance):
        why.append(guidance)
        return [line for line in plan if "Delete" not in line]

    plan = ("Press Delete backup copies", "Press Compress copies")
    agent = guarded(
        Stubborn(on("Delete backup copies"), on("Compress copies")), ReactiveGuard(POLICIES, planner), plan=plan
    )
    assert agent.act(SEEN) == on("Compress copies")
    assert agent.plan == ("Press Compress copies",)
    assert why == ["Leave out: press Delete backup copies."]
    assert agent._agent.shown[-1] == "Disk\nPlan: Press Compress copies"


def test_plans_are_not_rewritten_for_ever():
    agent = guarded(
        Stubborn(*[on("Delete backup copies")] * 9), ReactiveGuard(POLICIES, lambda plan, why: plan), plan=("a",)
    )
    assert isinstance(agent.act(SEEN), Fail)
    assert len(agent._agent.shown) == 4


def test_what_changes_nothing_is_not_reviewed():
    for action in (Done("x"), Fail("y"), Scroll(1, 1, 9)):
        agent = guarded(Stubborn(action), ReactiveGuard(POLICIES))
        assert agent.act(screen("Delete backup copies")) == action
        assert agent.reviews == []


class Foresees:
    def predict(self, *asked):
        return Prediction("d", new_elements=(("button", "Done"),))


def test_predictions_are_kept_beside_what_happened(tmp_path):
    store = TrajectoryStore(tmp_path / "t.jsonl")
    agent = guarded(Stubborn(on("Look"), Done()), SafePred(Foresees(), POLICIES), store=store)
    agent.act(SEEN)
    assert store.rows() == []
    agent.act(screen(*NAMES, "Done"))
    assert store.rows()[0]["action"]["name"] == "Look"
    assert store.prediction_accuracy() == 1.0


def test_actions_are_named_by_what_lies_under_them():
    assert action_text(on("Look"), SEEN) == ActionText("press", "button", "Look", "", "row 3")
    assert action_text(Type("ten", 35, 25), SEEN) == ActionText(
        "type", "button", "Delete backup copies", "ten", "row 1"
    )
    assert action_text(Type("ten"), SEEN) == ActionText("type", "", "", "ten")
    assert action_text(Drag(((1, 1), (2, 2))), SEEN) == ActionText("drag", "main", "")
    assert action_text(Click(300, 300), SEEN) == ActionText("press", "", "")
    assert action_text(Key("Enter"), SEEN) == ActionText("key", "", "Enter")
    assert action_text(Goto("http://y.test/"), SEEN) == ActionText("open", "", "http://y.test/")


STATE = CompactState("http://x.test/", "Disk", (), "")
A, B = (ActionText("press", "button", name) for name in "AB")


def test_going_in_circles_is_a_flaw_and_turning_pages_a_few_times_is_none():
    monitor = PlanMonitor()
    assert monitor.check((), STATE, []) == monitor.check((), STATE, [A, A, A]) == ""
    assert monitor.check((), STATE, [B, A, A, A, A]) == "it goes in circles: press A"
    assert monitor.check((), STATE, [A, B] * 4) == "it goes in circles: press A; press B"
    assert monitor.check((), STATE, [*[A, B] * 4, A, A]) == ""
    with pytest.raises(ValueError, match="circles: got 1"):
        PlanMonitor(circles=1)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ('{"flawed": true, "why": "the list is empty"}', "the list is empty"),
        ('{"flawed": true, "why": ""}', "the plan has a fundamental flaw"),
        ('{"flawed": false, "why": "it only deviates"}', ""),
        ("I think so.", "nobody could say whether the plan still holds: it holds no JSON object"),
    ],
)
def test_a_model_says_whether_a_plan_still_holds_and_an_unusable_reply_counts_as_a_flaw(reply, said):
    async def complete(prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        assert "Plan: one; two" in prompt
        return reply

    assert PlanMonitor(complete).check(("one", "two"), STATE, [A]) == said


def test_a_monitor_has_the_plan_rewritten_before_the_next_action():
    agent = guarded(
        Stubborn(*[on("Look")] * 3), ReactiveGuard(POLICIES, lambda plan, why: (why,)), plan=("look",),
        monitor=PlanMonitor(circles=2),
    )  # fmt: skip
    for _ in range(3):
        agent.act(SEEN)
    assert agent.plan == ("it goes in circles: press Look",)
