"""Generation store, lock, journal and the transaction that makes a change live."""
