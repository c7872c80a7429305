"""Warm processes: what tests start over and over again is imported once per session and forked from there.

Two of them belong to a session, shared by its pytest-xdist workers: one has LiteLLM imported and is forked into
masters (``python -m aiops.gateway``), the other has the command line imported and is forked into ``aiops VERB``.
Neither imports anything before somebody asks for it.

Nothing differs from a start but the import: the fork has the environment, the descriptors, the directory, the session
and the command line in /proc that it would have. The product knows nothing of this. Tests whose subject is the start
itself are marked ``real_start``; AIOPS_TEST_REAL_STARTS=1 starts everything for real.

Orphans are impossible: a warm process is told by the kernel when its pytest ends, however it does, and takes along
everything that descends from it, detached or not.
"""
