-- The control plane: who signed up, which nodes they have, where these run.
--
-- Times come from the hosts, never from now(): a host's clock is a parameter.
-- Secrets are never stored in the clear: tokens and passwords as hashes, keys
-- sealed with a key that only the host has.

CREATE TABLE accounts (
    id            uuid PRIMARY KEY,
    -- Lower case, so that unique means one account a person's address.
    email         text NOT NULL UNIQUE CHECK (length(email) <= 254),
    -- Argon2id in PHC form.
    password_hash text NOT NULL,
    role          text NOT NULL CHECK (role IN ('user', 'operator')),
    plan          jsonb NOT NULL,
    created_at    timestamptz NOT NULL
);

CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    account      uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- SHA-256 of the token; the token itself is told once and not kept.
    token_hash   bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    signed_in_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- Keyed by the hash of any address, with an account or not: both look alike
-- to whoever guesses, and a row has a fixed size.
CREATE TABLE sign_in_failures (
    email_hash        bytea PRIMARY KEY CHECK (length(email_hash) = 32),
    count             integer NOT NULL,
    window_started_at timestamptz NOT NULL
);
CREATE INDEX sign_in_failures_by_window ON sign_in_failures (window_started_at);

CREATE TABLE hosts (
    id         uuid PRIMARY KEY,
    -- Raised at each start.
    generation bigint NOT NULL,
    -- A known text sealed with the host's key: tells a wrong key at start.
    key_check  bytea NOT NULL,
    started_at timestamptz NOT NULL
);

CREATE TABLE tenants (
    id              uuid PRIMARY KEY,
    account         uuid NOT NULL REFERENCES accounts (id),
    label           text NOT NULL CHECK (length(label) BETWEEN 1 AND 63),
    name            text NOT NULL,
    host            uuid NOT NULL REFERENCES hosts (id),
    desired_state   text NOT NULL CHECK (desired_state IN ('running', 'stopped', 'archived')),
    -- Raised at each placement and host start; writers must name the newest.
    generation      bigint NOT NULL,
    -- Which life of the label this is.
    incarnation     integer NOT NULL,
    tenant_key      bytea NOT NULL,
    networking_key  bytea NOT NULL,
    jwt_secret      bytea NOT NULL,
    file_key        bytea NOT NULL,
    login_sha256    bytea NOT NULL CHECK (length(login_sha256) = 32),
    login_argon2id  bytea NOT NULL CHECK (length(login_argon2id) = 32),
    ssh_verifier    bytea NOT NULL CHECK (length(ssh_verifier) = 32),
    ssh_sealed      bytea NOT NULL,
    plan            jsonb NOT NULL,
    created_at      timestamptz NOT NULL,
    last_started_at timestamptz,
    archived_at     timestamptz,
    -- When everything of it is to be removed.
    purge_at        timestamptz,
    -- When that was done. The row stays, without its keys, for the label's
    -- next incarnation and for the audit.
    purged_at       timestamptz,
    UNIQUE (label, incarnation)
);
CREATE UNIQUE INDEX tenants_label ON tenants (label) WHERE purged_at IS NULL;
CREATE INDEX tenants_by_account ON tenants (account) WHERE purged_at IS NULL;
CREATE INDEX tenants_by_host ON tenants (host) WHERE purged_at IS NULL;

-- What was done to whom; written in the transaction that did it.
CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL,
    -- None when a host did it by itself, or the command line.
    actor   uuid,
    account uuid,
    tenant  uuid,
    action  text NOT NULL,
    detail  jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_by_tenant ON audit (tenant, id);
CREATE INDEX audit_by_time ON audit (at);
