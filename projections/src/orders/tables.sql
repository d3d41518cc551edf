-- What is fixed when an order is placed: written once.
create table orders (
    order_id uuid primary key,
    customer_name text not null,
    customer_email text not null,
    -- The address in lower case, cut to what an index holds.
    email_key text collate "C" not null,
    -- Null for orders without an account.
    customer_id uuid,
    country text collate "C" not null,
    currency text not null,
    total_minor bigint not null,
    shipping_minor bigint not null,
    -- Null where the order names none.
    shipping_method text collate "C",
    placed_at timestamptz not null,
    -- json, not jsonb: jsonb refuses the escaped NUL that a text of the log may hold.
    placed json not null
);

-- Every list is newest first, so each index ends with what the list is ordered by.
create index orders_newest on orders (placed_at, order_id);
create index orders_by_email on orders (email_key, placed_at, order_id);
create index orders_by_customer on orders (customer_id, placed_at, order_id)
    where customer_id is not null;
create index orders_by_country on orders (country, placed_at, order_id);

-- What moves afterwards, several times: a short row of its own, so that a step of an order rewrites
-- neither its lines nor the indexes above. Pages keep room for the next version of their rows.
create table order_progress (
    order_id uuid primary key,
    placed_at timestamptz not null,
    status text collate "C" not null,
    payment_status text collate "C" not null,
    review text collate "C" not null,
    refunded_minor bigint not null,
    version bigint not null,
    updated_at timestamptz not null,
    progress json not null
) with (fillfactor = 70);

create index orders_by_status on order_progress (status, placed_at, order_id);
-- Of most orders nobody has to look at any.
create index orders_by_review on order_progress (review, placed_at, order_id) where review <> 'none';

-- Which orders hold a SKU, newest first.
create table order_skus (
    sku text collate "C" not null,
    placed_at timestamptz not null,
    order_id uuid not null,
    primary key (sku, placed_at, order_id)
);
