-- Times are milliseconds since the Unix epoch, UTC. Row ids of groups and keys are handed out by the writer
-- (row_ids), so that the same statements work where RETURNING is missing.
--
-- MySQL commits each statement of a migration by itself. All but the last one of a folder are therefore fit to run
-- again: a start that was cut off begins the folder anew. Texts compare byte by byte; MEDIUMTEXT, since encryption makes
-- 65,535 bytes longer.

CREATE TABLE IF NOT EXISTS leader_epoch (
    id BIGINT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
INSERT IGNORE INTO leader_epoch (id, epoch) VALUES (1, 0);

CREATE TABLE IF NOT EXISTS row_ids (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    last_id BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
INSERT IGNORE INTO row_ids (name, last_id) VALUES ('groups', 0), ('api_keys', 0);

CREATE TABLE IF NOT EXISTS encryption_keys (
    id BIGINT NOT NULL PRIMARY KEY,
    purpose VARCHAR(20) NOT NULL,
    wrapping VARCHAR(40) NOT NULL,
    salt VARCHAR(64) NOT NULL,
    rounds BIGINT NOT NULL,
    wrapped_key MEDIUMTEXT NOT NULL,
    created_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS system_settings (
    setting_key VARCHAR(255) NOT NULL PRIMARY KEY,
    setting_value MEDIUMTEXT NOT NULL,
    description VARCHAR(512) NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `groups` (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    display_name VARCHAR(255) NOT NULL DEFAULT '',
    proxy_keys MEDIUMTEXT NOT NULL,
    description VARCHAR(512) NOT NULL DEFAULT '',
    group_type VARCHAR(50) NOT NULL DEFAULT 'standard',
    upstreams MEDIUMTEXT NOT NULL,
    validation_endpoint VARCHAR(255) NOT NULL DEFAULT '',
    channel_type VARCHAR(50) NOT NULL,
    sort BIGINT NOT NULL DEFAULT 0,
    test_model VARCHAR(255) NOT NULL,
    param_overrides MEDIUMTEXT,
    config MEDIUMTEXT,
    header_rules MEDIUMTEXT,
    model_redirect_rules MEDIUMTEXT,
    model_redirect_strict BOOLEAN NOT NULL DEFAULT FALSE,
    last_validated_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE INDEX uni_groups_name (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS group_sub_groups (
    group_id BIGINT NOT NULL,
    sub_group_id BIGINT NOT NULL,
    weight BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, sub_group_id),
    INDEX idx_group_sub_groups_member (sub_group_id),
    CONSTRAINT fk_group_sub_groups_group_id FOREIGN KEY (group_id) REFERENCES `groups` (id),
    CONSTRAINT fk_group_sub_groups_sub_group_id FOREIGN KEY (sub_group_id) REFERENCES `groups` (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- last_used_at is 0 for a key that never served, so that every database sorts it last without being told how.
CREATE TABLE IF NOT EXISTS api_keys (
    id BIGINT NOT NULL PRIMARY KEY,
    key_value MEDIUMTEXT NOT NULL,
    key_hash VARCHAR(128) NOT NULL,
    group_id BIGINT NOT NULL,
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
    last_error_message MEDIUMTEXT,
    last_class VARCHAR(50),
    generation BIGINT NOT NULL DEFAULT 0,
    weight INTEGER NOT NULL DEFAULT 1,
    priority INTEGER NOT NULL DEFAULT 0,
    upstream VARCHAR(500),
    source VARCHAR(20) NOT NULL DEFAULT 'manual',
    UNIQUE INDEX uni_api_keys_group_hash (group_id, key_hash),
    INDEX idx_api_keys_group_id (group_id, id),
    INDEX idx_api_keys_group_last_used_id (group_id, last_used_at, id),
    INDEX idx_api_keys_group_status (group_id, status, last_used_at, id),
    CONSTRAINT fk_api_keys_group_id FOREIGN KEY (group_id) REFERENCES `groups` (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS request_logs (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    request_id VARCHAR(36) NOT NULL,
    attempt INTEGER NOT NULL,
    timestamp BIGINT NOT NULL,
    group_id BIGINT NOT NULL,
    group_name VARCHAR(255) NOT NULL,
    parent_group_id BIGINT,
    parent_group_name VARCHAR(255),
    key_id BIGINT,
    key_value MEDIUMTEXT NOT NULL,
    key_hash VARCHAR(128) NOT NULL,
    model VARCHAR(255) NOT NULL,
    upstream_model VARCHAR(255),
    outcome_class VARCHAR(50),
    evidence MEDIUMTEXT,
    is_success BOOLEAN NOT NULL,
    source_ip VARCHAR(64) NOT NULL,
    status_code INTEGER NOT NULL,
    request_path VARCHAR(500) NOT NULL,
    duration BIGINT NOT NULL,
    first_byte_ms BIGINT,
    error_message MEDIUMTEXT NOT NULL,
    user_agent VARCHAR(512) NOT NULL,
    request_type VARCHAR(20) NOT NULL DEFAULT 'final',
    upstream_addr VARCHAR(500) NOT NULL,
    is_stream BOOLEAN NOT NULL,
    request_body MEDIUMTEXT NOT NULL,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cached_tokens BIGINT,
    reasoning_tokens BIGINT,
    finish_reason VARCHAR(64),
    INDEX idx_request_logs_time (timestamp, is_success, status_code, request_type, group_id),
    INDEX idx_request_logs_group_time (group_id, timestamp, is_success, request_type),
    INDEX idx_request_logs_parent_time (parent_group_id, timestamp, is_success, request_type),
    INDEX idx_request_logs_key_time (key_hash, timestamp),
    INDEX idx_request_logs_request (request_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- is_aggregate tells an aggregate's rows, which repeat those of its members, so that totals count a request once.
CREATE TABLE IF NOT EXISTS group_hourly_stats (
    group_id BIGINT NOT NULL,
    time BIGINT NOT NULL,
    is_aggregate BOOLEAN NOT NULL DEFAULT FALSE,
    success_count BIGINT NOT NULL DEFAULT 0,
    failure_count BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, time)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
