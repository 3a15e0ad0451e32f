-- How far a node's outcomes of a key are in the key's stored health: written in one transaction with it, so that a node
-- that was killed knows which outcomes of its journal are owed.
CREATE TABLE IF NOT EXISTS outcome_proofs (
    node VARCHAR(36) NOT NULL,
    key_id BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (node, key_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
