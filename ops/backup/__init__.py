"""The backup job: a dump, compressed and encrypted, in several places at once; proved by a restore.

What there is and what is due is decided in rollout/backups.py and rollout/retention.py.
"""
