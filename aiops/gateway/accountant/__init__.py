"""The process that talks to the database, so that no worker has to: it imports no LiteLLM, and can die at any time.

database   the one place that runs statements, in threads of its own
holding    one accountant for each state directory: the next one asks the one before to retire
ingest     from the workers' spools into the ledger, each request once
money      money counters that were lost are told what the ledger says
changes    what was changed in the database is told to the workers
server     what workers ask
upkeep     partitions made ahead, rows dropped whose meaning is over
"""
