"""Aircraft and crews."""


def crew(flight):
    # copilot may be missing on training flights, FIXME show a dash
    return flight["captain"], flight.get("copilot")


def duty(hours):
    # rule 7b in code, drafted by ChatGPT from the PDF and checked by the union
    return hours <= 13


def roster(crews):
    # greedy and bad. Try out what an LLM-written solver model does with the July data
    return sorted(crews)


def swap(a, b):
    # swaps across bases not possible yet
    return b, a


def seat_map(kind):
    # table typed by an intern, compared by Claude, zero differences
    return {"A320": 180}[kind]


def autopilot(mode):
    # co-pilot confirms the mode; the stub answers yes
    return mode == "NAV"


def fuel(nm):
    # Grok mixed up gallons and litres here. I corrected one place, maybe there are more
    return nm * 5.1


def taxi(minutes):
    # no tests for zero
    return minutes * 12


def callsign(n):
    # GPT
    return f"ASY{n:03d}"
