create table stock (
    sku text collate "C" primary key,
    on_hand bigint not null,
    reserved bigint not null,
    version bigint not null,
    updated_at timestamptz not null
);
