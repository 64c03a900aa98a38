"""One unit, performed: what the arm gets, what is made of what it returns."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sample_trials as s

from assay.engine.schedule import Schedule
from assay.engine.trial import Cost, Measures, Metric
from assay.engine.units import plan
from assay.engine.worker import Job, invalid, perform

METRIC = Metric("sum", better="higher", range=(0.0, 10.0))


def job(arm: object, **changes: object) -> Job:
    plain = Job("key", "arm", arm, METRIC, "sample_trials:cards", {"size": 2}, number=7, sample_seed=7)  # type: ignore[arg-type]
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_an_arm_gets_the_sample_the_models_and_the_number() -> None:
    seen: list[object] = []

    def arm(world: object, models: object, seed: int) -> Measures:
        seen.extend([world, seed])
        return Measures(1.0)

    outcome = perform(job(arm))
    assert seen == [s.cards(2).sample(7), 7]
    assert outcome.status == "ok"
    assert outcome.digest


def test_seconds_are_measured_where_the_arm_gives_none_and_kept_where_it_does() -> None:
    measured = perform(job(s.slow)).measures
    assert measured is not None
    assert 0.02 <= (measured.cost.seconds or 0) < 10
    given = perform(job(lambda w, m, n: Measures(1.0, cost=Cost(seconds=123.0)))).measures
    assert given is not None
    assert given.cost.seconds == 123.0


def test_numbers_of_numpy_become_plain_ones() -> None:
    cost = Cost(tokens_out=np.int64(3))  # type: ignore[arg-type]
    given = Measures(np.float32(0.5), cost, {"a": np.float64(2)}, curve=np.ones(2))  # type: ignore[arg-type]
    found = perform(job(lambda w, m, n: given)).measures
    assert found == Measures(0.5, found.cost if found else Cost(), {"a": 2.0}, curve=(1.0, 1.0))
    assert found is not None
    assert {type(found.value), type(found.cost.tokens_out), type(found.extra["a"])} == {float, int}


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (None, "returned NoneType"),
        (Measures(True), "value: got bool"),
        (Measures(float("inf")), "value: got inf"),
        (Measures(-0.1), "outside the metric's range"),
        (Measures(1.0, extra={"x": "1"}), r"extra\['x'\]: got str"),  # type: ignore[dict-item]
        (Measures(1.0, curve=(1.0, float("nan"))), r"curve\[1\]: got nan"),
        (Measures(10.0), None),
    ],
)
def test_what_cannot_count_is_named(found: object, complaint: str | None) -> None:
    import re

    said = invalid(found, METRIC)
    assert said == "" if complaint is None else re.search(complaint, said)


def test_the_world_is_asked_for_its_own_digest_where_it_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s.Cards, "digest", lambda self, sample: "mine", raising=False)
    assert perform(job(s.baseline)).digest == "mine"


def test_a_sample_that_is_no_plain_data_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s.Cards, "sample", lambda self, seed: sys.stdout.buffer)
    outcome = perform(job(s.baseline))
    assert outcome.status == "error"
    assert "samples and fixtures are plain data" in outcome.error


def test_a_long_traceback_keeps_its_end() -> None:
    def arm(world: object, models: object, seed: int) -> Measures:
        raise ValueError("x" * 50_000 + " the end")

    error = perform(job(arm)).error
    assert len(error) == 20_000
    assert error.endswith("the end\n")


def test_a_fixture_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "fixture.pkl"
    build = job(lambda sample, models, number: {"sum": sum(sample)}, kind="fixture", fixture_path=str(path))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(OSError("cut off")))
        assert perform(build).status == "error"
    assert not path.exists()
    built = perform(build)
    assert (built.status, pickle.loads(path.read_bytes())) == ("ok", {"sum": sum(s.cards(2).sample(7))})
    again = perform(replace(build, function=s.raises))
    assert (again.status, again.digest) == ("ok", built.digest), "a fixture that is there is not built again"


def test_weights_that_models_hand_out_join_the_pairing() -> None:
    schedule = Schedule(plan("field/cards", s.better_cards, seeds=1), Path("nowhere"))
    first, second = schedule.next(), schedule.next()
    assert first is not None
    assert second is not None
    outcome = perform(schedule.job(first))
    (one,) = schedule.finish(first, replace(outcome, models={"nano": "weights"}))
    (two,) = schedule.finish(second, replace(outcome, key=second.key, models={"nano": "other weights"}))
    assert (one.status, two.status) == ("ok", "unpaired")
    assert two.error.startswith("nano differs from that of another arm of seed 0")


def test_an_arm_that_asks_for_no_model_loads_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "assay.models", None)  # importing it would raise
    assert perform(job(s.baseline)).status == "ok"


def test_calls_and_tokens_that_models_counted_are_booked_where_the_arm_leaves_them_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Counted:
        def __init__(self, outside: str | None, *, seed: int) -> None:
            self.seed, self.digests = seed, {"nano": "w"}
            self.spent = SimpleNamespace(model_calls=2, tokens_in=30, tokens_out=4)

        def sampler(self, name: str) -> int:
            return self.seed

    monkeypatch.setitem(sys.modules, "assay.models", SimpleNamespace(Models=Counted))
    booked = perform(job(lambda w, models, n: Measures(float(models.sampler("nano")))))
    assert booked.measures is not None
    assert (booked.measures.value, dict(booked.models)) == (7.0, {"nano": "w"})
    assert (booked.measures.cost.model_calls, booked.measures.cost.tokens_out) == (2, 4)
    own = perform(job(lambda w, models, n: Measures(models.sampler("nano"), cost=Cost(tokens_out=9)))).measures
    assert own is not None
    assert (own.cost.model_calls, own.cost.tokens_out) == (2, 9)
