"""The running operator: kopf's watches fill the store and wake the loops; each tree has a loop of its own.

- `main`: the command line and kopf's start-up.
- `handlers`: kopf's handlers.
- `hub`: what the handlers feed and the loops share.
- `loop`: observe, decide, persist, act, for one tree.
- `calls`: the pool in which API calls are made.
- `gate`: the index that the gate policy reads.
- `release`: the way out: `suptree release` lets go of everything.
- `metrics`: what was written, counted.
- `frugal`: kopf's storages, made to store nothing.
"""
