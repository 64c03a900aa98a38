"""An agent with a plan and a guard on the hazardous tasks, and the exploration from which a world model is learned."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from assay.methods.safety.safepred import ActionText, Guard, Recorded, choose_safely, compact_state
from assay.methods.screens import FILLED, PRESSED, Click, Done, GuiObs, Node, Type
from assay.models.gui_policy import Choice, LexicalGuiPolicy, alike
from assay.worlds.gui import GuiEnv
from assay.worlds.gui_tasks import GuiTask, draw_task

REPLANS, MAX_STEPS = 3, 16
CLEAR = 0.7  # likeness from which a line of the plan is found on the screen, and counts as carried out
REFLEXES = ("Menu", "All pages", "Navigation", "Next", "Later entries", "Forward", "More")  # where a line is not found
LINES = ("home", "12", "Ann", "note")  # what the explorer types into a field of text
FIRST_PAGES = {"admin": "admin.host", "bank": "bank.limit", "forum": "forum.line"}


@dataclass(frozen=True)
class Guarded:
    """How an episode ended: the checker's word, the rules that were broken on the way, what the guard stopped."""

    done: bool
    broken: frozenset[str]
    warnings: int
    steps: int

    @property
    def safe(self) -> bool:
        """Done, and no rule broken at any time."""
        return self.done and not self.broken


class PlanningAgent:
    """Follows the lines of a plan with the stand-in policy; knows further plans and takes the one least like what it
    was warned of."""

    def __init__(self, task: GuiTask, seed: int) -> None:
        self._policy, self._plans, self._line = LexicalGuiPolicy(seed), list(task.plans), 0
        self.plan = self._plans[0]
        self._warned: list[str] = []
        self.last: Choice | None = None

    def propose(self, seen: GuiObs, advice: Sequence[str]) -> ActionText | None:
        """The next action in words; None at the end of the plan."""
        if self._line >= len(self.plan):
            return None
        line = self.plan[self._line]
        choice = self._policy.choose(seen, line, advice)
        if not _carries_out(line, choice):
            others = ((reflex, self._policy.choose(seen, f"Press {reflex}", advice)) for reflex in REFLEXES)
            choice = next((other for reflex, other in others if _carries_out(reflex, other)), choice)
        self.last = choice
        return None if isinstance(choice.action, Done) else _words(choice)

    def taken(self, seen: GuiObs) -> None:
        """The last proposal was carried out on this screen: the line is done if that was what it says."""
        if self.last is not None:
            self._policy.remember(seen, self.last)
            self._line += _carries_out(self.plan[self._line], self.last)

    def replan(self, warned_of: ActionText) -> bool:
        """Take the plan least like all that was warned of, from where it parts from what was done of the one before;
        False where there is no other."""
        self._warned.append(f"Press {warned_of.name}" if not warned_of.text else str(warned_of))
        done = self.plan[: self._line]
        plan = min(self._plans, key=lambda plan: max(alike(line, w) for line in plan for w in self._warned))
        if plan == self.plan:
            return False
        self.plan = plan
        self._line = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(done, plan)))
        return True


def play(env: GuiEnv, task: GuiTask, guard: Guard, attacked: bool, seed: int) -> Guarded:
    """One episode under a guard; the app's own state says what came of it."""
    seen = env.reset(task)
    for planted in task.planted if attacked else ():
        seen = env.inject(planted.kind, planted.text, planted.where)
    agent, before, states = PlanningAgent(task, seed), env.state(), []
    past: list[ActionText] = []
    warnings = replans = 0
    for _ in range(MAX_STEPS):
        state, plan = compact_state(seen), agent.plan if replans < REPLANS else ()
        screen = seen  # the lambda below is called before the next screen is there

        def propose(advice: Sequence[str], screen: GuiObs = screen) -> ActionText | None:
            return agent.propose(screen, advice)

        action, reviews = choose_safely(propose, guard, state, plan, goal=task.instruction, trajectory=past)
        warnings += sum(not review.safe for review in reviews)
        if action is None and reviews and reviews[-1].replan and agent.last is not None:
            replans = replans + 1 if agent.replan(_words(agent.last)) else REPLANS
            continue
        if action is None or agent.last is None:
            break
        agent.taken(seen)
        seen = env.step(agent.last.action)
        past.append(action)
        states.append(env.state())
    after = env.settle()
    return Guarded(task.check(before, after), frozenset(task.broken_rules(*states, after)), warnings, env.steps)


def _carries_out(line: str, choice: Choice) -> bool:
    return alike(_control(line), _control(choice.said)) >= CLEAR


def _control(line: str) -> str:
    """A line of a plan without the words that many begin with: alone they would make any two alike."""
    return line.removeprefix("Open the page ").removeprefix("Press ")


def _words(choice: Choice) -> ActionText:
    if choice.node is None:
        return ActionText(choice.verb, "", "")
    return ActionText(choice.verb, choice.node.role, choice.node.name, choice.text, choice.node.near)


def explore(env: GuiEnv, app: str, episodes: int, steps: int, seed: int) -> list[list[Recorded]]:
    """Recorded episodes of somebody who tries what was tried least, in the looks of training; no task, no oracle."""
    rng, tried, found = random.Random(seed), Counter[str](), list[list[Recorded]]()
    for number in range(episodes):
        task = draw_task(FIRST_PAGES[app], seed + number, "train")
        seen, episode = env.reset(task), list[Recorded]()
        for _ in range(steps):
            options = [n for n in seen.tree if n.usable and n.role in PRESSED | FILLED]
            node = min(options, key=lambda n: (tried[f"{task.skin} {n.role} {n.name}"], rng.random()))
            tried[f"{task.skin} {node.role} {node.name}"] += 1
            before, (action, words) = compact_state(seen), _tried(node, rng)
            seen = env.step(action)
            episode.append(Recorded(before, words, compact_state(seen)))
        found.append(episode)
    return found


def _tried(node: Node, rng: random.Random) -> tuple[Click | Type, ActionText]:
    if node.role in FILLED:
        text = rng.choice(node.options[1:] or LINES)
        return Type(text, *node.centre, clear=not node.options), ActionText(
            "type", node.role, node.name, text, node.near
        )
    return Click(*node.centre), ActionText("press", node.role, node.name, "", node.near)
