-- token_hash is the lookup hash of the value, which is not stored. prefix is the beginning of the value, by which people
-- recognise it.
CREATE TABLE access_tokens (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(100) COLLATE "C" NOT NULL,
    role VARCHAR(20) NOT NULL,
    prefix VARCHAR(20) NOT NULL,
    token_hash VARCHAR(64) COLLATE "C" NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX uni_access_tokens_name ON access_tokens (name);
CREATE UNIQUE INDEX uni_access_tokens_hash ON access_tokens (token_hash);
INSERT INTO row_ids (name, last_id) VALUES ('access_tokens', 0);

-- A row is written before its change with the outcome 'started', and completed after it. values_before and values_after
-- are JSON of what differs, secrets masked.
CREATE TABLE audit_log (
    id BIGINT NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL,
    actor_kind VARCHAR(20) NOT NULL,
    actor_id BIGINT,
    actor_name VARCHAR(255) COLLATE "C" NOT NULL,
    role VARCHAR(20) NOT NULL,
    address VARCHAR(45) NOT NULL DEFAULT '',
    request_id VARCHAR(36) COLLATE "C" NOT NULL DEFAULT '',
    action VARCHAR(50) COLLATE "C" NOT NULL,
    subject_type VARCHAR(50) NOT NULL DEFAULT '',
    subject_id BIGINT,
    subject_name VARCHAR(255) COLLATE "C" NOT NULL DEFAULT '',
    values_before TEXT,
    values_after TEXT,
    outcome VARCHAR(20) NOT NULL,
    error VARCHAR(512) NOT NULL DEFAULT ''
);
CREATE INDEX idx_audit_log_time ON audit_log (time);
CREATE INDEX idx_audit_log_actor ON audit_log (actor_name, id);
CREATE INDEX idx_audit_log_action ON audit_log (action, id);
CREATE INDEX idx_audit_log_subject ON audit_log (subject_type, subject_id, id);
INSERT INTO row_ids (name, last_id) VALUES ('audit_log', 0);
