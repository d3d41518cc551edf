create table promotions (
    code text collate "C" primary key,
    -- As the log has them.
    terms json not null,
    automatic boolean not null,
    listed boolean not null,
    active boolean not null,
    starts_at timestamptz,
    ends_at timestamptz,
    held bigint not null,
    used bigint not null,
    version bigint not null,
    updated_at timestamptz not null
);
