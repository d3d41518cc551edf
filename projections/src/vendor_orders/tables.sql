-- What of an order is a vendor's. Who ordered, where it goes and how far it is are looked up in
-- `orders`, so that nothing personal stands here.
create table vendor_orders (
    vendor_id uuid not null,
    order_id uuid not null,
    placed_at timestamptz not null,
    -- Whether the order was ever paid: before, it is nobody's business but the house's.
    is_paid boolean not null,
    -- Whether all of the vendor's lines have left.
    is_shipped boolean not null,
    currency text collate "C" not null,
    lines json not null,
    primary key (vendor_id, order_id)
) with (fillfactor = 70);

create index vendor_orders_newest on vendor_orders (vendor_id, placed_at, order_id) where is_paid;
create index vendor_orders_by_order on vendor_orders (order_id);
