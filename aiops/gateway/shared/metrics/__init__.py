"""What is counted for ``/metrics``: which series there are, the memory they are in, their sums, and their text."""
