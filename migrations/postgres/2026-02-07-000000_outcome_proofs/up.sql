-- How far a node's outcomes of a key are in the key's stored health: written in one transaction with it, so that a node
-- that was killed knows which outcomes of its journal are owed.
CREATE TABLE outcome_proofs (
    node VARCHAR(36) COLLATE "C" NOT NULL,
    key_id BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (node, key_id)
);
