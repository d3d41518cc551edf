-- What SQL files are run as. It may not sign in, and has no right to any table of Daybook's.
do $$
begin
    if not exists (select from pg_roles where rolname = 'daybook_sql') then
        create role daybook_sql nologin;
    end if;
exception
    -- Another database of the same server was quicker; or we may not make roles.
    when duplicate_object or unique_violation or insufficient_privilege then null;
end
$$;
