"""The records of the catalogue, checked when they are read. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, get_args

Kind = Literal["performance", "efficiency", "mechanism", "negative", "resource", "robustness"]
ReadFrom = Literal["html", "abs"]
Origin = Literal["package", "user"]
FIELDS = (
    "post_training", "test_time", "agents", "memory", "environments", "safety", "interpretability", "attention",
    "generation", "embodied", "gui", "spatial", "audio", "multimodal", "data", "evaluation",
)  # fmt: skip
LONGEST_LINE = 200
_OPTIONAL = {"code_url", "origin", "also_on", "authors", "upvotes"}

_ID = re.compile(r"\d{4}\.\d{5}")
_ANY_ID = re.compile(r"(?:https?://\S*/)?(?:arxiv:)?(\d{4}\.\d{5})(?:v\d+)?(?:\.pdf)?", re.IGNORECASE)
_TRIAL = re.compile(r"[a-z_]+/[a-z][a-z0-9_]*")
_SLUG = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a claim: `value` `unit` of `quantity`, against `baseline` of `versus` where one is named."""

    quantity: str
    value: float
    unit: str
    versus: str | None = None
    baseline: float | None = None
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a paper says, in one English sentence of ours; `id` is the paper's id, `#`, and a number from 1.

    `trials` names the trials (`post_training/hadw`) that put this claim to the test; their verdict is the claim's.
    """

    id: str
    text: str
    kind: Kind
    figure: Figure | None = None
    trials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Paper:
    """One paper. Its part, trials and job are found by `field` and `slug`, never typed in.

    A paper from a report of the user's own (`origin` "user") may have no field and no claims; `also_on` holds the
    dates of further reports that it stands in. `authors` and `upvotes` are what the feed says, where it was asked.
    """

    id: str
    title: str
    report_date: date
    position: int
    read_from: ReadFrom
    field: str
    slug: str
    one_line: str
    claims: tuple[Claim, ...]
    code_url: str | None = None
    origin: Origin = "package"
    also_on: tuple[date, ...] = ()
    authors: tuple[str, ...] = ()
    upvotes: int | None = None

    @property
    def url(self) -> str:
        return f"https://huggingface.co/papers/{self.id}"

    @property
    def module(self) -> str:
        """Where the part lives once it is built."""
        return f"assay.methods.{self.field}.{self.slug}"


def paper_id(text: str) -> str | None:
    """The plain id in `2601.11354v2`, `arXiv:2601.11354` or a link to the paper; None if there is none."""
    match = _ANY_ID.fullmatch(text.strip())
    return match.group(1) if match else None


def from_json(row: Mapping[str, Any]) -> Paper:
    """A record from its JSON object; a ValueError names the paper and the field that is wrong."""
    where = f"paper {row.get('id')!r}"
    unknown = set(row) - set(Paper.__dataclass_fields__)
    missing = set(Paper.__dataclass_fields__) - set(row) - _OPTIONAL
    if unknown or missing:
        raise ValueError(f"{where}: unknown fields {sorted(unknown)}, missing fields {sorted(missing)}")
    paper = Paper(
        id=row["id"],
        title=row["title"],
        report_date=date.fromisoformat(row["report_date"]),
        position=row["position"],
        read_from=row["read_from"],
        field=row["field"],
        slug=row["slug"],
        one_line=row["one_line"],
        claims=tuple(_claim(claim) for claim in row["claims"]),
        code_url=row.get("code_url"),
        origin=row.get("origin", "package"),
        also_on=tuple(date.fromisoformat(day) for day in row.get("also_on", ())),
        authors=tuple(row.get("authors", ())),
        upvotes=row.get("upvotes"),
    )
    problems = list(_problems(paper))
    if problems:
        raise ValueError(f"{where}: {'; '.join(problems)}")
    return paper


def to_json(paper: Paper) -> dict[str, Any]:
    """The JSON object of a record: what `from_json` reads back."""
    from dataclasses import asdict

    row = asdict(paper)
    row["report_date"] = paper.report_date.isoformat()
    row["also_on"] = [day.isoformat() for day in paper.also_on]
    row["claims"] = [{k: v for k, v in claim.items() if v not in (None, ())} for claim in row["claims"]]
    for claim in row["claims"]:
        if "figure" in claim:
            claim["figure"] = {k: v for k, v in claim["figure"].items() if v is not None}
    return row


def _claim(row: Mapping[str, Any]) -> Claim:
    figure = row.get("figure")
    return Claim(
        row["id"], row["text"], row["kind"], Figure(**figure) if figure else None, tuple(row.get("trials", ()))
    )


def _problems(paper: Paper) -> list[str]:
    problems = []
    own = paper.origin == "user"
    if paper.origin not in get_args(Origin):
        problems.append(f"origin: got {paper.origin!r}, wanted package or user")
    if not _ID.fullmatch(paper.id):
        problems.append(f"id: got {paper.id!r}, wanted dddd.ddddd")
    if not _SLUG.fullmatch(paper.slug):
        problems.append(f"slug: got {paper.slug!r}, wanted lower-case letters, digits and _")
    if paper.field not in FIELDS and not (own and not paper.field):
        problems.append(f"field: got {paper.field!r}, wanted one of {', '.join(FIELDS)}")
    if paper.read_from not in get_args(ReadFrom):
        problems.append(f"read_from: got {paper.read_from!r}, wanted html or abs")
    if not (own or paper.one_line) or len(paper.one_line) > LONGEST_LINE:
        problems.append(f"one_line: {len(paper.one_line)} characters, wanted 1 to {LONGEST_LINE}")
    if not (own or paper.claims):
        problems.append("claims: none")
    for number, claim in enumerate(paper.claims, 1):
        if claim.id != f"{paper.id}#{number}":
            problems.append(f"claim {number}: id {claim.id!r}, wanted {paper.id}#{number}")
        if not 0 < len(claim.text) <= LONGEST_LINE:
            problems.append(f"{claim.id}: {len(claim.text)} characters, wanted 1 to {LONGEST_LINE}")
        if claim.kind not in get_args(Kind):
            problems.append(f"{claim.id}: kind {claim.kind!r}, wanted one of {', '.join(get_args(Kind))}")
        problems += [
            f"{claim.id}: trial {name!r}, wanted field/name" for name in claim.trials if not _TRIAL.fullmatch(name)
        ]
    return problems
