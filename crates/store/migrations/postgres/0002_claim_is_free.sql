-- Whether something may be granted to an ask: nobody is granting under its claim at this moment, and nothing runs under it.
-- A function, and volatile, because its second question must see what was committed before the lock was free: the statement
-- that calls it may have begun earlier, and sees the past.
create function claim_is_free(asker text, asked uuid) returns boolean language plpgsql volatile as $$
begin
    if not pg_try_advisory_xact_lock(hashtextextended(asked::text, 0)) then
        return false;
    end if;
    return not exists (
        select 1 from live l where l.worker = asker and l.claim = asked and l.phase = 2 and l.due >= now_us());
end
$$;
