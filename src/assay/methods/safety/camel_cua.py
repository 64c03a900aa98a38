"""CaMeLs Can Use Computers Too: System-level Security for Computer Use Agents (2601.09923).

The whole program of a task is written from the user's words before any screen is seen, checked against a small plan
language and sealed; a quarantined perceiver then only fills values. Text on a page can therefore never add, remove or
reorder an action. It costs the freedom to improvise: a page that the plan did not foresee ends in a safe stop.

    plan = compile_plan(planner.plan("Set the daily limit to \\"250\\".", manifest))
    run = Executor(env, DomPerceiver(), guards=[DomConsistency()]).run(plan)
    run.outcome, run.answer, [step.said for step in run.trace]

What it does not exclude is *branch steering*: a page that lies to the perceiver can make a legal but wrong branch or
point be taken (`branch_attacks`, `PixelAttack`); `DomConsistency` and `Consensus` make that harder and refuse honest
pages at times.

Differs from the paper:

- The plan language is ours: the paper runs Python in an interpreter of its own; here anything that is not needed to
  branch, loop, look and act is refused when the plan is read.
- Loops count as any number of rounds in the automaton; the executor's own bounds hold their number.
- `try_step(N)` repeats a block whose perception or verification fails.
- `DomPerceiver` reads the accessibility tree; the paper's perceivers see pixels, as `ModelPerceiver` and
  `PixelPerceiver` do. The latter is tesseract's words and a network of 39,000 parameters, no vision-language model.
- `PixelAttack` follows the gradients of that network; the attacked picture says the wanted words by itself.
"""

from __future__ import annotations

import importlib
from typing import Any

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

_SEEING = {"ControlFinder": "_camel_controls", "PixelAttack": "_pixel_attack", "PixelPerceiver": "_camel_pixels"}


def __getattr__(name: str) -> Any:
    """What sees pixels needs torch, pillow and scipy; a plan is checked without them."""
    if name not in _SEEING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"assay.methods.safety.{_SEEING[name]}"), name)
