-- How far everything is: one row of a few bytes from each of four small tables.
select
    (select position from log_head) as head,
    coalesce((select min(position) from read.marks), 0) as read,
    coalesce((select position from read.marks where name = 'orders'), 0) as orders,
    coalesce(
        (select min(position) from worker_marks where worker in ('checkout', 'providers')),
        0
    ) as workers
