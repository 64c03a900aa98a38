"""What holds for all tests."""

import os

# Ray reads these when it is imported, as the engine sets them; a test module that asks for Ray imports it earlier.
os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_DEDUP_LOGS="1", RAY_DEDUP_LOGS_SKIP_REGEX=".*")
