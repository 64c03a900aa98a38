import json
import sys

SCALE = {
    "releases_last_year": (0, 12, 2),
    "maintainers": (0, 5, 3),
    "open_bug_ratio": (1, 0, 2),
    "install_mb": (100, 0, 1),
    "fits_style": (0, 1, 2),
}


def score(candidate):
    total = 0.0
    for name, (worst, best, weight) in SCALE.items():
        share = (candidate[name] - worst) / (best - worst)
        total += weight * min(1.0, max(0.0, share))
    return total / sum(weight for *_, weight in SCALE.values())


if __name__ == "__main__":
    candidates = json.load(open(sys.argv[1]))
    for candidate in sorted(candidates, key=score, reverse=True):
        flag = "" if candidate.get("licence") in ("MIT", "BSD", "Apache-2.0") else f"  licence: {candidate.get('licence')}"
        print(f"{score(candidate):.2f}  {candidate['name']}{flag}")
