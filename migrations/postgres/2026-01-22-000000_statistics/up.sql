-- duration_ms sums what the hour's requests took; NULL for an hour that was counted without it, and stays so.
ALTER TABLE group_hourly_stats ADD COLUMN duration_ms BIGINT;
CREATE INDEX idx_group_hourly_stats_time ON group_hourly_stats (time);

-- These indexes hold what lists are most often narrowed by and what statistics count by, so that counting reads no rows.
DROP INDEX idx_request_logs_time;
CREATE INDEX idx_request_logs_time ON request_logs (timestamp, is_success, status_code, request_type, group_id);
DROP INDEX idx_request_logs_group_time;
CREATE INDEX idx_request_logs_group_time ON request_logs (group_id, timestamp, is_success, request_type);
DROP INDEX idx_request_logs_parent_time;
CREATE INDEX idx_request_logs_parent_time ON request_logs (parent_group_id, timestamp, is_success, request_type)
    WHERE parent_group_id IS NOT NULL;
CREATE INDEX idx_request_logs_request ON request_logs (request_id);
