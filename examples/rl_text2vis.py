"""Three replies to one question about a table: their plotting code is run, and answer, code and picture are scored.

    pip install 'assay-papers[plot,lm]'
    python examples/rl_text2vis.py

The code runs in the sandbox. Here the figure's own artists are judged, offline; with a vision model give
`VLMJudge(complete("openai/..."))`, and `Text2VisReward(...)` is the same as a reward function of TRL.
"""

from __future__ import annotations

import json

from assay.integrations.sandbox import Session
from assay.methods.concurrency import run_sync
from assay.methods.post_training.rl_text2vis import ArtistJudge, Expected, Plotter, score_reply

TABLE = {
    "department": ["Customer Support", "Human Resources", "Field Engineering", "Legal Affairs"] * 2,
    "hours": [310, 120, 480, 90, 290, 150, 510, 60],
}
QUESTION = "Compare the total hours of each department, largest first. Which has the most?"
WANTED = Expected(
    ("Field Engineering", "Customer Support", "Human Resources", "Legal Affairs"),
    (990, 600, 270, 150),
    frozenset({"bar", "barh"}),
    ordered=True,
)
PLAIN = """import matplotlib.pyplot as plt
data = df.groupby("department")["hours"].sum()
fig, ax = plt.subplots(figsize=(4, 3))
ax.bar(data.index, data.values)
"""
CAREFUL = """import matplotlib.pyplot as plt
data = df.groupby("department")["hours"].sum().sort_values(ascending=False)
fig, ax = plt.subplots(figsize=(6, 3))
ax.barh(data.index, data.values)
ax.invert_yaxis()
ax.set_title("Hours by department"); ax.set_xlabel("hours"); ax.set_ylabel("department")
fig.tight_layout()
"""
REPLIES = {
    "careful": json.dumps({"answer": "Field Engineering", "code": CAREFUL}),
    "plain": json.dumps({"answer": "Field Engineering", "code": PLAIN}),
    "broken": json.dumps({"answer": "Field Engineering", "code": PLAIN.replace("hours", "days")}),
}


async def groups_hours(question: str, code: str) -> bool:
    """Whether the code means to do what was asked; a language model would read it (`LLMIntentJudge`)."""
    return 'groupby("department")["hours"].sum()' in code


def main() -> None:
    with Plotter(Session) as plotter:
        for name, reply in REPLIES.items():
            scored = run_sync(
                score_reply,
                QUESTION,
                reply,
                "Field Engineering",
                lambda code: plotter(code, TABLE),
                ArtistJudge(),
                groups_hours,
                WANTED,
            )
            reasons = scored.marks.reasons if scored.marks else (scored.result.error,)
            parts = f"answer {scored.answer:.2f}  code {scored.code:.2f}  picture {scored.visual:.2f}"
            print(f"{name:<8} {scored.total:.3f}  {parts}  {'; '.join(reasons)}")


if __name__ == "__main__":
    main()
