-- What providers store, and the key whose account it belongs to. Ids are compared byte by byte: databases whose texts
-- ignore case by default need a binary collation for resource_id. There is no foreign key: a row outlives its key, so
-- that a request for it can be told why it cannot be served.
CREATE TABLE resources (
    group_id BIGINT NOT NULL,
    resource_id VARCHAR(255) COLLATE "C" NOT NULL,
    key_id BIGINT NOT NULL,
    kind VARCHAR(32) NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, resource_id)
);
CREATE INDEX idx_resources_expires ON resources (expires_at);
