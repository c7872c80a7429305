"""Keys, budgets and usage in a database, SQLite or Postgres: rows, and nothing of what they mean.

tables      what is stored
open        an engine, and transactions on it
schema      which version the tables are of, and bringing them to ours
migrations  Alembic's, one history for both dialects
clock       the database's own time
and a module for each noun: plain functions on a ``Connection``, whose transaction is the caller's
"""
