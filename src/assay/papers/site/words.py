"""What the pages say around the papers, in each language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

Lang = Literal["en", "zh"]


@dataclass(frozen=True)
class Words:
    """One language of the site: `text` holds the plain strings, the rest what needs a number or a date."""

    lang: Lang
    html_lang: str
    own_name: str
    text: Mapping[str, str]
    places: tuple[tuple[str, str], ...]
    outcomes: Mapping[str, str]
    kinds: Mapping[str, str]
    fields: Mapping[str, str]
    read_from: Mapping[str, str]
    how: tuple[str, ...]
    long_date: Callable[[date], str]
    n_papers: Callable[[int], str]
    n_claims: Callable[[int], str]
    n_seeds: Callable[[int], str]
    all_of_day: Callable[[int], str]
    picture_key: Callable[[str, str], str]

    def __getattr__(self, name: str) -> str:
        """The plain strings by name, for templates."""
        try:
            return self.text[name]
        except KeyError:
            raise AttributeError(name) from None

    def claims_lead(self, count: int) -> str:
        return self.text["claims_lead"].format(count=count)

    def day_title(self, day: date) -> str:
        return self.text["day_title"].format(day=self.long_date(day))


def _english_date(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _counted(one: str, many: str) -> Callable[[int], str]:
    return lambda count: f"{count:,} {one if count == 1 else many}"


EN = Words(
    lang="en",
    html_lang="en",
    own_name="English",
    places=(("Days", "days/index.html"), ("Claims", "claims.html"), ("Verdicts", "verdicts.html"),
            ("Search", "search.html")),
    outcomes={"holds": "holds", "fails": "fails", "inconclusive": "inconclusive", "untried": "not tried",
              "reported": "reported", "not run": "not run"},
    kinds={"performance": "performance", "efficiency": "efficiency", "mechanism": "mechanism", "negative": "negative",
           "resource": "resource", "robustness": "robustness"},
    fields={
        "post_training": "Post-training", "test_time": "Test-time compute", "agents": "Agents", "memory": "Memory",
        "environments": "Environments", "safety": "Safety", "interpretability": "Interpretability",
        "attention": "Attention", "generation": "Image and video generation", "embodied": "Embodied AI",
        "gui": "GUI agents", "spatial": "3D and motion", "audio": "Audio and speech", "multimodal": "Multimodal",
        "data": "Data", "evaluation": "Evaluation", "": "",
    },
    read_from={"html": "read from the full text", "abs": "read from the abstract"},
    how=(
        "A trial runs three arms on the same seeds, with the same worlds and starting weights: a baseline that a user "
        "would run today, a placebo (the method with its one idea taken out) and the method.",
        "The bar is the effect that must be shown. It is set before any run and does not move to fit a result.",
        "A claim holds when the interval of the paired differences clears the bar against the baseline and clears "
        "zero against the placebo. It fails when the interval lies on the wrong side of a bar. In between, the trial "
        "is inconclusive.",
        "A verdict speaks of this world, these models and this machine, not of every setting the paper had in mind. "
        "A claim that no trial names is shown as not tried.",
    ),
    long_date=_english_date,
    n_papers=_counted("paper", "papers"),
    n_claims=_counted("claim", "claims"),
    n_seeds=_counted("seed", "seeds"),
    all_of_day=lambda count: f"All {count} papers",
    picture_key=lambda metric, better: (
        f"{metric} ({better} is better). Left: a line a seed, dashed where the method did worse. "
        "Right: the mean paired differences with 95 % intervals."
    ),
    text={
        "site": "Assay", "tagline": "AI papers, read daily and put to the test",
        "lead": "What came out, what it claims, and whether the claim holds against a baseline and a placebo.",
        "skip": "Skip to the text", "nav": "Main", "footer": "Assay reads papers and tries their claims. Each figure "
        "under “Tried here” was measured, on the machine and the day it names.",
        "rss_verdicts": "RSS of verdicts", "search": "Search", "search_hint": "entropy, 强化学习, \"flow matching\" …",
        "papers": "Papers", "claims": "Claims", "all_days": "All days", "day": "Day", "field": "Field",
        "leading_fields": "Leading fields", "comma": ", ", "by_field": "By field", "tried_last": "Tried last",
        "all_verdicts": "All verdicts", "day_title": "Papers of {day}", "source_list": "the day's list",
        "has_report": "with report", "code": "Code", "its_claims": "What it claims",
        "badge_key": "A verdict beside a claim says how its idea fared in the trial below: "
        "in a small world, on this machine. It is no verdict on the paper's own figure.",
        "before": "before",
        "yourself": "Try it yourself:", "searched": "This page looks "
        "through titles, claims, contributions and the names of innovations; assay papers search reads every section.",
        "against": "against", "tried_here": "Tried here", "interval_key": "Bars are 95 % intervals of the paired "
        "differences, each on its own scale; the dashed line is zero, and right of it the statement is cleared.",
        "papers_figure": "The paper's figure", "seeds": "Paired seeds", "measured": "Measured", "machine": "Machine",
        "versions": "Versions", "repeat": "Repeat", "flags": "Flags",
        "not_tried": "No claim of this paper has a verdict here yet.", "from_report": "From the daily report",
        "same_day": "Papers of the same day",
        "claims_lead": "{count} claims, each in one sentence. Where a trial has tried "
        "a claim, its verdict says how the idea fared here, in a small world: "
        "it is no verdict on the paper's own figure.",
        "filter": "Filter the claims", "every_field": "Every field",
        "kind": "Kind", "every_kind": "Every kind", "verdict": "Verdict", "every_verdict": "Every verdict",
        "claim": "Claim", "figure": "Figure", "shown": "# shown", "verdicts": "Verdicts",
        "verdicts_lead": "Every trial that has a full run, by how it came out.",
        "nothing_tried": "No trial has a full run in the results this site was built from.",
        "how_title": "How a verdict is reached", "since": "from", "until": "to", "more": "More",
        "tips": "Words must all be there. “…” is a phrase, -x excludes, x OR y takes either.",
        "noscript": "Searching needs scripts; everything can be read without:", "found": "# papers", "none": "No paper "
        "matches.", "loading": "Loading …", "broken": "The index could not be loaded.",
        "feed_title": "Assay: papers", "feed_field": "Assay: {field}", "feed_verdicts": "Assay: verdicts",
        "became": "{trial}: {before} → {outcome}", "first_verdict": "{trial}: {outcome}",
        "missing": "This page does not exist.", "home": "To the first page",
    },
)  # fmt: skip

ZH = Words(
    lang="zh",
    html_lang="zh-Hans",
    own_name="中文",
    places=(("日期", "days/index.html"), ("论断", "claims.html"), ("结论", "verdicts.html"), ("搜索", "search.html")),
    outcomes={"holds": "成立", "fails": "不成立", "inconclusive": "尚无定论", "untried": "未检验", "reported": "仅报告",
              "not run": "未运行"},
    kinds={"performance": "性能", "efficiency": "效率", "mechanism": "机理", "negative": "负面结果", "resource": "资源",
           "robustness": "稳健性"},
    fields={
        "post_training": "后训练", "test_time": "测试时计算", "agents": "智能体", "memory": "记忆",
        "environments": "环境", "safety": "安全", "interpretability": "可解释性", "attention": "注意力",
        "generation": "图像与视频生成", "embodied": "具身智能", "gui": "界面智能体", "spatial": "三维与运动",
        "audio": "音频与语音", "multimodal": "多模态", "data": "数据", "evaluation": "评测", "": "",
    },
    read_from={"html": "依据全文", "abs": "依据摘要"},
    how=(
        "每项检验在相同的随机种子、相同的任务与初始权重上运行三组：用户今天会用的基线、去掉核心想法的安慰剂，以及方法本身。",
        "门槛是必须达到的效果，在运行之前定下，不因结果而改动。",
        "成对差值的区间对基线越过门槛、对安慰剂越过零，论断即成立；区间落在门槛的另一侧，论断不成立；其余为尚无定论。",
        "结论只针对这里的任务、模型和机器，并不涵盖论文设想的全部场景。没有检验提到的论断标为未检验。",
    ),
    long_date=lambda day: f"{day.year} 年 {day.month} 月 {day.day} 日",
    n_papers=lambda count: f"{count} 篇论文",
    n_claims=lambda count: f"{count} 条论断",
    n_seeds=lambda count: f"{count} 个种子",
    all_of_day=lambda count: f"全部 {count} 篇",
    picture_key=lambda metric, better: (
        f"{metric}（{'越高' if better == 'higher' else '越低'}越好）。左：每条线为一个种子，方法更差者为虚线。"
        "右：成对差值的均值与 95 % 区间。"
    ),
    text={
        "site": "Assay", "tagline": "每日阅读 AI 论文，并加以检验",
        "lead": "今天出了什么，它声称什么，面对基线与安慰剂是否成立。",
        "skip": "跳到正文", "nav": "主导航", "footer": "Assay 阅读论文并检验其论断。"
        "“在此检验”下的每个数字都在所写的机器与日期实际测得。",
        "rss_verdicts": "结论 RSS", "search": "搜索", "search_hint": "强化学习、entropy、\"flow matching\" …",
        "papers": "论文", "claims": "论断", "all_days": "全部日期", "day": "日期", "field": "领域",
        "leading_fields": "主要领域", "comma": "、", "by_field": "按领域", "tried_last": "最近检验",
        "all_verdicts": "全部结论", "day_title": "{day}的论文", "source_list": "当日列表",
        "has_report": "含报告", "code": "代码", "its_claims": "论文的论断",
        "badge_key": "论断旁的结论说明其想法在下方检验中的表现："
        "小型任务、本机运行；并非对论文原数字的结论。",
        "before": "原为", "yourself": "亲自试试：",
        "searched": "此页检索标题、论断、贡献与创新点名称；assay papers search 检索全部章节。",
        "against": "对比", "tried_here": "在此检验",
        "interval_key": "横条是成对差值的 95 % 区间，各有其刻度；虚线为零，其右侧表示所述已达到。",
        "papers_figure": "论文中的数字", "seeds": "成对种子", "measured": "测于", "machine": "机器", "versions": "版本",
        "repeat": "重复", "flags": "备注", "not_tried": "这篇论文的论断在此尚无结论。", "from_report": "每日报告",
        "same_day": "同日论文",
        "claims_lead": "共 {count} 条论断，各一句话。"
        "经检验者附有结论：其想法在此小型任务中的表现，并非对论文原数字的结论。",
        "filter": "筛选论断",
        "every_field": "所有领域", "kind": "类别", "every_kind": "所有类别", "verdict": "结论",
        "every_verdict": "所有结论",
        "claim": "论断", "figure": "数字", "shown": "显示 # 条", "verdicts": "结论",
        "verdicts_lead": "所有完整运行过的检验，按结果排列。", "nothing_tried": "建站所用的结果中尚无完整运行的检验。",
        "how_title": "结论如何得出", "since": "自", "until": "至", "more": "更多",
        "tips": "各词须同时出现。“…”为短语，-x 排除，x OR y 任取其一。",
        "noscript": "搜索需要脚本；其余内容均可直接阅读：", "found": "# 篇论文", "none": "没有匹配的论文。",
        "loading": "正在加载……", "broken": "索引无法加载。",
        "feed_title": "Assay：论文", "feed_field": "Assay：{field}", "feed_verdicts": "Assay：结论",
        "became": "{trial}：{before} → {outcome}", "first_verdict": "{trial}：{outcome}",
        "missing": "没有这个页面。", "home": "回到首页",
    },
)  # fmt: skip

WORDS: dict[Lang, Words] = {"en": EN, "zh": ZH}
