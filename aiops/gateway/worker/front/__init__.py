"""What stands before the lanes on the public port. Plain ASGI; nothing here imports LiteLLM.

key, known, identify      who asks
asked, doors, listing     what for
invalid                   what is no request at all
reserve, estimate         is there room for it
passage, metering, used   its answer, and what that used
account                   what the ledger is told of it
management                the API by which keys are administered
metrics                   who may read what is counted
refusals, limits_shown    what a client is told of all that
let_in                    for what comes after: whom it let in
"""
