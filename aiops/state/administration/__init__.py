"""Making and changing keys, teams, users and budgets: for `aiops keys` and `aiops teams`, and for LiteLLM's API.

Plain functions on a ``Connection``: what is asked for comes as a typed request, and each act writes its row, a line
of ``changes`` (what invalidation follows) and one of ``audit`` in the caller's one transaction.

request    what is asked for: read field by field, every problem at once
readers    one value of a field
journal    who did what
keys, teams, members, users, budgets   the acts
find       which key, team or user is meant
spend      how much of a budget is used, as the ledger has it
litellm    rows in the shapes of LiteLLM's API
view       the same with what was spent
words      rows in a person's words
"""
