"""One file per verb, a folder per group: parse the arguments, call one action, print the result."""
