-- How far each SQL file has been given events. One file's tables are in the schema own_<name>.
create schema if not exists own;

create table if not exists own.marks (
    name text primary key,
    version integer not null,
    position bigint not null
);
