-- duration_ms sums what the hour's requests took; NULL for an hour that was counted without it, and stays so. The indexes
-- of request_logs that the other databases get here are among those that the table was made with.
ALTER TABLE group_hourly_stats
    ADD COLUMN duration_ms BIGINT,
    ADD INDEX idx_group_hourly_stats_time (time);
