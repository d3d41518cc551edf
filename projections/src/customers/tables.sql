-- Every order, with whose it is as far as analysis goes: nobody is named here.
create table customer_orders (
    order_id uuid primary key,
    -- SHA-256 of the address in lower case: tells customers apart and does not write to them. Null
    -- once the customer is forgotten.
    customer bytea,
    placed_at timestamptz not null,
    day date not null,
    currency text collate "C" not null,
    -- Goods after the discount, without shipping, as sales have them.
    gross_minor bigint not null,
    refunded_minor bigint not null,
    -- Whether it was ever paid: only then was it a purchase.
    is_booked boolean not null
) with (fillfactor = 70);

-- A customer's purchases, the first one first.
create index customer_orders_by_customer on customer_orders (customer, placed_at, order_id)
    where is_booked and customer is not null;
create index customer_orders_by_day on customer_orders (day) where is_booked;
