"""Between the cluster and the core: what is -> exits; what to do -> API calls.

- `views`: pods and workloads, cut down to what is looked at.
- `labels`: selectors, and the index that the gate policy reads.
- `memory`: what was already judged, in a form that fits into the status.
- `exits`: the judgement, from what was remembered and what is to at most one exit a child.
- `children`: which pods a child is, and what it is doing.
- `record`: the core's state in the status, and back.
- `reconcile`: one decision about one tree, from the whole current state; pure. `draft` is what it has come to so far,
  `orders` what the tree is told by its parent, a person or time.
- `conditions` and `narrate`: what a user is told.
- `client`: the API calls.
"""
