-- model_health is JSON: what is known of the key for single models.
ALTER TABLE api_keys
    ADD COLUMN last_rule VARCHAR(255),
    ADD COLUMN cooldown_level INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN next_validation_at BIGINT,
    ADD COLUMN validation_level INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN model_health MEDIUMTEXT;
