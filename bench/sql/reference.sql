-- The tables of the references: as wide as Daybook's, with the same keys, and nothing else.

-- A row of the log. Its payload and metadata are as long as those of a placed order of two lines.
create table events (
    position bigint not null unique,
    event_id uuid not null,
    aggregate_type text not null,
    aggregate_id text not null,
    sequence bigint not null,
    event_type text not null,
    event_version text not null,
    payload json not null,
    metadata json not null,
    recorded_at timestamptz not null,
    primary key (aggregate_type, aggregate_id, sequence)
);

create sequence positions;

-- The row that everybody wants a piece of.
create table stock (
    sku text primary key,
    on_hand bigint not null check (0 <= on_hand)
);

insert into stock (sku, on_hand) values ('HOT', 1000000000);

-- Orders as the read model keeps them: what was placed and how far it is, as JSON of their sizes.
create table orders (
    order_id bigint primary key,
    status text not null,
    placed json not null,
    progress json not null
);

insert into orders (order_id, status, placed, progress)
select
    order_id,
    'confirmed',
    json_build_object('customer', repeat('c', 150), 'lines', repeat('l', 300), 'rest', repeat('r', 250)),
    json_build_object('paying', repeat('p', 150), 'rest', repeat('r', 200))
from generate_series(1, 100000) as order_id;

analyze;
