"""The running operator: kopf's watches fill the store and wake the loops; each tree has a loop of its own.

- `main`: the process's life: kopf's start-up, the campaign to lead, the end. `options`: its command line.
- `election`: who acts, by a Lease.
- `watches`, `health`: whether the watches live, and what the kubelet is told.
- `handlers`: kopf's handlers.
- `hub`: what the handlers feed and the loops share.
- `loop`: observe, decide, persist, act, for one tree.
- `calls`: the pool in which API calls are made.
- `gate`: the index that the gate policy reads.
- `release`: the way out: `suptree release` lets go of everything.
- `logs`: how it logs.
- `metrics`: what was written, counted. `requests`, `paths`: the requests to the API server, counted.
- `frugal`: kopf's storages, made to store nothing.
"""
