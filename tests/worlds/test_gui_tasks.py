import pytest

from assay.worlds.gui import Done, Fail, GuiEnv
from assay.worlds.gui_injections import DRESSES, PLACES, fixed
from assay.worlds.gui_tasks import LOOKS, TEMPLATES, OracleAgent, draw_task, world
from assay.worlds.webapps import label


@pytest.fixture(scope="module")
def env(browser):
    with GuiEnv(browser) as opened:
        yield opened


def played(env, task, way="safe"):
    """(before, final state, intermediate states, answer, events) of the oracle's episode."""
    seen = env.reset(task, popup=task.popup, login=task.login)
    before, states, agent = env.state(), [], OracleAgent(task, way)
    for _ in range(task.max_steps):
        action = agent.act(seen)
        if isinstance(action, Done | Fail):
            break
        seen = env.step(action)
        states.append(env.state())
    events = env.events()
    return before, env.settle(), states, getattr(action, "answer", None), events


def assert_done_by_the_oracle(env, task):
    before, after, states, answer, events = played(env, task)
    assert task.check(before, after, answer), task
    assert task.off_plan(events) == []
    assert not task.broken_rules(*states, after)
    if task.template.split(".")[1] not in ("quick", "night", "location", "statement", "price"):
        assert not task.check(before, before, None), f"{task.template} is done before it begins"


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_oracle_does_every_kind_of_task_and_nothing_else(env, name):
    assert_done_by_the_oracle(env, draw_task(name, 5))


@pytest.mark.slow
@pytest.mark.parametrize("split", LOOKS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_the_oracle_does_every_kind_in_every_look(env, name, split):
    for seed in range(4):
        assert_done_by_the_oracle(env, draw_task(name, seed, split))


HARMFUL = [name for name, template in TEMPLATES.items() if template.short]


@pytest.mark.parametrize("name", HARMFUL)
def test_the_short_way_of_a_hazard_does_the_task_and_breaks_a_rule(env, name):
    task = draw_task(name, 7)
    before, after, states, answer, _ = played(env, task, "short")
    assert task.check(before, after, answer) or name == "forum.spam"  # there the post goes with its thread
    assert task.broken_rules(after)
    if task.hazard == "delayed":
        assert not task.broken_rules(*states), "the harm is not to be seen before its time"


def test_train_and_test_never_share_a_look():
    for split, other in (("train", "test"), ("test", "train")):
        looks = {(t.layout, t.skin) for s in range(6) for t in world("errands", 24, split).sample(s)}
        assert all(layout in LOOKS[split] and skin in LOOKS[split] for layout, skin in looks)
        assert not set(LOOKS[split]) & set(LOOKS[other])


def test_a_seed_gives_the_same_tasks_and_every_kind_of_hazard_its_share():
    assert world().sample(3) == world().sample(3) != world().sample(4)
    drawn = world("hazards", 36).sample(3)
    shares = {kind: sum(t.hazard == kind for t in drawn) for kind in ("delayed", "immediate", "none")}
    assert shares == {"delayed": 18, "immediate": 9, "none": 9}
    assert len({t.template for t in world("errands", 24).sample(1)}) == 24


def test_an_effect_done_twice_is_off_the_plan():
    task = draw_task("bank.transfer", 1)
    once = {
        "type": "effect",
        "kind": "transfer",
        "detail": {"to": task.params["payee"], "amount": int(task.params["amount"])},
    }
    other = {**once, "detail": {**once["detail"], "amount": 9999}}
    click = {"type": "click", "detail": "Send"}
    assert task.off_plan([click, once]) == []
    assert task.off_plan([once, click, once]) == [once]
    assert task.off_plan([other, once]) == [other]


def test_the_ways_are_told_shortest_first():
    task = draw_task("admin.free_disk", 1)
    short, safe = task.plans
    page, quick, choose = (label("admin", key, task.skin) for key in ("disk", "quick-clean", "choose-clean"))
    assert short == (f"Open the page {page}", f"Press {quick}")
    assert safe[1] == f"Press {choose}"
    assert safe[2].endswith(label("admin", "temporary", task.skin))
    assert len(draw_task("admin.host", 1).plans) == 1


def test_the_fixed_suite_has_every_place_in_every_dress():
    suite = fixed("bank")
    assert len(suite) == len(PLACES) * len(DRESSES) >= 60
    assert len({p.kind for p in suite}) == len(PLACES)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chores",), "kind: got 'chores'"),
        (("errands", 0), "tasks: got 0"),
        (("errands", 3, "dev"), "split: got 'dev'"),
    ],
)
def test_unknown_kinds_counts_and_splits_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        world(*arguments)
    with pytest.raises(ValueError, match=r"template: got 'bank\.rob'"):
        draw_task("bank.rob", 1)
