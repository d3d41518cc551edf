-- Accounts: who may sign in, and with what. Ordinary tables and no events: what is secret or purely
-- personal can be changed and deleted here, and never reaches the log.

create table accounts (
    account_id uuid primary key,
    role text not null
        constraint accounts_role_is_known
        check (role in ('customer', 'vendor', 'admin', 'analyst', 'auditor')),
    -- Null once the account is closed.
    email text,
    -- The address in lower case, as orders are found by it.
    email_key text collate "C",
    name text,
    phone text,
    -- Argon2id as a PHC string; null while none has been chosen.
    password_hash text,
    email_verified_at timestamptz,
    -- The account that proved the address which this one only claimed.
    merged_into uuid references accounts,
    closed_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

-- Anybody may claim an address, so that nobody learns whether it is taken; one account can prove it.
create unique index accounts_email_is_proved_once on accounts (email_key)
    where email_verified_at is not null and closed_at is null;
create index accounts_by_email on accounts (email_key, created_at desc) where closed_at is null;
create index accounts_by_age on accounts (created_at, account_id) where closed_at is null;
create index accounts_merged on accounts (merged_into) where merged_into is not null;

-- One per sign-in: a family of refresh tokens.
create table sessions (
    session_id uuid primary key,
    account_id uuid not null references accounts,
    created_at timestamptz not null,
    revoked_at timestamptz
);

create index sessions_by_account on sessions (account_id) where revoked_at is null;
create index sessions_revoked on sessions (revoked_at) where revoked_at is not null;

-- Used ones are kept until they would have expired: whoever shows one again has stolen it, or has
-- been stolen from.
create table refresh_tokens (
    -- SHA-256: a copy of the table opens nothing.
    token_hash bytea primary key,
    session_id uuid not null references sessions on delete cascade,
    expires_at timestamptz not null,
    used_at timestamptz
);

create index refresh_tokens_by_session on refresh_tokens (session_id);
create index refresh_tokens_by_end on refresh_tokens (expires_at);

-- What is sent by mail and proves that the mail arrived.
create table mailed_tokens (
    token_hash bytea primary key,
    account_id uuid not null references accounts,
    purpose text not null
        constraint mailed_tokens_purpose_is_known
        check (purpose in ('verify_email', 'reset_password')),
    expires_at timestamptz not null,
    used_at timestamptz
);

create index mailed_tokens_by_account on mailed_tokens (account_id);
create index mailed_tokens_by_end on mailed_tokens (expires_at);

-- What is to be sent. Whatever sends mail reads the rows without sent_at, oldest first, and sets it.
create table notifications (
    notification_id uuid primary key,
    kind text not null,
    recipient text not null,
    payload jsonb not null,
    created_at timestamptz not null,
    sent_at timestamptz
);

create index notifications_unsent on notifications (created_at) where sent_at is null;
create index notifications_by_age on notifications (created_at);

-- How often somebody tried, by what they tried; whether there is such an account makes no
-- difference. Deleted by success.
create table attempts (
    -- SHA-256 of the kind of attempt and the address: what people mistype is nobody's business.
    subject bytea primary key,
    tried integer not null,
    last_at timestamptz not null,
    blocked_until timestamptz not null
);

create index attempts_by_age on attempts (last_at);

create table api_keys (
    key_id uuid primary key,
    name text not null,
    role text not null
        constraint api_keys_role_is_known check (role in ('analyst', 'auditor', 'importer')),
    -- SHA-256: the key itself is shown once.
    key_hash bytea not null constraint api_keys_are_told_apart unique,
    created_by text not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz
);

-- What access tokens are signed with. Several at a time: a new one signs, older ones are believed
-- until the last token that they signed has expired.
create table signing_keys (
    kid uuid primary key,
    secret bytea not null,
    created_at timestamptz not null
);

-- Opens a guest's order to whoever was given its link; for ever, as links are kept for long.
create table link_key (
    only_row boolean primary key default true
        constraint link_key_has_one_row check (only_row),
    secret bytea not null
);
