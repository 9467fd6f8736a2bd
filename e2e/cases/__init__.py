"""Situations that users reported, by their numbers in docs/cases.md."""
