"""What the store promises, on PostgreSQL: the tests of tests/unit/state/store, with this directory's fixtures."""

from tests.unit.state.store.test_store_keys import *  # noqa: F403
from tests.unit.state.store.test_store_ledger import *  # noqa: F403
from tests.unit.state.store.test_store_records import *  # noqa: F403
from tests.unit.state.store.test_store_schema import *  # noqa: F403
