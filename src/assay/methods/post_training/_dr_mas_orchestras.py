"""Who of a team speaks when. An orchestra plays many questions in step, so that each model is asked in batches.

`act(agent, observations)` is all it asks of the models. What an agent sees, and what its words decide, are functions,
so that the same orchestra leads language models (the defaults) and small policies over features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from assay.methods.parsing import final_answer, tagged

Act = Callable[[str, Sequence[Any]], Sequence[Any]]
See = Callable[[str, Any, Sequence["Step"]], Any]


@dataclass(frozen=True)
class Step:
    """One agent's turn: what it saw, what it did, and what a tool gave for it (None without one)."""

    agent: str
    observation: Any
    action: Any
    result: Any = None


class Orchestra(Protocol):
    """Plays questions with a team; `agents` are the names that it calls."""

    agents: tuple[str, ...]

    def run(self, questions: Sequence[Any], act: Act) -> list[list[Step]]:
        """The steps of each question's episode, in the order of the questions."""


class SolverVerifier:
    """The solver answers, the verifier approves or sends back, at most `max_loops` answers; the last is not verified.

    see        (agent, question, steps so far) to what the agent is shown
    approves   whether a verifier's action ends the episode
    """

    agents = ("solver", "verifier")

    def __init__(
        self, max_loops: int = 2, *, see: See | None = None, approves: Callable[[Any], bool] | None = None
    ) -> None:
        if max_loops < 1:
            raise ValueError(f"max_loops: got {max_loops}, wanted at least 1")
        self.max_loops = max_loops
        self.see = text_view if see is None else see
        self.approves = says("verdict", "approve") if approves is None else approves

    def run(self, questions: Sequence[Any], act: Act) -> list[list[Step]]:
        episodes: list[list[Step]] = [[] for _ in questions]
        playing = list(range(len(questions)))
        for loop in range(self.max_loops):
            _turn("solver", playing, questions, episodes, self.see, act)
            if loop < self.max_loops - 1:
                _turn("verifier", playing, questions, episodes, self.see, act)
                playing = [i for i in playing if not self.approves(episodes[i][-1].action)]
            if not playing:
                break
        return episodes


class VerifySearchAnswer:
    """The verifier says whether what was found is enough; if not, the searcher asks for more, else the answerer ends.

    search      a searcher's action to what the tool gives for it
    wants_more  whether a verifier's action calls the searcher; after `max_turns` searches the answerer is called
    """

    agents = ("verifier", "searcher", "answerer")

    def __init__(
        self,
        search: Callable[[Any], Any],
        max_turns: int = 4,
        *,
        see: See | None = None,
        wants_more: Callable[[Any], bool] | None = None,
    ) -> None:
        if max_turns < 1:
            raise ValueError(f"max_turns: got {max_turns}, wanted at least 1")
        self.search, self.max_turns = search, max_turns
        self.see = text_view if see is None else see
        self.wants_more = says("verdict", "search") if wants_more is None else wants_more

    def run(self, questions: Sequence[Any], act: Act) -> list[list[Step]]:
        episodes: list[list[Step]] = [[] for _ in questions]
        playing = list(range(len(questions)))
        for _ in range(self.max_turns):
            _turn("verifier", playing, questions, episodes, self.see, act)
            playing = [i for i in playing if self.wants_more(episodes[i][-1].action)]
            if not playing:
                break
            _turn("searcher", playing, questions, episodes, self.see, act)
            for i in playing:
                asked = episodes[i][-1]
                episodes[i][-1] = Step(asked.agent, asked.observation, asked.action, self.search(asked.action))
        _turn("answerer", list(range(len(questions))), questions, episodes, self.see, act)
        return episodes


def _turn(
    agent: str, playing: Sequence[int], questions: Sequence[Any], episodes: list[list[Step]], see: See, act: Act
) -> None:
    """One action of the agent in each episode that is still played."""
    seen = [see(agent, questions[i], tuple(episodes[i])) for i in playing]
    done = act(agent, seen)
    if len(done) != len(seen):
        raise ValueError(f"act: gave {len(done)} actions of {agent!r}, wanted {len(seen)}")
    for i, observation, action in zip(playing, seen, done):
        episodes[i].append(Step(agent, observation, action))


def says(tag: str, word: str) -> Callable[[Any], bool]:
    """Whether a reply's last <tag> holds just that word, whatever the case."""

    def holds(action: Any) -> bool:
        found = tagged(str(action), tag)
        return bool(found) and found[-1].lower() == word

    return holds


Role = Literal["solver", "verifier", "searcher", "answerer"]
ROLES: dict[str, str] = {
    "solver": "Solve the task. End with <answer>your answer</answer>.",
    "verifier": "Check the work below. End with <verdict>approve</verdict> or, if it must be done again, "
    "<verdict>reject</verdict>.",
    "searcher": "Ask for what is still missing. End with <search>your query</search>.",
    "answerer": "Answer from what was found. End with <answer>your answer</answer>.",
}
ROUTE = (
    "Is what was found enough to answer? End with <verdict>answer</verdict> or, if more is needed, "
    "<verdict>search</verdict>."
)


def text_view(agent: str, question: Any, steps: Sequence[Step]) -> str:
    """The default prompt: the agent's part, the task, and what was said and found so far."""
    if agent not in ROLES:
        raise ValueError(f"agent: got {agent!r}, wanted one of {', '.join(ROLES)}, or a `see` of your own")
    drafted = any(step.agent == "solver" for step in steps)
    role = ROUTE if agent == "verifier" and not drafted else ROLES[agent]
    lines = [role, f"Task: {question}"]
    for step in steps:
        lines.append(f"{step.agent}: {step.action}")
        if step.result is not None:
            lines.append(f"found: {step.result}")
    return "\n".join(lines)


def team_answer(steps: Sequence[Step]) -> str | None:
    """The last answer that a solver or answerer gave, for rewards; None without one."""
    for step in reversed(steps):
        if step.agent in ("solver", "answerer"):
            return final_answer(str(step.action))
    return None
