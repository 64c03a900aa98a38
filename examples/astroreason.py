"""Plan stereo pairs for a morning: make a case, let CP-SAT solve it, act on it by hand through the session.

python examples/astroreason.py
"""

from assay.methods.evaluation.astroreason import Case, Flight, Session, cp_sat, greedy, verify
from assay.worlds.orbits.cases import generate


def main() -> None:
    case = Case.from_json(generate("stereo", seed=7, hours=8))
    flight = Flight(case)
    print(f"{len(case.targets)} targets, {len(case.satellites)} satellites, {case.horizon_s / 3600:g} h")

    solved = cp_sat(case, seconds=5, flight=flight)
    for name, plan in (("greedy", greedy(case, flight)), ("CP-SAT", solved.plan)):
        verified = verify(case, plan, flight)
        print(f"{name:<7} {len(plan):>3} actions, pairs of {verified.metrics['stereo_targets']:.0f} targets")
    print(f"no plan of the same candidates covers more than {solved.bound:.1%} of the targets")

    session = Session(case, flight=flight)
    windows = session.compute_access_windows()
    first = next(w for w in windows["items"] if "azimuth" in w)
    answer = session.stage_action("observation", first["by"], first["to"], first["start"], first["end"], dry_run=True)
    print(f"observing {first['to']} for its whole window: {answer['violation'] or 'possible'}")


if __name__ == "__main__":
    main()
