"""The two lanes side by side: the same requests and failures through both, and what the direct one makes of faults."""
