"""What holds for all tests: no property test fails because the machine is busy, and each run tries the same examples."""

from hypothesis import settings

settings.register_profile("suptree", deadline=None, derandomize=True)
settings.load_profile("suptree")
