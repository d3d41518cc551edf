-- What each order without an account says of whoever placed it; so that what is left after somebody
-- was forgotten in part can be told anew.
create table guest_orders (
    order_id uuid primary key,
    -- Of the event that placed it: the order of the log is the order in which records grow.
    position bigint not null,
    -- The address in lower case, cut to what an index holds.
    email_key text collate "C" not null,
    name text not null,
    email text not null,
    phone text,
    country text collate "C" not null,
    placed_at timestamptz not null
);

create index guest_orders_by_email on guest_orders (email_key, position);

-- One record per address.
create table guests (
    email_key text collate "C" primary key,
    -- The first order's id: an address is not to be guessed from it, and a rebuild finds it again.
    guest_id uuid not null,
    -- Of the newest order.
    name text not null,
    email text not null,
    phone text,
    country text collate "C" not null,
    orders bigint not null,
    -- When the first order was placed, and the newest.
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create unique index guests_by_id on guests (guest_id);
create index guests_newest on guests (created_at, guest_id);
