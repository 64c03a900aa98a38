"""Runs a sealed plan: what a perceiver says fills values and chooses branches, and can do nothing else.

Every step is held against the plan's automaton before it reaches the environment, and every value carries where it
came from, so that text of the screen flows only where the policy lets it.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from assay.methods.screens import Click, Drag, Goto, GuiAction, GuiEnv, GuiObs, Key, Node, Scroll, Type, origin

from ._camel_automaton import SCHEMAS, Symbol, call_source, called, literal_number, literals_of, source_of
from ._camel_plan import Plan, repeats

SECRET = frozenset({"password", "payment"})


class ControlFlowViolation(RuntimeError):
    """A step that the sealed plan does not contain here. Nothing was done."""


class NotSealed(RuntimeError):
    """Something wanted to look at the screen before the plan was sealed."""


class PerceptionError(RuntimeError):
    """A perceiver found nothing, or gave what is no point, boolean or bounded text. The run stops safely."""


class FlowRefused(RuntimeError):
    """Text of the screen was to be typed where the policy does not let it go. The run stops safely."""


@dataclass(frozen=True)
class Value:
    """A text, point or boolean of a run: `sources` say which calls of the plan it came from, `origins` which pages.

    Without origins it is the user's or the plan's own.
    """

    content: str | tuple[float, float] | bool
    sources: frozenset[str]
    origins: frozenset[str] = frozenset()

    @property
    def untrusted(self) -> bool:
        return bool(self.origins)


class Perceiver(Protocol):
    """Looks at one screen and fills one value; it holds no tools and is given nothing else."""

    def find(self, seen: GuiObs, description: str) -> tuple[float, float]: ...

    def ask_bool(self, seen: GuiObs, question: str) -> bool: ...

    def ask_text(self, seen: GuiObs, question: str, schema: str, max_length: int) -> str: ...


@dataclass(frozen=True)
class Policy:
    """Where text of the screen may be typed: into fields of the page it was read on, never where a password or a
    payment is asked for. `user_fields` are names of fields that the user's task names: text of any page may go there.
    """

    user_fields: frozenset[str] = frozenset()

    def allow_flow(self, source: str, destination: str, field: Node) -> bool:
        """Whether text that was read at `source` may be typed into `field` of a page at `destination`."""
        if SECRET & set(field.states):
            return False
        return source == destination or field.name in self.user_fields


class Guard(Protocol):
    """A second look at a point before it is used: why it is refused, or ''."""

    def __call__(self, env: GuiEnv, seen: GuiObs, description: str, point: tuple[float, float]) -> str: ...


@dataclass(frozen=True)
class Traced:
    """One step of a run as it was done, after the check."""

    symbol: Symbol
    said: str
    plan: str


@dataclass
class Run:
    """How a run ended. "stopped" is the safe stop, with its reason; "ended" is a plan that came to its end."""

    plan: str
    outcome: Literal["finished", "ended", "stopped"] = "ended"
    answer: str | None = None
    reason: str = ""
    trace: list[Traced] = field(default_factory=list)


class _Break(Exception):
    pass


class _Finished(Exception):
    pass


class Executor:
    """Carries out one plan at a time in `env`, asking `perceiver`, which is shown pictures with `screenshots`.

    `guards` look at every point a second time.

    `run` seals the plan before the first observation: the SHA-256 of its text is in every line of the trace. What a
    perceiver gives that is of no use ends the run "stopped". `ControlFlowViolation` and `NotSealed` are errors of the
    program around the plan and are raised, as are the environment's own.
    """

    def __init__(
        self,
        env: GuiEnv,
        perceiver: Perceiver,
        policy: Policy | None = None,
        *,
        guards: Sequence[Guard] = (),
        max_steps: int = 100,
        screenshots: bool = False,
    ) -> None:
        if max_steps < 1:
            raise ValueError(f"max_steps: got {max_steps}, wanted at least 1")
        self._env, self._perceiver, self._policy = env, perceiver, policy or Policy()
        self._guards, self._max_steps, self._screenshots = tuple(guards), max_steps, screenshots
        self._run: Run | None = None
        self._seen: GuiObs | None = None

    def run(self, plan: Plan, inputs: Mapping[str, str] | None = None) -> Run:
        """Carry out the plan; `inputs` are the user's data under the names that the plan was compiled with.

        Raises ValueError where inputs are missing or unknown, ControlFlowViolation (see above).
        """
        given = dict(inputs or {})
        if set(given) != set(plan.inputs):
            raise ValueError(f"inputs: got {sorted(given)}, wanted {sorted(plan.inputs)}")
        run = self._seal(plan)
        self._names = {name: Value(text, frozenset({f"user:{name}"})) for name, text in given.items()}
        try:
            self._block(plan.tree.body)
        except _Finished:
            run.outcome = "finished"
        except (PerceptionError, FlowRefused) as error:
            run.outcome, run.reason = "stopped", str(error)
        self._run = None
        return run

    def _seal(self, plan: Plan) -> Run:
        self._automaton = plan.automaton()
        self._at = self._automaton.start()
        self._seen = None
        self._run = Run(plan.sha256)
        return self._run

    # --- what every step goes through ---------------------------------------------------------------------------

    def observe(self) -> GuiObs:
        """The screen as the run knows it. Raises NotSealed where no plan is sealed."""
        if self._run is None:
            raise NotSealed("no plan is sealed: the screen is not to be seen yet")
        if self._seen is None or (self._screenshots and self._seen.screenshot is None):
            self._seen = self._env.observe(self._screenshots)
        return self._seen

    def _take(self, symbol: Symbol, said: str = "") -> None:
        """Check a step against the plan and write it down; only then may it be done."""
        if self._run is None:
            raise NotSealed("no plan is sealed: nothing is to be done yet")
        after = self._automaton.step(self._at, symbol)
        if not after:
            raise ControlFlowViolation(f"{symbol.primitive}{symbol.literals} is not a step of the sealed plan here")
        if len(self._run.trace) >= self._max_steps:
            raise PerceptionError(f"{self._max_steps} steps were not enough")
        self._at = after
        self._run.trace.append(Traced(symbol, said, self._run.plan))

    def _do(self, action: GuiAction) -> None:
        self._seen = self._env.step(action)

    # --- statements ---------------------------------------------------------------------------------------------

    def _block(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            self._names[node.targets[0].id] = self._value(node.value)  # type: ignore[attr-defined]
        elif isinstance(node, ast.Expr):
            self._call(node.value)  # type: ignore[arg-type]
        elif isinstance(node, ast.If):
            self._block(node.body if self._true(node.test) else node.orelse)
        elif isinstance(node, ast.For):
            try:
                for _ in range(repeats(node)):
                    self._block(node.body)
            except _Break:
                return
        elif isinstance(node, ast.With):
            self._retry(node)
        elif isinstance(node, ast.Break):
            raise _Break
        else:
            raise _Finished  # return

    def _retry(self, node: ast.With) -> None:
        last = repeats(node) - 1
        for attempt in range(last + 1):
            try:
                self._block(node.body)
                return
            except PerceptionError:
                if attempt == last:
                    raise
                self._seen = None  # look again

    # --- expressions --------------------------------------------------------------------------------------------

    def _true(self, node: ast.expr) -> bool:
        if isinstance(node, ast.BoolOp):
            every = isinstance(node.op, ast.And)
            return all(map(self._true, node.values)) if every else any(map(self._true, node.values))
        if isinstance(node, ast.UnaryOp):
            return not self._true(node.operand)
        if isinstance(node, ast.Compare):
            among = {v.value for v in node.comparators[0].elts}  # type: ignore[attr-defined]
            return (self._value(node.left).content in among) == isinstance(node.ops[0], ast.In)
        return self._value(node).content is True

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant):
            return Value(node.value, source_of(node, {}))  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            if node.id not in self._names:
                raise PerceptionError(f"line {node.lineno}: {node.id!r} has no value on this way through the plan")
            return self._names[node.id]
        if isinstance(node, ast.JoinedStr):
            parts = [self._value(p.value if isinstance(p, ast.FormattedValue) else p) for p in node.values]
            return Value(
                "".join(str(p.content) for p in parts),
                frozenset().union(*(p.sources for p in parts)),
                frozenset().union(*(p.origins for p in parts)),
            )
        if isinstance(node, ast.Call):
            return self._call(node)
        return Value(self._true(node), frozenset())

    def _call(self, node: ast.Call) -> Value:
        name = called(node)
        literals = [a.value for a in node.args if isinstance(a, ast.Constant)]
        source = frozenset({call_source(name, literals)})
        if name in ("find", "ask_bool", "ask_text", "verify"):
            return self._perceive(name, node, source)
        if name == "finish":
            return self._finish(node)
        values = [self._value(a) for a in node.args if literal_number(a) is None]
        getattr(self, f"_{name}")(node, *values)
        return Value(True, source)

    def _perceive(self, name: str, node: ast.Call, source: frozenset[str]) -> Value:
        literals = literals_of(node)
        question = str(literals[0])
        seen = self.observe()
        self._take(Symbol(name, literals), f"{name}({question!r})")
        here = frozenset({origin(seen.url)})
        if name == "find":
            return Value(self._point(seen, question), source, here)
        if name == "ask_text":
            kind, longest = str(literals[1]), int(literals[2])
            return Value(self._text(seen, question, kind, longest), source, here)
        answer = self._perceiver.ask_bool(seen, question)
        if not isinstance(answer, bool):
            raise PerceptionError(f"{question!r}: got {type(answer).__name__}, wanted true or false")
        if name == "verify" and not answer:
            raise PerceptionError(f"could not verify {question!r}")
        return Value(answer, source, here)

    def _point(self, seen: GuiObs, description: str) -> tuple[float, float]:
        found: object = self._perceiver.find(seen, description)
        if not isinstance(found, tuple) or len(found) != 2 or not all(isinstance(v, int | float) for v in found):
            raise PerceptionError(f"{description!r}: got {type(found).__name__}, wanted a point (x, y)")
        x, y = map(float, found)
        width, height = self._env.viewport
        if not (math.isfinite(x) and math.isfinite(y) and 0 <= x < width and 0 <= y < height):
            raise PerceptionError(f"{description!r}: got ({x:g}, {y:g}), wanted a point inside {width} x {height}")
        for guard in self._guards:
            if refused := guard(self._env, seen, description, (x, y)):
                raise PerceptionError(refused)
        return x, y

    def _text(self, seen: GuiObs, question: str, schema: str, longest: int) -> str:
        found: object = self._perceiver.ask_text(seen, question, schema, longest)
        if not isinstance(found, str):
            raise PerceptionError(f"{question!r}: got {type(found).__name__}, wanted text")
        if len(found) > longest or not re.fullmatch(SCHEMAS[schema], found):
            raise PerceptionError(
                f"{question!r}: got {found[:40]!r}, wanted at most {longest} characters as {schema!r}"
            )
        return found

    # --- primitives that act ------------------------------------------------------------------------------------

    def _goto(self, node: ast.Call, url: Value) -> None:
        self._take(Symbol("goto", (str(url.content),)), f"goto({url.content!r})")
        self._do(Goto(str(url.content)))

    def _click(self, node: ast.Call, point: Value) -> None:
        x, y = _xy(point)
        self._take(Symbol("click", (), (point.sources,)), f"click({x:.0f}, {y:.0f})")
        self._do(Click(x, y))

    def _type_text(self, node: ast.Call, point: Value, text: Value) -> None:
        x, y = _xy(point)
        if text.untrusted:
            self._check_flow(x, y, text)
        self._take(Symbol("type_text", (), (point.sources, text.sources)), f"type_text({text.content!r})")
        self._do(Type(str(text.content), x, y, clear=True))

    def _press(self, node: ast.Call, key: Value) -> None:
        self._take(Symbol("press", (str(key.content),)), f"press({key.content!r})")
        self._do(Key(str(key.content)))

    def _scroll(self, node: ast.Call) -> None:
        dy = literal_number(node.args[0]) or 0
        self._take(Symbol("scroll", (dy,)), f"scroll({dy})")
        width, height = self._env.viewport
        self._do(Scroll(width / 2, height / 2, dy))

    def _drag(self, node: ast.Call, start: Value, end: Value) -> None:
        self._take(Symbol("drag", (), (start.sources, end.sources)), "drag")
        self._do(Drag((_xy(start), _xy(end))))

    def _finish(self, node: ast.Call) -> Value:
        answer = self._value(node.args[0]) if node.args else None
        self._take(Symbol("finish", (), (answer.sources,) if answer else ()), "finish")
        if self._run is not None and answer is not None:
            self._run.answer = str(answer.content)
        raise _Finished

    def _check_flow(self, x: float, y: float, text: Value) -> None:
        node, here = self._env.node_at(x, y), origin(self.observe().url)
        if node is None:
            raise FlowRefused("there is no field at the point where text of the screen was to be typed")
        for source in text.origins:
            if not self._policy.allow_flow(source, here, node):
                raise FlowRefused(f"text of {source} may not be typed into {node.name!r} at {here}")


def _xy(point: Value) -> tuple[float, float]:
    assert isinstance(point.content, tuple), "the plan was checked: only a point can stand here"
    return point.content
