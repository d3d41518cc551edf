-- One order by its key: what a query costs that nothing stands in front of.
\set order_id random(1, 100000)
select status, placed, progress
from orders
where order_id = :order_id;
