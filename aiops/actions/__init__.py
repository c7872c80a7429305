"""What a verb does: one folder per noun, the module named as the verb."""
