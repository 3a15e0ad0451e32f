-- config is JSON. Nothing has been stored yet while the last id is 0: then the built-in policies are made, once.
CREATE TABLE policies (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(255) COLLATE "C" NOT NULL,
    description VARCHAR(512) NOT NULL DEFAULT '',
    type VARCHAR(50) NOT NULL,
    config TEXT NOT NULL,
    priority BIGINT NOT NULL DEFAULT 0,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX uni_policies_name ON policies (name);
INSERT INTO row_ids (name, last_id) VALUES ('policies', 0);

CREATE TABLE group_policies (
    group_id BIGINT NOT NULL REFERENCES groups (id),
    policy_id BIGINT NOT NULL REFERENCES policies (id),
    priority BIGINT NOT NULL DEFAULT 0,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, policy_id)
);
CREATE INDEX idx_group_policies_policy ON group_policies (policy_id);
