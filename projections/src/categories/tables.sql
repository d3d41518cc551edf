create table categories (
    handle text collate "C" primary key,
    name text not null,
    parent text collate "C",
    -- Of the last event that was about it; all categories share one stream.
    version bigint not null,
    updated_at timestamptz not null
);
create index categories_below on categories (parent);
