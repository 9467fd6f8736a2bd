"""Suptree: OTP supervision trees for Kubernetes workloads."""

__version__ = "0.1.0"
