-- The results store, version 1. Append-only: rows are added, never changed or taken away.
CREATE TABLE machines (
    machine_id VARCHAR PRIMARY KEY, cpu VARCHAR, cores INTEGER, ram_mb INTEGER, gpu VARCHAR, os VARCHAR, python VARCHAR
);
CREATE TABLE envs (env_id VARCHAR PRIMARY KEY, packages JSON, assay_version VARCHAR);
CREATE TABLE runs (
    run_id VARCHAR PRIMARY KEY, started TIMESTAMPTZ, ended TIMESTAMPTZ, command VARCHAR, options JSON, user_note VARCHAR
);
CREATE TABLE units (
    unit_key VARCHAR, attempt INTEGER, run_id VARCHAR, trial VARCHAR, trial_version INTEGER, paper VARCHAR,
    fingerprint VARCHAR, arm VARCHAR, seed INTEGER, quick BOOLEAN, world VARCHAR, world_digest VARCHAR, models JSON,
    threads INTEGER, status VARCHAR, value DOUBLE, seconds DOUBLE, cost_seconds DOUBLE, model_calls BIGINT,
    tokens_in BIGINT, tokens_out BIGINT, flops DOUBLE, env_steps BIGINT, peak_rss_mb DOUBLE, extra JSON, notes JSON,
    curve DOUBLE[], error VARCHAR, machine_id VARCHAR, env_id VARCHAR, started TIMESTAMPTZ,
    PRIMARY KEY (unit_key, attempt, machine_id)
);
CREATE TABLE verdicts (
    trial VARCHAR, fingerprint VARCHAR, data_sha VARCHAR, rule VARCHAR, outcome VARCHAR, reason VARCHAR, n INTEGER,
    p DOUBLE, contrasts JSON, flags JSON, computed TIMESTAMPTZ, machine_id VARCHAR,
    PRIMARY KEY (trial, fingerprint, data_sha, rule, machine_id)
);
CREATE VIEW latest_units AS
    SELECT * FROM units QUALIFY row_number() OVER (PARTITION BY unit_key, machine_id ORDER BY attempt DESC) = 1;
CREATE VIEW paired AS
    SELECT trial, fingerprint, quick, machine_id, seed,
        map_from_entries(list({'arm': arm, 'value': value} ORDER BY arm)) AS arms
    FROM latest_units WHERE status = 'ok' AND value IS NOT NULL
    GROUP BY trial, fingerprint, quick, machine_id, seed;
CREATE VIEW latest_verdicts AS
    SELECT * FROM verdicts QUALIFY row_number() OVER (PARTITION BY trial ORDER BY computed DESC) = 1;
