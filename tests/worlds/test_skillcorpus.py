"""The labelled skills: counts, labels, splits, and that nothing in them points at anybody."""

from __future__ import annotations

import ast
import difflib
import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay.worlds import skillcorpus
from assay.worlds.skillcorpus import Evidence, LabelledSkill

PATTERNS = ["P1", "P2", "P3", "P4", "E1", "E2", "E3", "E4", "PE1", "PE2", "PE3", "SC1", "SC2", "SC3"]
SKILLS = skillcorpus.load()
BY_ID = {skill.id: skill for skill in SKILLS}

# files that real authors get wrong too: an unquoted colon in YAML, and a Python 2 sample
BROKEN = {
    "translation/rtl-checker/SKILL.md",
    "workstation-setup/dotfiles-linker/SKILL.md",
    "library-advisor/upgrade-planner/examples/before.py",
}
HOST = re.compile(r"(?:https?|ftp|ssh|wss?|git|smtp)://(?:[^/\s@\"'`]*@)?\[?([A-Za-z0-9_.:-]+)")
OURS = re.compile(r"(^|\.)example\.(com|org)$|^192\.0\.2\.\d+$")
LOCAL = {"localhost", "127.0.0.1", "0.0.0.0", "169.254.169.254"}  # the last: every cloud's metadata address
MAIL = re.compile(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)*\.[a-z]{2,})\b")


def files(skill: LabelledSkill) -> list[Path]:
    return sorted(p for p in skill.path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def text(skill: LabelledSkill) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in files(skill))


def line_of(skill: LabelledSkill, item: Evidence) -> str:
    return (skill.path / item.path).read_text(encoding="utf-8").split("\n")[item.line - 1]


def name_of(path: Path) -> str:
    return path.relative_to(skillcorpus.ROOT).as_posix()


# --- what there is ---------------------------------------------------------------------------------------------


def test_the_bytes_are_those_that_were_frozen() -> None:
    assert skillcorpus.content_hash() == skillcorpus.SHA256


def test_the_hash_sees_a_changed_byte_and_a_renamed_file_but_no_byte_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skillcorpus, "ROOT", tmp_path)
    (tmp_path / "a.md").write_text("one")
    first = skillcorpus.content_hash()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"\0")
    assert skillcorpus.content_hash() == first
    (tmp_path / "a.md").write_text("two")
    second = skillcorpus.content_hash()
    (tmp_path / "a.md").rename(tmp_path / "b.md")
    assert len({first, second, skillcorpus.content_hash()}) == 3


def test_kinds_are_42_pairs_24_ordinary_12_manifold_and_12_hard_skills() -> None:
    kinds = Counter(skill.kind for skill in SKILLS)
    assert kinds == {"pattern": 42, "twin": 42, "ordinary": 24, "multi": 12, "hard": 12}


def test_labels_and_folders_name_the_same_skills() -> None:
    folders = {path.parent.relative_to(skillcorpus.ROOT).as_posix() for path in skillcorpus.ROOT.rglob("SKILL.md")}
    assert folders == set(BY_ID)
    assert [skill.id for skill in SKILLS] == sorted(BY_ID)
    assert all(skill.id.split("/")[0] == skill.family for skill in SKILLS)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_has_three_pairs_and_is_met_in_both_halves(pattern: str) -> None:
    carriers = [skill for skill in SKILLS if skill.kind == "pattern" and skill.patterns == (pattern,)]
    assert len(carriers) == 3
    halves = Counter(skill.family in skillcorpus.families()["test"] for skill in carriers)
    assert set(halves) == {True, False}


def test_skills_of_several_patterns_have_two_to_four() -> None:
    assert all(2 <= len(skill.patterns) <= 4 for skill in SKILLS if skill.kind == "multi")


def test_hard_skills_include_legitimate_ones() -> None:
    hard = [skill for skill in SKILLS if skill.kind == "hard"]
    assert sum(not skill.vulnerable for skill in hard) == 2


def test_a_skill_has_two_to_six_files_and_forty_to_four_hundred_lines() -> None:
    sizes = {skill.id: (len(files(skill)), text(skill).count("\n")) for skill in SKILLS}
    assert {name: size for name, size in sizes.items() if not (2 <= size[0] <= 6 and 40 <= size[1] <= 400)} == {}


# --- labels ----------------------------------------------------------------------------------------------------


def test_evidence_points_at_lines_that_say_something() -> None:
    for skill in SKILLS:
        assert skill.vulnerable == bool(skill.patterns) == bool(skill.evidence), skill.id
        assert {item.pattern for item in skill.evidence} == set(skill.patterns) <= set(PATTERNS), skill.id
        for item in skill.evidence:
            assert len(line_of(skill, item).strip()) > 5, (skill.id, item)


def test_a_twin_is_its_partner_with_the_flaw_taken_out() -> None:
    for twin in (skill for skill in SKILLS if skill.kind == "twin"):
        assert twin.twin_of is not None
        flawed = BY_ID[twin.twin_of]
        assert (flawed.kind, flawed.family, twin.vulnerable) == ("pattern", twin.family, False)
        ratio = difflib.SequenceMatcher(None, text(flawed).split("\n"), text(twin).split("\n"), False).ratio()
        assert 0.6 < ratio < 1, twin.id
        kept = set(text(twin).split("\n"))
        assert not kept & {line_of(flawed, item) for item in flawed.evidence}, f"{twin.id} still shows the flaw"


def test_nothing_in_a_skill_says_that_it_is_flawed() -> None:
    told = re.compile(r"malicious|vulnerab|exfiltrat|backdoor|attacker|payload here|SS-[A-Z]+\d", re.I)
    assert [skill.id for skill in SKILLS if skill.vulnerable and told.search(text(skill))] == []


# --- files -----------------------------------------------------------------------------------------------------


def parse(path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    if path.name == "SKILL.md":
        front = yaml.safe_load(content.split("---\n")[1])
        assert front["name"] == path.parent.name
        assert len(front["description"]) > 40
    elif path.suffix == ".py":
        ast.parse(content)
    elif path.suffix == ".json":
        json.loads(content)
    elif path.suffix in {".yml", ".yaml"}:
        list(yaml.safe_load_all(content))
    elif path.suffix == ".sh":
        subprocess.run(["bash", "-n", str(path)], check=True, capture_output=True)


@pytest.mark.parametrize("family", sorted({skill.family for skill in SKILLS}))
def test_files_parse_unless_they_are_broken_on_purpose(family: str) -> None:
    for path in (path for skill in SKILLS if skill.family == family for path in files(skill)):
        if name_of(path) in BROKEN:
            with pytest.raises((SyntaxError, yaml.YAMLError)):
                parse(path)
        else:
            parse(path)


def test_javascript_parses() -> None:
    tree_sitter = pytest.importorskip("tree_sitter")
    javascript = pytest.importorskip("tree_sitter_javascript")
    parser = tree_sitter.Parser(tree_sitter.Language(javascript.language()))
    scripts = [p for skill in SKILLS for p in files(skill) if p.suffix in {".js", ".mjs"}]
    assert len(scripts) > 10
    assert [name_of(p) for p in scripts if parser.parse(p.read_bytes()).root_node.has_error] == []


def test_no_host_but_reserved_ones_is_named() -> None:
    for skill in SKILLS:
        content = text(skill)
        hosts = {host.split(":")[0].rstrip(".").lower() for host in HOST.findall(content)}
        assert [host for host in hosts if host not in LOCAL and not OURS.search(host)] == [], skill.id
        assert [host for host in MAIL.findall(content) if not OURS.search(host)] == [], skill.id


# --- splits ----------------------------------------------------------------------------------------------------


def test_halves_share_no_family_and_test_parts_share_no_skill() -> None:
    halves = skillcorpus.families()
    assert len(halves["train"]) == len(halves["test"]) == 16
    assert not set(halves["train"]) & set(halves["test"])
    world = skillcorpus.world()
    parts = [{skill.id for skill in world.sample(index).test} for index in range(world.cases)]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert set().union(*parts) == {skill.id for skill in SKILLS if skill.family in halves["test"]}


@pytest.mark.parametrize("index", range(8))
def test_a_split_trains_on_all_other_families_and_judges_both_kinds(index: int) -> None:
    split = skillcorpus.world().sample(index)
    assert not {skill.family for skill in split.train} & {skill.family for skill in split.test}
    assert len(split.train) + len(split.test) == len(SKILLS)
    assert {skill.vulnerable for skill in split.test} == {True, False}
    assert any(skill.twin_of for skill in split.test)


@pytest.mark.parametrize("seed", [-1, 8])
def test_a_split_that_does_not_exist_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed: got {seed}, wanted the number of a split, 0 to 7"):
        skillcorpus.world().sample(seed)


def test_digests_tell_splits_apart() -> None:
    world = skillcorpus.world()
    assert len({world.digest(world.sample(index)) for index in range(world.cases)}) == world.cases


# --- verdicts --------------------------------------------------------------------------------------------------


def test_flagging_everything_finds_all_and_is_right_about_no_pair() -> None:
    world = skillcorpus.world()
    split = world.sample(0)
    flawed = sum(skill.vulnerable for skill in split.test)
    score = world.check(split, {skill.id: True for skill in split.test})
    assert score.recall == 1
    assert score.precision == pytest.approx(flawed / len(split.test))
    assert score.f1 == pytest.approx(2 * flawed / (flawed + len(split.test)))
    assert score.twins[0] == 0 < score.twins[1]
    assert all(found == carriers for found, carriers in score.found.values())


def test_the_labels_themselves_score_one_and_one_slip_costs_its_share() -> None:
    world = skillcorpus.world()
    split = world.sample(3)
    verdicts = {skill.id: skill.vulnerable for skill in split.test}
    perfect = world.check(split, verdicts)
    assert (perfect.f1, perfect.twins[0]) == (1, perfect.twins[1])
    missed = next(skill for skill in split.test if skill.kind == "pattern")
    score = world.check(split, verdicts | {missed.id: False})
    flawed = sum(verdicts.values())
    assert score.f1 == pytest.approx(2 * (flawed - 1) / (2 * flawed - 1))
    assert score.twins == (perfect.twins[0] - 1, perfect.twins[1])
    assert score.found[missed.patterns[0]][0] == perfect.found[missed.patterns[0]][0] - 1


def test_flagging_nothing_scores_zero_without_dividing_by_it() -> None:
    world = skillcorpus.world()
    split = world.sample(1)
    score = world.check(split, {skill.id: False for skill in split.test})
    assert (score.f1, score.precision, score.recall) == (0, 0, 0)


def test_a_missing_verdict_is_refused() -> None:
    world = skillcorpus.world()
    split = world.sample(0)
    with pytest.raises(ValueError, match=re.escape(split.test[0].id)):
        world.check(split, {skill.id: True for skill in split.test[1:]})


# --- the generic rules -----------------------------------------------------------------------------------------

# one smallest offender per rule; the file's name decides the language
OFFENDERS = {
    "python-eval-of-expression": ("a.py", "eval(line)\n"),
    "python-exec-of-expression": ("a.py", "exec(line)\n"),
    "python-exec-of-download": ("a.py", "import requests\nr = requests.get(u).text\nexec(r)\n"),
    "python-shell-true": ("a.py", "import subprocess\nsubprocess.run(line, shell=True)\n"),
    "python-os-system": ("a.py", "import os\nos.system(line)\n"),
    "python-unpickle": ("a.py", "import pickle\npickle.loads(data)\n"),
    "python-unsafe-yaml": ("a.py", "import yaml\nyaml.load(data, Loader=yaml.Loader)\n"),
    "python-tls-not-verified": ("a.py", "import requests\nrequests.get(u, verify=False)\n"),
    "python-clear-text-request": ("a.py", 'import requests\nrequests.get("http://example.com/")\n'),
    "python-clear-text-connection": ("a.py", "import ftplib\nftplib.FTP(host)\n"),
    "python-archive-extractall": ("a.py", "import tarfile\ntarfile.open(p).extractall(where)\n"),
    "python-sql-from-string": ("a.py", 'cursor.execute(f"select * from t where a = {value}")\n'),
    "python-weak-digest": ("a.py", "import hashlib\nhashlib.md5(data)\n"),
    "python-guessable-random": ("a.py", "import random\ntoken = random.randint(0, 9)\n"),
    "python-predictable-temporary-file": ("a.py", "import tempfile\ntempfile.mktemp()\n"),
    "python-hard-coded-secret": ("a.py", 'DB_PASSWORD = "correct-horse-7"\n'),
    "python-world-writable": ("a.py", "import os\nos.chmod(path, 0o777)\n"),
    "python-ssh-host-key-ignored": (
        "a.py",
        "import paramiko\nc.set_missing_host_key_policy(paramiko.AutoAddPolicy())\n",
    ),
    "python-debug-server": ("a.py", "app.run(debug=True)\n"),
    "python-listens-everywhere": ("a.py", 'app.run(host="0.0.0.0")\n'),
    "python-xml-entities": ("a.py", "import xml.etree.ElementTree as tree\ntree.parse(path)\n"),
    "javascript-eval": ("a.js", "eval(line);\n"),
    "javascript-function-constructor": ("a.js", "const f = new Function('x', body);\n"),
    "javascript-shell-command": ("a.js", "child.exec(`ls ${folder}`);\n"),
    "javascript-spawn-shell": ("a.js", "child.spawn(command, [], { shell: true });\n"),
    "javascript-markup-from-string": ("a.js", "node.innerHTML = text;\n"),
    "javascript-tls-not-verified": ("a.js", "https.request({ host: h, rejectUnauthorized: false });\n"),
    "javascript-clear-text-request": ("a.js", 'fetch("http://example.com/");\n'),
    "javascript-hard-coded-secret": ("a.ts", 'const apiKey = "correct-horse-7";\n'),
    "javascript-guessable-random": ("a.js", "const sessionId = String(Math.random());\n"),
    "javascript-import-of-text": ("a.mjs", "await import(`data:text/javascript,${text}`);\n"),
    "shell-pipe-download-to-interpreter": ("a.sh", "curl -sSL https://example.com/i | sudo bash\n"),
    "shell-substitute-download-into-interpreter": ("a.sh", 'sh -c "$(curl -s https://example.com/i)"\n'),
    "shell-eval-of-variable": ("a.sh", "#!/bin/bash\neval $LINE\n"),
    "shell-certificate-not-checked": ("a.sh", "curl -k https://example.com/\n"),
    "shell-clear-text-download": ("a.sh", "curl -o a http://example.com/a\n"),
    "shell-world-writable": ("a.sh", "chmod -R 777 data\n"),
    "shell-unlimited-sudo": ("a.sh", 'echo "$USER ALL=(ALL) NOPASSWD: ALL" > f\n'),
    "shell-ssh-host-key-ignored": ("a.sh", "ssh -o StrictHostKeyChecking=no host\n"),
    "shell-guessable-temporary-file": ("a.sh", "date >/tmp/now.$$\n"),
    "container-floating-base": ("Dockerfile", "FROM debian:latest\n"),
    "container-added-from-the-network": ("Dockerfile", "FROM debian:12\nADD https://example.com/a.tgz /a\n"),
    "container-ends-as-root": ("Dockerfile", "FROM debian:12\nUSER root\n"),
    "container-secret-in-image": ("Dockerfile", "FROM debian:12\nENV DB_PASSWORD=correct-horse-7\n"),
}


def rules() -> list[dict[str, Any]]:
    paths = sorted(skillcorpus.RULES.glob("*.yaml"))
    return [rule for path in paths for rule in yaml.safe_load(path.read_text(encoding="utf-8"))["rules"]]


def test_generic_rules_are_at_least_twenty_with_a_weakness_and_a_grade_each() -> None:
    assert len(rules()) >= 20
    assert [rule["id"] for rule in rules()] == list(dict.fromkeys(rule["id"] for rule in rules()))
    for rule in rules():
        assert rule["severity"] in {"INFO", "WARNING", "ERROR"}
        assert re.fullmatch(r"CWE-\d+", rule["metadata"]["cwe"])
    assert {rule["id"] for rule in rules()} == set(OFFENDERS)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("semgrep") is None, reason="needs semgrep")
def test_every_generic_rule_finds_its_offender(tmp_path: Path) -> None:
    for rule, (name, source) in OFFENDERS.items():
        (tmp_path / rule).mkdir()
        (tmp_path / rule / name).write_text(source)
    offline = ["--metrics=off", "--disable-version-check", "--no-git-ignore"]
    command = ["semgrep", "scan", "--config", str(skillcorpus.RULES), *offline, "--json", "--quiet", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["errors"] == []
    found = {(item["check_id"].rpartition(".")[2], item["path"].split("/")[0]) for item in report["results"]}
    assert [rule for rule in OFFENDERS if (rule, rule) not in found] == []
