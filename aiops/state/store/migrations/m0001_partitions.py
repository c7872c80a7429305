"""Functions of Postgres in the first migration, never changed any more.

Months of the ledger are made and dropped by their owner, whoever asks: the gateway's own role may not change tables.
"""

from __future__ import annotations

MAKE = """
CREATE FUNCTION aiops_make_usage_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    first timestamp := date_trunc('month', timezone('UTC', now()));
    begins timestamp;
    low bigint;
    high bigint;
    part text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('aiops_usage_partitions'));
    FOR month IN 0..ahead LOOP
        begins := first + make_interval(months => month);
        low := extract(epoch FROM begins) * 1000000;
        high := extract(epoch FROM begins + interval '1 month') * 1000000;
        part := 'usage_' || to_char(begins, 'YYYY_MM');
        CONTINUE WHEN to_regclass(part) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE usage INCLUDING ALL)', part);
        -- Rows that came before their month was made.
        EXECUTE format(
            'WITH moved AS (DELETE FROM usage_rest WHERE started >= %s AND started < %s RETURNING *)'
            ' INSERT INTO %I SELECT * FROM moved', low, high, part);
        EXECUTE format('ALTER TABLE usage ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', part, low, high);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$
"""
DROP = """
CREATE FUNCTION aiops_drop_usage_before(before bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    part text;
    dropped integer := 0;
BEGIN
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'usage'::regclass AND c.relname ~ '^usage_[0-9]{4}_[0-9]{2}$'
    LOOP
        IF extract(epoch FROM to_date(right(part, 7), 'YYYY_MM') + interval '1 month') * 1000000 <= before THEN
            EXECUTE format('DROP TABLE %I', part);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    DELETE FROM usage_rest WHERE started < before;
    RETURN dropped;
END $$
"""
FUNCTIONS = ("aiops_make_usage_partitions(integer)", "aiops_drop_usage_before(bigint)")
