-- config is JSON. Nothing has been stored yet while the last id is 0: then the built-in policies are made, once.
CREATE TABLE IF NOT EXISTS policies (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    description VARCHAR(512) NOT NULL DEFAULT '',
    type VARCHAR(50) NOT NULL,
    config MEDIUMTEXT NOT NULL,
    priority BIGINT NOT NULL DEFAULT 0,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE INDEX uni_policies_name (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
INSERT IGNORE INTO row_ids (name, last_id) VALUES ('policies', 0);

CREATE TABLE IF NOT EXISTS group_policies (
    group_id BIGINT NOT NULL,
    policy_id BIGINT NOT NULL,
    priority BIGINT NOT NULL DEFAULT 0,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, policy_id),
    INDEX idx_group_policies_policy (policy_id),
    CONSTRAINT fk_group_policies_group_id FOREIGN KEY (group_id) REFERENCES `groups` (id),
    CONSTRAINT fk_group_policies_policy_id FOREIGN KEY (policy_id) REFERENCES policies (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
