-- Which events are an order's; what they say stays in the log alone.
create table timeline (
    order_id uuid not null,
    position bigint not null,
    primary key (order_id, position)
);
