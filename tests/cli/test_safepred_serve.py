"""`assay serve safepred`: tools of another MCP server behind a guard that foresees."""

import json

import pytest

pytest.importorskip("mcp")

import anyio
from mcp import Client

from assay.cli.main import main
from assay.cli.safepred_serve import Watch
from assay.integrations.mcp import guarded, server
from assay.methods.safety.safepred import LLMWorldModel, ReactiveGuard, SafePred, extract_policies

RULES = extract_policies("Backup copies must never be deleted.")
PAGE = 'Page URL: http://x.test/disk?a=1\n- heading "Disk"\n- button "Clean": ref=e1'


def click(element: str) -> str:
    """Press something."""
    return PAGE


def through(guard, *elements):
    """What a browser's tools answer behind the guard, one press after another."""
    watch = Watch(guard, "Free space")

    async def talk():
        inner = Client(server("browser", {"click": click}))
        async with inner, Client(guarded(inner, watch.before_call, after_call=watch.after_call)) as outer:
            return [await outer.call_tool("click", {"element": element}) for element in elements]

    return anyio.run(talk)


def test_a_call_whose_words_break_a_policy_is_held_back_with_the_reason():
    fine, held = through(ReactiveGuard(RULES), "Clean", "Delete backup copies")
    assert fine.content[0].text == PAGE
    assert held.is_error
    assert held.content[0].text.startswith("Held back: the screen or the action itself says so. do not call click")


def test_a_world_model_sees_the_page_of_the_last_result_and_what_ran():
    asked = []

    async def complete(prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        asked.append(prompt)
        return json.dumps({"violated_policy_ids": ["P000"] if "Clean" in prompt.split("Action:")[1] else []})

    results = through(SafePred(LLMWorldModel(complete), RULES), "Open the disk", "Clean", "Look")
    assert [result.is_error for result in results] == [False, True, False]
    assert "Page: Disk (http://x.test/disk)" in asked[1]
    assert 'Done before: call click {"element": "Open the disk"}' in asked[2], "the press held back never ran"


def test_files_that_are_wrong_end_in_one_line(tmp_path, capsys):
    (tmp_path / "p.json").write_text("[]")
    assert main(["serve", "safepred", "--policies", str(tmp_path / "p.json"), "--", "no-such-server"]) == 2
    assert "got none, wanted at least one" in capsys.readouterr().err
