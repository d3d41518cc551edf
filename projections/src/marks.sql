-- Live tables, and the copies that rebuilds fill.
create schema if not exists read;
create schema if not exists rebuild;

create table if not exists read.marks (
    name text primary key,
    version integer not null,
    position bigint not null
);

create table if not exists rebuild.marks (
    name text primary key,
    version integer not null,
    position bigint not null
);
