"""Numbered generations: what there is, what each changed, and the way back."""
