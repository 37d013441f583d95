"""The scheduler: makes the backups when they are due, proves them, and says so when it can't.

A container of the system, without Docker's socket: its jobs run beside it (ops/backup/local.py).
What is due is decided in rollout/schedule.py.
"""
