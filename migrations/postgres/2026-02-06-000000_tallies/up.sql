-- What dashboards show, counted as log rows are stored: the log itself is too long to be counted. In both tables group 0
-- stands for all groups, each request counted once, and an aggregate has rows of its own. class is an outcome class, or
-- `gateway` for requests that were refused before an attempt.

-- Requests that ended within ten seconds; kept for some hours.
CREATE TABLE request_counts (
    group_id BIGINT NOT NULL,
    time BIGINT NOT NULL,
    success_count BIGINT NOT NULL DEFAULT 0,
    failure_count BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (group_id, time)
);
CREATE INDEX idx_request_counts_time ON request_counts (time);

-- Attempts of one hour, those of them that ended a request, and the tokens that they took; kept for some months.
CREATE TABLE hourly_outcomes (
    group_id BIGINT NOT NULL,
    time BIGINT NOT NULL,
    class VARCHAR(50) COLLATE "C" NOT NULL,
    attempt_count BIGINT NOT NULL DEFAULT 0,
    request_count BIGINT NOT NULL DEFAULT 0,
    input_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0,
    cached_tokens BIGINT NOT NULL DEFAULT 0,
    reasoning_tokens BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (group_id, time, class)
);
CREATE INDEX idx_hourly_outcomes_time ON hourly_outcomes (time);
