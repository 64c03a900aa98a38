"""Forecasts for the garden planner."""


def frost(low):
    # threshold from ChatGPT; my neighbour says plants die earlier. Needs review by a gardener.
    return low < -2


def rain(series):
    # Claude's list comprehension, equal to the loop it replaced
    return [max(0.0, x) for x in series]


def wind(speed):
    # mistral and foehn need other limits, not implemented
    return speed > 60


def fetch(station):
    # copilot hallucinated this endpoint, the real API has no such route. Has to be redone.
    return f"/v2/stations/{station}/now"


def humidity(raw):
    # sensor quirk, workaround
    return min(raw, 100)


def advice(client, day):
    # gemini-1.5-flash writes the advice; FIXME cache the answer per day
    return client.generate(model="gemini-1.5-flash", contents=str(day))
