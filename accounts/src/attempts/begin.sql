-- Counts and judges in one step: of attempts that come together, each sees the one before.
insert into attempts (subject, tried, last_at, blocked_until)
values ($1, 1, now(), now())
on conflict (subject) do update
set
    tried = case
        when attempts.last_at < now() - interval '1 hour' then 1
        else attempts.tried + 1
    end,
    last_at = now(),
    blocked_until = case
        when attempts.last_at < now() - interval '1 hour' or attempts.tried + 1 < $2 then now()
        -- 1, 2, 4 ... seconds; the exponent is bounded, so that the power is.
        else now() + interval '1 second'
            * least($3, power(2, least(attempts.tried + 1 - $2, 20)))
    end
where attempts.blocked_until <= now()
returning tried
