"""What all workers must agree on at once: limits, parallel requests, reserved and spent money.

meters    PURE  what is counted, and what comes of asking
shared    in memory that all processes of a host map (LMDB)
redis     in Redis, one script for each decision
"""
