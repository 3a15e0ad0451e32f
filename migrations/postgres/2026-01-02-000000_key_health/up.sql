-- model_health is JSON: what is known of the key for single models.
ALTER TABLE api_keys ADD COLUMN last_rule VARCHAR(255);
ALTER TABLE api_keys ADD COLUMN cooldown_level INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN next_validation_at BIGINT;
ALTER TABLE api_keys ADD COLUMN validation_level INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN model_health TEXT;
