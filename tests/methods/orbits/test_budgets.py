"""Battery and storage against sums worked by hand."""

import pytest

from assay.methods.orbits.budgets import Use, battery_breach, battery_flow, storage_breach
from assay.methods.orbits.satellites import Power, Storage


def test_a_dark_satellite_runs_empty_when_its_idle_drain_says_so():
    power = Power(capacity_wh=100, start_share=0.5, idle_w=60)
    assert battery_breach(power, [], [], 3000) is None  # 50 Wh at 60 W last exactly 3000 s
    breach = battery_breach(power, [], [], 3060)
    assert breach is not None and breach.level == pytest.approx(-1) and breach.limit == "empty"


def test_an_observation_adds_its_drain_while_it_lasts():
    power = Power(capacity_wh=100, start_share=0.5, idle_w=60, observation_w=120)
    flow = battery_flow(power, [Use("observation", 100, 200)], [(150, 300)], 300)
    assert flow == [(0, 100, -60), (100, 150, -180), (150, 200, 300), (200, 300, 420)]


def test_charge_above_the_capacity_is_lost():
    power = Power(capacity_wh=100, start_share=1.0, idle_w=60, charge_w=120)
    # an hour of sun at +60 W adds nothing to a full battery; two dark hours then take 120 Wh
    assert battery_breach(power, [], [(0, 3600)], 3600 + 6000) is None
    assert battery_breach(power, [], [(0, 3600)], 3600 + 6001) is not None


def test_storage_overflows_empties_and_knows_what_was_never_stored():
    storage = Storage(capacity_mb=500, observation_mb_s=40, downlink_mb_s=15)
    observe, send = Use("observation", 0, 10), Use("downlink", 20, 40)
    assert storage_breach(storage, [send, observe]) is None
    full = storage_breach(storage, [observe, Use("observation", 12, 17)])
    assert full is not None and (full.level, full.limit) == (600, "full")
    early = storage_breach(storage, [Use("downlink", 0, 1)])
    assert early is not None and (early.level, early.limit) == (-15, "empty")
    assert storage_breach(storage, [Use("downlink", 0, 1), Use("observation", 2, 14.5)], strict=False) is None
