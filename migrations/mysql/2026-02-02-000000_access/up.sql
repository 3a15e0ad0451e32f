-- token_hash is the lookup hash of the value, which is not stored. prefix is the beginning of the value, by which people
-- recognise it.
CREATE TABLE IF NOT EXISTS access_tokens (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    role VARCHAR(20) NOT NULL,
    prefix VARCHAR(20) NOT NULL,
    token_hash VARCHAR(64) NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE INDEX uni_access_tokens_name (name),
    UNIQUE INDEX uni_access_tokens_hash (token_hash)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
INSERT IGNORE INTO row_ids (name, last_id) VALUES ('access_tokens', 0);

-- A row is written before its change with the outcome 'started', and completed after it. values_before and values_after
-- are JSON of what differs, secrets masked.
CREATE TABLE IF NOT EXISTS audit_log (
    id BIGINT NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL,
    actor_kind VARCHAR(20) NOT NULL,
    actor_id BIGINT,
    actor_name VARCHAR(255) NOT NULL,
    role VARCHAR(20) NOT NULL,
    address VARCHAR(45) NOT NULL DEFAULT '',
    request_id VARCHAR(36) NOT NULL DEFAULT '',
    action VARCHAR(50) NOT NULL,
    subject_type VARCHAR(50) NOT NULL DEFAULT '',
    subject_id BIGINT,
    subject_name VARCHAR(255) NOT NULL DEFAULT '',
    values_before MEDIUMTEXT,
    values_after MEDIUMTEXT,
    outcome VARCHAR(20) NOT NULL,
    error VARCHAR(512) NOT NULL DEFAULT '',
    INDEX idx_audit_log_time (time),
    INDEX idx_audit_log_actor (actor_name, id),
    INDEX idx_audit_log_action (action, id),
    INDEX idx_audit_log_subject (subject_type, subject_id, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
INSERT IGNORE INTO row_ids (name, last_id) VALUES ('audit_log', 0);
