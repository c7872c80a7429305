"""About aiops itself: its words, its version, and what a shell completes."""
