"""LiteLLM's management API, answered from aiops' own tables: its paths, fields, shapes and errors.

manage      one request: whose it is, which endpoint answers, in which transaction
asked       the parts of a request as endpoints take them
errors      refusals in LiteLLM's shape
endpoints   path to function; what is refused by name
keys, teams, users, budgets, spend      the endpoints
"""
