"""What administration promises, on PostgreSQL: the tests of tests/unit/state/administration, with this directory's
fixtures."""

from tests.unit.state.administration.test_administration_acts import *  # noqa: F403
