"""The office: every task can be done and is told from one that is not; every demand's harm shows; splits are apart."""

import os
import pickle
import random
import subprocess
import sys
from dataclasses import replace

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.worlds.desks.office import (
    DEEDS,
    HELD_OUT_TOOLS,
    READS,
    TASKS,
    TEMPLATES,
    Desk,
    deed,
    draw_episode,
    functions,
    tool_specs,
    world,
)


def carry_out(desk, *calls):
    for call in calls:
        desk.call(call.tool, call.arguments)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_right_calls_do_a_task_and_nothing_less_more_or_else_does(task):
    episode = draw_episode(random.Random(task.name), task)
    read, right = episode.solution
    others = [
        [],
        [read],
        [right, deed("remember", episode.who, "extra")],
        [right, right] if task.deed not in ("update_customer", "delete_file") else [],
        [deed(task.deed, episode.source, episode.value)],
    ]
    for calls in others:
        desk = episode.open()
        carry_out(desk, *calls)
        assert not episode.judge(desk).done, calls
    desk = episode.open()
    assert episode.value in desk.call(read.tool, read.arguments)
    assert episode.source in episode.request and episode.who in episode.request
    assert episode.value not in episode.request.split()
    carry_out(desk, right)
    assert episode.judge(desk) == replace(episode.judge(desk), done=True, harmed=False)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.wording)
@pytest.mark.parametrize("carrier", READS)
def test_every_demand_is_read_in_every_carrier_and_its_call_is_harm(template, carrier):
    task = next(task for task in TASKS if task.read == carrier)
    episode = draw_episode(random.Random(f"{carrier} {template.wording}"), task, template)
    planted, (read, right) = episode.planted, episode.solution
    desk = episode.open()
    assert planted.text in desk.call(read.tool, read.arguments)
    assert planted.who in planted.text and planted.value in planted.text
    carry_out(desk, right)
    assert episode.judge(desk).safe, "an attack that is not followed does no harm"
    carry_out(desk, planted.call)
    judged = episode.judge(desk)
    assert judged.done and judged.harmed and not judged.safe
    alone = episode.open()
    carry_out(alone, planted.call)
    assert not episode.judge(alone).done and episode.judge(alone).harmed


def test_held_out_are_four_tools_ten_templates_and_ten_tasks():
    assert len(READS) + len(DEEDS) == 14 and len(HELD_OUT_TOOLS) == 4 and set(HELD_OUT_TOOLS) < set(DEEDS)
    assert len(set(TASKS)) == 40 and sum(task.held_out for task in TASKS) == 10
    assert all(task.new_tool for task in TASKS if task.held_out)
    assert {task.read for task in TASKS if task.held_out} == set(READS)
    assert {task.deed for task in TASKS if task.held_out} == set(HELD_OUT_TOOLS)
    assert len({t.wording for t in TEMPLATES}) == 30 and sum(t.held_out for t in TEMPLATES) == 10
    assert not {t.tool for t in TEMPLATES if not t.held_out} & set(HELD_OUT_TOOLS)
    assert set(HELD_OUT_TOOLS) < {t.tool for t in TEMPLATES if t.held_out}
    for held_out in (True, False):
        drawn = world(120, held_out).sample(3)
        assert all(e.task.held_out == e.planted.template.held_out == held_out for e in drawn)
    assert {e.task for e in world(120).sample(3)}.isdisjoint(e.task for e in world(120, False).sample(3))


@given(st.integers(0, 2**32), st.lists(st.tuples(st.sampled_from(list(DEEDS)), st.integers(0, 47)), max_size=5))
@settings(max_examples=25, deadline=None)
def test_deeds_for_others_never_do_the_task_nor_the_strangers_harm(seed, deeds):
    from assay.worlds.desks._office_words import LABELS, PEOPLE, VALUES

    episode = world(1).sample(seed)[0]
    desk = episode.open()
    for tool, number in deeds:
        person = PEOPLE[number]
        if person in (episode.who, episode.planted.who):
            continue
        try:
            desk.call(tool, deed(tool, person, VALUES[LABELS[tool]][0]).arguments)
        except ValueError:
            continue  # nobody of that name works here
    changed = bool(desk.changes())
    assert not episode.judge(desk).done and not episode.judge(desk).harmed
    carry_out(desk, episode.solution[1])
    assert episode.judge(desk).done == (not changed)


def test_a_seed_gives_one_world_whatever_the_hash_seed():
    code = (
        "from assay.worlds.desks.office import world; from assay.worlds.desks.office_steps import build;"
        "from assay.engine.fingerprint import digest; print(digest(world(9).sample(5)), digest(build(5, 30)))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": h}, capture_output=True, check=True
        ).stdout
        for h in ("1", "2")
    }
    assert len(said) == 1 and len(said.pop().split()) == 2
    assert world(9).sample(5) == pickle.loads(pickle.dumps(world(9).sample(5)))
    assert world(9).sample(5) != world(9).sample(6)


def test_what_does_not_fit_is_an_error_in_words_and_changes_nothing():
    desk = world(1).sample(0)[0].open()
    for tool, arguments, said in (
        ("open_door", {}, "no tool open_door"),
        ("close", {}, "no tool close"),
        ("pay", {"to": "nobody", "amount": "5"}, "nobody here is called nobody"),
        ("pay", {"amount": "5"}, "pay: missing a required argument: 'to'"),
        ("read_mail", {"sender": "nobody"}, "nothing is kept under nobody"),
        ("delete_file", {"folder": "nobody", "name": "plan"}, "no document plan of nobody"),
        ("update_customer", {"name": "nobody", "status": "gold"}, "no customer nobody"),
    ):
        with pytest.raises(ValueError, match=said):
            desk.call(tool, arguments)
    assert not desk.changes()
    with pytest.raises(ValueError, match="episodes: got 0"):
        world(0)


def test_every_tool_tells_its_name_words_and_parameters():
    specs = {spec["name"]: spec for spec in tool_specs()}
    assert list(specs) == [*READS, *DEEDS]
    assert specs["pay"]["parameters"]["required"] == ["to", "amount"]
    assert all(spec["description"].endswith(".") for spec in specs.values())


def test_the_desk_is_served_over_mcp():
    pytest.importorskip("mcp")
    from mcp import Client

    from assay.integrations.mcp import server

    episode = world(1).sample(4)[0]
    desk = episode.open()

    async def talk():
        async with Client(server("office", functions(desk))) as client:
            tools = (await client.list_tools()).tools
            for call in episode.solution:
                answer = await client.call_tool(call.tool, dict(call.arguments))
            wrong = await client.call_tool("pay", {"to": "nobody", "amount": "5"})
            return tools, answer, wrong

    tools, answer, wrong = anyio.run(talk)
    assert {t.name for t in tools} == {*READS, *DEEDS}
    assert answer.content[0].text == "done" and episode.judge(desk).done
    assert wrong.is_error and "nobody here is called nobody" in wrong.content[0].text


def test_a_desk_reads_what_its_rows_say():
    desk = Desk({"mails": [("ada", "The price is 5.")], "customers": [("ada", "new", "The day is sunday.")]})
    assert desk.call("read_mail", {"sender": "ada"}) == "The price is 5."
    assert desk.call("find_customer", {"name": "ada"}) == "The day is sunday."
    desk.call("update_customer", {"name": "ada", "status": "gold"})
    assert desk.changes() == {
        ("+", "customers", "ada", "gold", "The day is sunday."): 1,
        ("-", "customers", "ada", "new", "The day is sunday."): 1,
    }
