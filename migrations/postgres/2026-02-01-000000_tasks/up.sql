-- The long task of the installation, at most one row. result is JSON; updated_at is the last sign of life.
CREATE TABLE tasks (
    id BIGINT NOT NULL PRIMARY KEY,
    task_type VARCHAR(32) NOT NULL,
    group_name VARCHAR(255) NOT NULL,
    owner VARCHAR(255) NOT NULL,
    processed BIGINT NOT NULL,
    total BIGINT NOT NULL,
    result TEXT,
    error TEXT,
    is_cancelled BOOLEAN NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    updated_at BIGINT NOT NULL
);
