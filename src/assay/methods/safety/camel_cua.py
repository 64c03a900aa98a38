"""CaMeLs Can Use Computers Too: System-level Security for Computer Use Agents (2601.09923).

The whole program of a task is written from the user's words before any screen is seen, checked against a small plan
language and sealed; a quarantined perceiver then only fills values. Text on a page can therefore never add, remove or
reorder an action. It costs the freedom to improvise: a page that the plan did not foresee ends in a safe stop.

    plan = compile_plan(planner.plan("Set the daily limit to \\"250\\".", manifest))
    run = Executor(env, DomPerceiver(), guards=[DomConsistency()]).run(plan)
    run.outcome, run.answer, [step.said for step in run.trace]

What it does not exclude is *branch steering*: a page that lies to the perceiver can make a legal but wrong branch or
point be taken (`branch_attacks`); `DomConsistency` and `Consensus` make that harder and refuse honest pages at times.

Differs from the paper:

- The plan language is ours: the paper runs Python in an interpreter of its own; here anything that is not needed to
  branch, loop, look and act is refused when the plan is read.
- Loops count as any number of rounds in the automaton; the executor's own bounds hold their number.
- `try_step(N)` repeats a block whose perception or verification fails.
- `DomPerceiver` reads the accessibility tree; the paper's perceivers see pixels (`ModelPerceiver` does).
- The paper's pixel attacks on a perceiver's network are not here: neither perceiver of ours has gradients to follow.
"""

from __future__ import annotations

from ._branch_steering import ATTACKS, BranchAttack, branch_attacks
from ._camel_automaton import PRIMITIVES, SCHEMAS, Automaton, Symbol
from ._camel_executor import (
    ControlFlowViolation,
    Executor,
    FlowRefused,
    Guard,
    NotSealed,
    Perceiver,
    PerceptionError,
    Policy,
    Run,
    Traced,
    Value,
)
from ._camel_perceivers import Consensus, DomConsistency, DomPerceiver, ModelPerceiver, alike
from ._camel_plan import Plan, PlanError, compile_plan
from ._camel_planners import Family, ModelPlanner, NoPlan, Planner, TemplatePlanner, expand

__all__ = [
    "ATTACKS", "PRIMITIVES", "SCHEMAS", "Automaton", "BranchAttack", "Consensus", "ControlFlowViolation",
    "DomConsistency", "DomPerceiver", "Executor", "Family", "FlowRefused", "Guard", "ModelPerceiver", "ModelPlanner",
    "NoPlan", "NotSealed", "Perceiver", "PerceptionError", "Plan", "PlanError", "Planner", "Policy", "Run", "Symbol",
    "TemplatePlanner", "Traced", "Value", "alike", "branch_attacks", "compile_plan", "expand",
]  # fmt: skip
