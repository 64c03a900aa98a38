"""A day of invented papers: their list, their pages, and what a model would reply about each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from inspect import isawaitable
from typing import Any

import anyio

from tests.papers.server import Server, ok, rows

DAY = date(2026, 1, 19)
_FILLER = (
    "The harbour is dark and the reader sits by the window with a book that has not been opened for a long while. "
    "Whoever wants to read needs light at the right place, and light that nobody looks at is spent for nothing. "
)
_NAMES = ("Lantern", "Kettle", "Ferry", "Plough", "Anchor", "Bellows", "Compass", "Drum", "Easel", "Flute")


@dataclass(frozen=True)
class Invented:
    """One paper with figures of its own."""

    number: int

    @property
    def id(self) -> str:
        return f"2601.{10000 + self.number:05d}"

    @property
    def name(self) -> str:
        return f"{_NAMES[self.number % len(_NAMES)]}{self.number}"

    @property
    def title(self) -> str:
        return f"{self.name}: Reading by Night with Fewer Lamps, Part {self.number}"

    @property
    def accuracy(self) -> float:
        return 60.3 + self.number * 0.7

    @property
    def torch(self) -> float:
        return 55.1 + self.number * 0.6

    @property
    def lamps(self) -> int:
        return 137 + self.number

    @property
    def abstract(self) -> str:
        return (
            f"We introduce {self.name}, a scheduler that lights only those lamps which a reader looks at. "
            f"On HarbourBench it reaches {self.accuracy:.1f}% accuracy, while Torch reaches {self.torch:.1f}%, "
            f"with {self.lamps} lamps."
        )

    def row(self) -> dict[str, Any]:
        return {
            "paper": {"id": self.id, "title": self.title, "summary": self.abstract, "upvotes": self.number},
            "title": self.title,
        }

    def page(self, extra: str = "") -> str:
        """A page as LaTeXML makes them."""
        sections = {
            "1 Introduction": f"{_FILLER * 3} We compare with Torch on HarbourBench. {extra}",
            "2 Method": f"{_FILLER * 3} The input is a gaze track, the output a list of lamps; a GPU is enough.",
            "3 Experiments": (
                f"{_FILLER * 3} {self.name} reaches {self.accuracy:.1f}% on HarbourBench; Torch stays at "
                f"{self.torch:.1f}%. The code is released under a free licence. It takes 12 minutes on an A100."
            ),
            "4 Conclusion": "A lamp need burn only where somebody looks.",
        }
        body = "".join(
            f'<section class="ltx_section"><h2 class="ltx_title ltx_title_section">{title}</h2>'
            f'<div class="ltx_para"><p class="ltx_p">{text}</p></div></section>'
            for title, text in sections.items()
        )
        return (
            f'<!DOCTYPE html><html lang="en"><head><title>{self.title}</title></head><body>'
            f'<article class="ltx_document"><h1 class="ltx_title ltx_title_document">{self.title}</h1>'
            f'<div class="ltx_abstract"><p class="ltx_p">{self.abstract}</p></div>{body}</article></body></html>'
        )

    def reply(self, **changed: Any) -> dict[str, Any]:
        """A good Chinese reply, with some keys changed or, where None, left out."""
        good = {
            "field": "阅读照明调度、人机交互与节能系统的评测",
            "contribution": (
                f"提出 {self.name}，一种只点亮读者正在注视之处的灯的调度方法，在 HarbourBench 上以 {self.lamps} "
                f"盏灯达到 {self.accuracy:.1f}% 的准确率，高于 Torch。"
            ),
            "usage": [
                "**输入**：读者的视线轨迹，按时间顺序给出每一刻注视的位置，不需要额外的标注。",
                "**输出**：此刻应当点亮的灯的列表，未被注视的灯全部熄灭，读者移动视线时列表随之更新。",
                "**需要**：一块 GPU 即可运行，代码已经公开；论文没有说明在强光环境下是否仍然适用，"
                "未说明的部分应当先自行试验。",
            ],
            "innovations": [
                {"name": "注视规则", "text": "以读者此刻注视的位置决定哪些灯保持点亮，而不是让所有的灯一直点着。"},
                {"name": "灯的队列", "text": "把即将用到的灯放进一个有限长度的队列，避免在视线移动时出现黑暗。"},
            ],
            "results": [
                f"在 HarbourBench 上，{self.name} 的准确率为 {self.accuracy:.1f}%，Torch 为 {self.torch:.1f}%，"
                f"相差 {self.accuracy - self.torch:.1f} 个百分点。",
                f"全程只用 {self.lamps} 盏灯；在一块 A100 上运行 12 分钟即可完成，其余设置与基线方法保持一致，"
                "结论是灯只需在有人注视的地方点亮。",
            ],
            "figures": [{"quantity": "accuracy", "value": self.accuracy, "unit": "%", "versus": "Torch",
                         "baseline": self.torch, "setting": "HarbourBench"}],
        }  # fmt: skip
        return {key: value for key, value in {**good, **changed}.items() if value is not None}

    def reply_from_abstract(self) -> dict[str, Any]:
        """A good reply that rests on the abstract alone."""
        results = [
            f"在 HarbourBench 上，{self.name} 的准确率为 {self.accuracy:.1f}%，Torch 为 {self.torch:.1f}%，"
            f"全程只用 {self.lamps} 盏灯；摘要没有说明运行时间、硬件和其余设置，也没有给出更多的比较对象或消融实验。"
        ]
        return self.reply(results=results)

    def english(self, **changed: Any) -> dict[str, Any]:
        """A good English reply."""
        good = {
            "field": "Scheduling of reading lamps, energy",
            "contribution": (
                f"{self.name} switches on just the lamps that fall under the eyes of whoever reads, and gets "
                f"{self.accuracy:.1f}% right on HarbourBench using {self.lamps} of them."
            ),
            "usage": [
                "**Input**: a track of where the reader's eyes rest, one position after another, without labels.",
                "**Output**: which lamps to switch on next; those that nobody looks at are switched off again at once.",
                "**Needs**: one GPU and the released code; how it fares in bright rooms is not stated.",
            ],
            "innovations": [
                {"name": "Looking rule", "text": "The place where the eyes rest decides which lamps stay on."},
                {"name": "Waiting lamps", "text": "Lamps that will soon be needed wait in a short queue."},
            ],
            "results": [
                f"HarbourBench: {self.accuracy:.1f}% right against {self.torch:.1f}% for Torch, which is "
                f"{self.accuracy - self.torch:.1f} percentage points more at the same setting.",
                f"It used {self.lamps} lamps in all and finished in 12 minutes on one A100.",
            ],
            "figures": [],
        }
        return {key: value for key, value in {**good, **changed}.items() if value is not None}

    def markdown(self) -> str:
        """The good reply as five sections."""
        good = self.reply()
        usage, results = ("\n".join(f"- {line}" for line in good[key]) for key in ("usage", "results"))
        innovations = "\n".join(f"1. **{item['name']}**：{item['text']}" for item in good["innovations"])
        return (
            f"### 1. 应用领域\n{good['field']}\n\n### 2. 一句话核心贡献\n{good['contribution']}\n\n"
            f"### 3. 使用指南\n{usage}\n\n### 4. 主要创新点\n{innovations}\n\n### 5. 实验效果\n{results}\n"
        )


def papers(count: int) -> list[Invented]:
    return [Invented(number) for number in range(1, count + 1)]


def publish(server: Server, count: int, day: date = DAY) -> list[Invented]:
    """Put a day's list and its papers' pages on the server."""
    published = papers(count)
    put_list(server, published, day)
    for paper in published:
        server.script(f"/html/{paper.id}", ok(paper.page()))
    return published


def put_list(server: Server, listed: list[Invented], day: date = DAY) -> None:
    server.script(f"/api/daily_papers?date={day}&limit=100&p=0", rows(*(paper.row() for paper in listed)))


Says = Callable[[Invented, int], Any]  # paper and number of the call about it -> text, ModelOutput or exception


def replies(
    says: Mapping[int, Says] | None = None, lang: str = "zh", log: list[str] | None = None, pause: float = 0.0
) -> Any:
    """`custom_outputs` for Inspect's mock model: the good reply, or what `says` has for a paper's number.

    The number of the call is counted from the conversation, so it holds across processes.
    """
    from inspect_ai.model import ModelOutput, ModelUsage

    async def answer(messages: Any, *_: Any) -> Any:
        await anyio.sleep(pause)
        paper = Invented(int(re.search(r"Part (\d+)", messages[1].text)[1]))
        call = 1 + sum(message.role == "assistant" for message in messages)
        if log is not None:
            log.append(paper.id)
        good = paper.reply() if lang == "zh" else paper.english()
        said = (says or {}).get(paper.number, lambda *_: json.dumps(good, ensure_ascii=False))(paper, call)
        if isinstance(said, Exception):
            raise said
        if isawaitable(said):
            said = await said
        output = said if isinstance(said, ModelOutput) else ModelOutput.from_content("mockllm/model", said)
        output.usage = ModelUsage(input_tokens=3000, output_tokens=500, total_tokens=3500)
        return output

    return answer
