import json
import pathlib
import random
import sys

TICKETS = json.loads((pathlib.Path(__file__).parent.parent / "samples" / "tickets.json").read_text())


def main():
    dealt = random.sample(TICKETS, k=min(10, len(TICKETS)))
    right = 0
    for number, ticket in enumerate(dealt, 1):
        print(f"\n{number}. {ticket['text']}")
        said = input("fine or trick? ").strip().lower().startswith("t")
        if said == ticket["trick"]:
            right += 1
        else:
            print("  ", ticket.get("line", "this one was honest"))
    print(f"\n{right} of {len(dealt)}")


if __name__ == "__main__":
    sys.exit(main())
