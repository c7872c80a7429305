"""Teams, users, budgets and keys as a file declares them: what differs, and how the rows become as declared.

What is declared is declared whole: a limit that is not written is none. An entry that leaves the file becomes what it
was before it came: one that was there already gets its limits back, one that was made is blocked and stays, so that
its usage can be explained. What was never declared is left alone, unless it is to be pruned.

entry      what is declared
compare    which rows differ, and in what
record     what was declared last, kept in the database with how to take it back
converge   the rows become as declared, or what they were, each in one transaction
"""
