import json

import pytest

from assay.methods.concurrency import run_sync
from assay.methods.post_training.et_agent import Flywheel, Step, Trajectory, as_messages

# The world of these tests: the answer to a question is right when its steps hold "look" once or more; the agent by
# itself answers at once, and a "nap" helps nobody.


async def generate(question, steps):
    return Trajectory(question, steps, "yes" if Step("look", "seen") in steps else "no")


async def tools(question, steps, action):
    return {"look": "seen", "nap": "zzz"}[action]


class Script:
    """Mends by looking first of all; calls every nap redundant."""

    async def mend(self, trajectory):
        return 0, "look"

    async def rewrite(self, trajectory):
        naps = await self.redundant(trajectory)
        return (naps[0], "look") if naps else None

    async def redundant(self, trajectory):
        return [i for i, step in enumerate(trajectory.steps) if step.action == "nap"]


def turned(*trajectories, critic=None, rounds=3):
    flywheel = Flywheel(generate, critic or Script(), tools, lambda question, answer: answer == "yes", rounds=rounds)
    return run_sync(flywheel.run, trajectories)


NAP, LOOK = Step("nap", "zzz"), Step("look", "seen")


def test_a_wrong_trajectory_is_cut_at_its_first_wrong_step_and_gone_on_from():
    assert turned(Trajectory("q", (NAP, NAP), "no")) == [Trajectory("q", (LOOK,), "yes")]


def test_a_right_one_is_trimmed_at_both_levels_and_itself_kept():
    given = Trajectory("q", (LOOK, NAP, LOOK, NAP), "yes")
    made = turned(given, rounds=1)
    assert made == [given, Trajectory("q", (LOOK, LOOK), "yes")]  # both levels made the same: kept once


def test_what_ends_wrong_is_never_kept():
    class Spoiler(Script):
        async def redundant(self, trajectory):
            return range(len(trajectory.steps))

        async def rewrite(self, trajectory):
            return 0, None

        async def mend(self, trajectory):
            return 0, "nap"

    given = Trajectory("q", (LOOK,), "yes")
    assert turned(given, Trajectory("q", (), "no"), critic=Spoiler()) == [given]


def test_rounds_work_on_what_the_last_one_made():
    class Slow(Script):
        async def mend(self, trajectory):
            naps = len(trajectory.steps)
            return (naps, "nap") if naps < 2 else (naps, "look")

    wrong = Trajectory("q", (), "no")
    assert turned(wrong, critic=Slow(), rounds=2) == []
    assert turned(wrong, critic=Slow(), rounds=3) == [Trajectory("q", (NAP, NAP, LOOK), "yes")]


def test_a_critic_without_a_word_leaves_things_as_they_are():
    class Silent:
        async def mend(self, trajectory):
            return None

        rewrite = redundant = mend

    right = Trajectory("q", (LOOK,), "yes")
    assert turned(right, Trajectory("q", (), "no"), right, critic=Silent()) == [right]


def test_the_corpus_is_written_as_conversations(tmp_path):
    flywheel = Flywheel(generate, Script(), tools, lambda question, answer: answer == "yes")
    out = tmp_path / "corpus.jsonl"
    assert run_sync(flywheel.write, [Trajectory("q", (), "no")], out) == 1
    (row,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert row["messages"] == as_messages(Trajectory("q", (LOOK,), "yes"))
    assert [message["role"] for message in row["messages"]] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize(("words", "settings"), [("rounds: got 0", {"rounds": 0}), ("limit: got 0", {"limit": 0})])
def test_settings_out_of_range_are_named(words, settings):
    with pytest.raises(ValueError, match=words):
        Flywheel(generate, Script(), tools, lambda question, answer: True, **settings)


def test_a_critic_that_names_no_step_is_told():
    class Lost(Script):
        async def mend(self, trajectory):
            return 7, "look"

    with pytest.raises(ValueError, match="critic: named step 7 of 0"):
        turned(Trajectory("q", (), "no"), critic=Lost())
