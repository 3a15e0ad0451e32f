-- How far the shipments of a node's process are in the database: written in one transaction with what they hold, so that
-- each is stored once, however often it arrives and whoever leads.
CREATE TABLE node_watermarks (
    node VARCHAR(36) COLLATE "C" NOT NULL PRIMARY KEY,
    incarnation VARCHAR(36) COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
