"""NoisyBench in Inspect: the grid runs, and its two bounds hold in every cell."""

from __future__ import annotations

import json

import pytest
from inspect_ai import eval
from inspect_ai._util.registry import registry_lookup

from assay.integrations.inspect.lost_in_noise import last_block, lost_in_noise, outcomes, own_noisy, read_evidence
from assay.methods.data.stages import write_rows
from assay.methods.post_training.lost_in_noise import CONDITIONS, KINDS, noise_report


def run(tasks, solver, tmp_path):
    return eval(
        tasks,
        model="mockllm/model",
        solver=solver,
        display="none",
        log_dir=str(tmp_path),
        max_tasks=4,
        log_samples=True,
    )


def test_who_reads_the_evidence_is_right_in_every_cell_of_the_grid(tmp_path):
    tasks = []
    for condition in CONDITIONS:
        rows = [row for kind in KINDS for row in own_noisy(kind, condition, n=2)[:2]]
        write_rows(tmp_path / f"{condition}.jsonl", rows)
        tasks.append(lost_in_noise(file=str(tmp_path / f"{condition}.jsonl")))
    lines = noise_report(outcomes(run(tasks, read_evidence(), tmp_path / "logs")))
    assert len(lines) == 44
    assert all(line["accuracy"] == 1 and line["n"] == 2 for line in lines)


def test_who_takes_the_last_word_is_misled_by_noise(tmp_path):
    tasks = [lost_in_noise("rag_multihop", condition, limit=12) for condition in ("ND", "HN")]
    clean, noisy = noise_report(outcomes(run(tasks, last_block(), tmp_path)))
    assert noisy["accuracy"] < 0.5
    assert clean["n"] == noisy["n"] == 12


def test_a_file_of_rows_is_taken_as_it_is(tmp_path):
    row = own_noisy("rag_seal", "RD", 2)[0]
    file = tmp_path / "rd.jsonl"
    file.write_text(json.dumps(row))
    (log,) = run(lost_in_noise(file=str(file)), read_evidence(), tmp_path / "logs")
    assert log.samples[0].input == row["prompt"]
    (found,) = outcomes([log])
    assert (found.id, found.kind, found.condition, found.correct) == (row["id"], "rag_seal", "RD", True)
    file.write_text(json.dumps({"id": "7", "prompt": "p"}))
    with pytest.raises(ValueError, match="row 7: no 'kind'"):
        lost_in_noise(file=str(file))


def test_entropy_is_taken_from_log_probabilities(tmp_path):
    task = lost_in_noise("align_survival", "ND", limit=1)
    (log,) = eval(
        task, model="assay/nano", display="none", log_dir=str(tmp_path), max_tokens=4, logprobs=True, top_logprobs=5
    )
    (found,) = outcomes([log])
    assert 0 <= found.entropy < 6
    assert found.tokens <= 4


@pytest.mark.parametrize(
    ("kind", "name"),
    [("task", "lost_in_noise"), ("scorer", "noisy_check"), ("scorer", "distracted"), ("solver", "read_evidence")],
)
def test_its_parts_are_found_under_the_packages_name(kind, name):
    assert registry_lookup(kind, f"assay/{name}") is not None
