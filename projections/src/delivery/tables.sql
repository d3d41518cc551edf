-- The versions are those of the last event that was about a row; all rows share one stream.
create table shipping_methods (
    method_id text collate "C" primary key,
    -- As the log has it.
    method json not null,
    active boolean not null,
    version bigint not null,
    updated_at timestamptz not null
);
create table pickup_points (
    point_id text collate "C" primary key,
    -- As the log has it.
    point json not null,
    active boolean not null,
    country text collate "C" not null,
    version bigint not null,
    updated_at timestamptz not null
);
