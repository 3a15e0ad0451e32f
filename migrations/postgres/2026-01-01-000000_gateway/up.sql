-- Times are milliseconds since the Unix epoch, UTC. Row ids of groups and keys are handed out by the writer
-- (row_ids), so that the same statements work where RETURNING is missing.

CREATE TABLE leader_epoch (
    id BIGINT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL
);
INSERT INTO leader_epoch (id, epoch) VALUES (1, 0);

CREATE TABLE row_ids (
    name VARCHAR(64) COLLATE "C" NOT NULL PRIMARY KEY,
    last_id BIGINT NOT NULL
);
INSERT INTO row_ids (name, last_id) VALUES ('groups', 0), ('api_keys', 0);

CREATE TABLE encryption_keys (
    id BIGINT NOT NULL PRIMARY KEY,
    purpose VARCHAR(20) NOT NULL,
    wrapping VARCHAR(40) NOT NULL,
    salt VARCHAR(64) NOT NULL,
    rounds BIGINT NOT NULL,
    wrapped_key TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE system_settings (
    setting_key VARCHAR(255) COLLATE "C" NOT NULL PRIMARY KEY,
    setting_value TEXT NOT NULL,
    description VARCHAR(512) NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE groups (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(255) COLLATE "C" NOT NULL,
    display_name VARCHAR(255) NOT NULL DEFAULT '',
    proxy_keys TEXT NOT NULL,
    description VARCHAR(512) NOT NULL DEFAULT '',
    group_type VARCHAR(50) NOT NULL DEFAULT 'standard',
    upstreams TEXT NOT NULL,
    validation_endpoint VARCHAR(255) NOT NULL DEFAULT '',
    channel_type VARCHAR(50) NOT NULL,
    sort BIGINT NOT NULL DEFAULT 0,
    test_model VARCHAR(255) NOT NULL,
    param_overrides TEXT,
    config TEXT,
    header_rules TEXT,
    model_redirect_rules TEXT,
    model_redirect_strict BOOLEAN NOT NULL DEFAULT FALSE,
    last_validated_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX uni_groups_name ON groups (name);

CREATE TABLE group_sub_groups (
    group_id BIGINT NOT NULL REFERENCES groups (id),
    sub_group_id BIGINT NOT NULL REFERENCES groups (id),
    weight BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, sub_group_id)
);
CREATE INDEX idx_group_sub_groups_member ON group_sub_groups (sub_group_id);

-- last_used_at is 0 for a key that never served, so that every database sorts it last without being told how.
CREATE TABLE api_keys (
    id BIGINT NOT NULL PRIMARY KEY,
    key_value TEXT NOT NULL,
    key_hash VARCHAR(128) COLLATE "C" NOT NULL,
    group_id BIGINT NOT NULL REFERENCES groups (id),
    status VARCHAR(50) NOT NULL,
    notes VARCHAR(255) NOT NULL DEFAULT '',
    request_count BIGINT NOT NULL DEFAULT 0,
    failure_count BIGINT NOT NULL DEFAULT 0,
    last_used_at BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_failure_at BIGINT,
    last_success_at BIGINT,
    last_validated_at BIGINT,
    disabled_until BIGINT,
    resting_until BIGINT,
    consecutive_failures INTEGER NOT NULL DEFAULT 0,
    backoff_level INTEGER NOT NULL DEFAULT 0,
    last_error_message TEXT,
    last_class VARCHAR(50),
    generation BIGINT NOT NULL DEFAULT 0,
    weight INTEGER NOT NULL DEFAULT 1,
    priority INTEGER NOT NULL DEFAULT 0,
    upstream VARCHAR(500),
    source VARCHAR(20) NOT NULL DEFAULT 'manual'
);
CREATE UNIQUE INDEX uni_api_keys_group_hash ON api_keys (group_id, key_hash);
CREATE INDEX idx_api_keys_group_id ON api_keys (group_id, id);
CREATE INDEX idx_api_keys_group_last_used_id ON api_keys (group_id, last_used_at, id);
CREATE INDEX idx_api_keys_group_status ON api_keys (group_id, status, last_used_at, id);

CREATE TABLE request_logs (
    id VARCHAR(36) COLLATE "C" NOT NULL PRIMARY KEY,
    request_id VARCHAR(36) COLLATE "C" NOT NULL,
    attempt INTEGER NOT NULL,
    timestamp BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    group_name VARCHAR(255) NOT NULL,
    parent_group_id BIGINT,
    parent_group_name VARCHAR(255),
    key_id BIGINT,
    key_value TEXT NOT NULL,
    key_hash VARCHAR(128) COLLATE "C" NOT NULL,
    model VARCHAR(255) NOT NULL,
    upstream_model VARCHAR(255),
    outcome_class VARCHAR(50),
    evidence TEXT,
    is_success BOOLEAN NOT NULL,
    source_ip VARCHAR(64) NOT NULL,
    status_code INTEGER NOT NULL,
    request_path VARCHAR(500) NOT NULL,
    duration BIGINT NOT NULL,
    first_byte_ms BIGINT,
    error_message TEXT NOT NULL,
    user_agent VARCHAR(512) NOT NULL,
    request_type VARCHAR(20) NOT NULL DEFAULT 'final',
    upstream_addr VARCHAR(500) NOT NULL,
    is_stream BOOLEAN NOT NULL,
    request_body TEXT NOT NULL,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cached_tokens BIGINT,
    reasoning_tokens BIGINT,
    finish_reason VARCHAR(64)
);
-- Rows of one millisecond are few: the order by id within them is cheaper sorted than indexed.
CREATE INDEX idx_request_logs_time ON request_logs (timestamp);
CREATE INDEX idx_request_logs_group_time ON request_logs (group_id, timestamp);
CREATE INDEX idx_request_logs_parent_time ON request_logs (parent_group_id, timestamp)
    WHERE parent_group_id IS NOT NULL;
CREATE INDEX idx_request_logs_key_time ON request_logs (key_hash, timestamp);

-- is_aggregate tells an aggregate's rows, which repeat those of its members, so that totals count a request once.
CREATE TABLE group_hourly_stats (
    group_id BIGINT NOT NULL,
    time BIGINT NOT NULL,
    is_aggregate BOOLEAN NOT NULL DEFAULT FALSE,
    success_count BIGINT NOT NULL DEFAULT 0,
    failure_count BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, time)
);
