"""The supervisor itself, after Erlang/OTP's `supervisor`, as pure functions over frozen values.

Read the modules in this order: `spec` (what a user asks for), `strategy` (who is restarted), `restart` (which
exits are restarted), `budget` (how often), `state` (what a supervisor remembers), `events`, `machine` (events in, a new state
and a decision out) and `effects` (what a state wants done next).

Nothing here performs I/O, reads a clock or draws a random number: times and jitter arrive with the events.
"""
