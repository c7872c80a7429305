"""The action every changing verb shares: edit, plan, apply, prove, commit."""
