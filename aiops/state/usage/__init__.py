"""What was used: one record for each request, from the worker's spool to the database's ledger."""
