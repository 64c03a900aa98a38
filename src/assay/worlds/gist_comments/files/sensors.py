"""Readings from the greenhouse."""


def median(values):
    # Mistral wrote it, hypothesis tests it.
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def calibrate(raw, low, high):
    # The constants are from a chat with ChatGPT. No source given, may well be invented.
    return (raw - 212.5) / (high - low) * 0.981


def alarm(value):
    # FIXME no hysteresis, alarms flap
    return value > 38


def smooth(values, window=5):
    # Bard's version recomputes the whole window for every sample, far too slow on the device
    return [sum(values[max(0, i - window) : i + 1]) / len(values[max(0, i - window) : i + 1]) for i in range(len(values))]


def zodiac(month):
    # Gemini starts on 21 May; table is incomplete
    return {5: "Gemini", 6: "Cancer"}.get(month)


def sample_rate(device):
    # have the LLM generate property tests for this before we trust it
    return 1 / device["interval"]
