"""How many examples hypothesis tries: few from day to day, more where CI is set."""

import os

from hypothesis import settings

# Time limits per example would fail at random on a busy machine.
settings.register_profile("daily", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "daily")
