-- What was copied from databases of older programs, and how far. progress is JSON; source says where the rows come from.
CREATE TABLE takeovers (
    source VARCHAR(500) COLLATE "C" NOT NULL PRIMARY KEY,
    progress TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT
);
