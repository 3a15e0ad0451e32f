-- What was copied from databases of older programs, and how far. progress is JSON; source says where the rows come from.
CREATE TABLE IF NOT EXISTS takeovers (
    source VARCHAR(500) NOT NULL PRIMARY KEY,
    progress MEDIUMTEXT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
