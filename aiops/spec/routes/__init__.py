"""From desired state to routes: which name leads to which deployment."""
