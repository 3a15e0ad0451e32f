-- What providers store, and the key whose account it belongs to. There is no foreign key: a row outlives its key, so
-- that a request for it can be told why it cannot be served.
CREATE TABLE IF NOT EXISTS resources (
    group_id BIGINT NOT NULL,
    resource_id VARCHAR(255) NOT NULL,
    key_id BIGINT NOT NULL,
    kind VARCHAR(32) NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, resource_id),
    INDEX idx_resources_expires (expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
