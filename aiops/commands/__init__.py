"""One file per verb: parse the arguments, call one use-case, print the result."""
