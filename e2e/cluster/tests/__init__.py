"""Tests of the local cluster itself."""
