"""What a LiteLLM database says of keys, taken over: read there, thought through, written here in one transaction.

litellm    the tables of LiteLLM that are read, column by column, and why others are not
address    where the database is, in the words of LiteLLM's engine or of libpq
reading    those rows as they are at one moment, out of whatever version
words      what aiops has no equal for, by the word it is called by
amounts    limits and money of a row, in our units
owners     teams, their members, users and budgets
keys       keys and the hashes they are found by
translate  all of it: our rows, and an account of everything
guesses    keys that anybody could guess
remembered what is remembered of each row, for the next time
account    counts and sums of money on both sides, for people and programs
writing    into our tables, again and again with the same outcome
"""
