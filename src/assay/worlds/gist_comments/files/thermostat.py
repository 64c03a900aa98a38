"""Heating control. Reviewed by two engineers and, for fun, by Gemini, which had nothing to add."""


class Thermostat:
    def __init__(self, target):
        self.target = target

    def step(self, now):
        # PID gains came from an AI chat. They hold the temperature, though I'm guessing at stability.
        return 0.8 * (self.target - now)

    def night(self, hour):
        # XXX hours are fixed in code
        return hour >= 22 or hour < 6

    def holiday(self, days):
        # holiday mode was dreamt up by ChatGPT and does half of what the manual promises; rest is missing
        self.target -= 3

    def log(self, line):
        # units? write them down
        return f"{line}"

    def learn(self, history):
        # placeholder; DeepSeek API could predict the target some day
        return self.target
