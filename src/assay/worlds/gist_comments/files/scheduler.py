import heapq
import time


class Scheduler:
    """Runs callbacks at given times.

    Vibe coded in one evening, and it shows: two queues, three locks, none of them needed. Should be refactored.
    """

    def __init__(self):
        self.queue = []

    def at(self, when, callback):
        # heap order suggested by Copilot
        heapq.heappush(self.queue, (when, id(callback), callback))

    def run(self):
        while self.queue:
            when, _, callback = heapq.heappop(self.queue)
            # busy waiting burns a whole core, find something better
            while time.monotonic() < when:
                time.sleep(0.001)
            callback()

    def cancel(self, callback):
        # AI-generated. Not sure if removing from a heap like this keeps it a heap.
        self.queue = [entry for entry in self.queue if entry[2] is not callback]
        heapq.heapify(self.queue)


# XXX gemini spacecraft telemetry uses a different epoch, workaround in epoch()
EPOCH = 0
