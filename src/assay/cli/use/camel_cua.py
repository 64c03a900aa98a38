"""Run a task in a browser by a plan that was sealed before the page was seen, or check such a plan (2601.09923)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from assay.methods.safety.camel_cua import Perceiver, Plan


def configure(verbs: Any) -> None:
    run = verbs.add_parser("run", help="have a plan written, look at it, seal it, and carry it out in Chromium")
    run.add_argument("--task", required=True, help="what is to be done, in words; the planner sees nothing else")
    run.add_argument("--url", required=True, help="the page to begin on")
    source = run.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", help="the planner: any model name that Inspect knows, such as openai/gpt-5")
    source.add_argument("--plan", type=Path, metavar="FILE", help="a plan that is there already")
    run.add_argument(
        "--perceiver", default="dom", help="dom (words of the page; the default), pixel (the screenshot), or a model"
    )
    run.add_argument("--plan-out", type=Path, metavar="FILE", help="keep the plan")
    run.add_argument("--trace-out", type=Path, metavar="FILE", help="keep the trace as JSONL")
    run.add_argument("--no-guard", action="store_true", help="no second look at the element under each point")
    run.add_argument("--yes", action="store_true", help="do not ask before the plan is carried out")
    run.set_defaults(run=run_task)
    check = verbs.add_parser("check", help="whether a file is a plan: exit code 0, or 1 with line and reason")
    check.add_argument("plan", type=Path)
    check.add_argument("--steps", action="store_true", help="also list every step that the plan could ever take")
    check.set_defaults(run=run_check)


def run_check(arguments: argparse.Namespace) -> int:
    from assay.methods.safety.camel_cua import PlanError, compile_plan

    try:
        plan = compile_plan(_text(arguments.plan))
    except PlanError as error:
        print(f"{arguments.plan}: {error}")
        return 1
    print(f"{arguments.plan}: a plan, sealed as {plan.sha256[:12]}")
    if arguments.steps:
        for symbol in sorted(plan.automaton().alphabet, key=repr):
            sources = [" or ".join(sorted(places)) for places in symbol.sources]
            print(f"  {symbol.primitive}({', '.join([*map(repr, symbol.literals), *sources])})")
    return 0


def run_task(arguments: argparse.Namespace) -> int:
    from assay.methods.safety.camel_cua import DomConsistency, Executor

    if not arguments.url.startswith(("http://", "https://")):
        raise UserError(f"--url: got {arguments.url!r}, wanted an address that begins with http:// or https://")
    plan, perceiver = _plan(arguments), _perceiver(arguments.perceiver)
    print(plan.source)
    _keep(arguments.plan_out, plan.source)
    if not arguments.yes and input("Carry this plan out? [y/N] ").strip().lower() != "y":
        print("Nothing was done.")
        return 0

    from assay.worlds.gui import GuiEnv, open_browser

    with open_browser() as browser, GuiEnv(browser, viewport=(1280, 800)) as env:
        env.open(arguments.url, apps_only=False)
        guards = () if arguments.no_guard else (DomConsistency(),)
        run = Executor(env, perceiver(browser), guards=guards, screenshots=arguments.perceiver != "dom").run(plan)
    lines = [json.dumps({"plan": step.plan, "step": i, "did": step.said}) for i, step in enumerate(run.trace)]
    _keep(arguments.trace_out, "".join(f"{line}\n" for line in lines))
    print(f"{run.outcome}: {run.reason or run.answer or 'done'} ({len(run.trace)} steps)")
    return 1 if run.outcome == "stopped" else 0


def _plan(arguments: argparse.Namespace) -> Plan:
    from assay.methods.safety.camel_cua import ModelPlanner, PlanError, compile_plan

    if arguments.plan is not None:
        source = _text(arguments.plan)
    else:
        from assay.integrations.inspect.models import complete

        source = ModelPlanner(complete(arguments.model)).plan(arguments.task, {"start": arguments.url})
    try:
        return compile_plan(source)
    except PlanError as error:
        raise UserError(f"{arguments.plan or arguments.model}: {error}") from None


def _perceiver(name: str) -> Callable[[Browser], Perceiver]:
    """What makes the perceiver once there is a browser; a wrong name ends before one is opened."""
    from assay.methods.safety.camel_cua import DomPerceiver, ModelPerceiver

    if name == "pixel":
        from assay.engine.needs import missing
        from assay.methods.safety.camel_cua import PixelPerceiver
        from assay.models.control_finder import control_finder

        if why := missing(("tesseract",)):
            raise UserError(f"--perceiver pixel {why}")
        return lambda browser: PixelPerceiver(control_finder(browser))
    if name == "dom":
        return lambda browser: DomPerceiver()
    if "/" not in name:
        raise UserError(f"--perceiver: got {name!r}, wanted dom, pixel or the name of a model, such as openai/gpt-5")
    from assay.integrations.inspect.models import complete

    asked = ModelPerceiver(complete(name))
    return lambda browser: asked


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as text ({error})") from None


def _keep(file: Path | None, text: str) -> None:
    if file is not None:
        from assay.cli.files import replacing

        with replacing(file) as temporary:
            temporary.write_text(text, "utf-8")
