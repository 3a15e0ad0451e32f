-- What brings stored secrets into another form, in batches; one at a time, so one row. last_row is the row, in the order
-- of the table named by stage, up to which all is done. Databases of former versions hold the values of header rules in
-- the clear: the first recast seals them.
CREATE TABLE IF NOT EXISTS recasts (
    id BIGINT NOT NULL PRIMARY KEY,
    purpose VARCHAR(20) NOT NULL,
    stage VARCHAR(20) NOT NULL,
    last_row VARCHAR(255) NOT NULL,
    is_check BOOLEAN NOT NULL,
    processed BIGINT NOT NULL,
    total BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    unreadable BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
INSERT IGNORE INTO recasts (id, purpose, stage, last_row, is_check, processed, total, changed, unreadable, started_at)
VALUES (1, 'header_rules', 'groups', '', FALSE, 0, 0, 0, 0, 0);
