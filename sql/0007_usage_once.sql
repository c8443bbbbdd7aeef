-- 0007_usage_once.sql - usage is written once, whoever writes it; budgets that are settled later than their call.

-- Parts of the sums that a host's workers have together, written already: a worker that was killed may have written one, and the
-- next one writes it again.
create table usage_parts (
	id uuid primary key,
	at timestamptz not null default now()
);
create index usage_parts_at on usage_parts (at);
alter table usage_parts enable row level security;
alter table usage_parts force row level security;
create policy usage_parts_service on usage_parts to service_role using (true) with check (true);
grant select, insert, delete on usage_parts to service_role;

-- A reservation stays for some days after its call was settled or it was given back, so that a call is settled once, though it be by
-- the queue, and though its reservation was given back in between.
alter table token_reservations add column given_back boolean not null default false;
alter table token_reservations add column settled boolean not null default false;
create index token_reservations_open on token_reservations (user_id) where not given_back and not settled;

create or replace function reserve_tokens(reservation uuid, who uuid, wanted bigint, budget bigint, expires_secs integer)
	returns boolean
	language plpgsql
	set search_path = ''
	as $$
declare
	today date := (now() at time zone 'UTC')::date;
	was bakame.token_days;
begin
	insert into bakame.token_days (user_id, day) values (who, today) on conflict do nothing;
	select * into was from bakame.token_days d where d.user_id = who and d.day = today for update;
	if exists (select from bakame.token_reservations r where r.id = reservation) then
		return true;
	end if;
	delete from bakame.token_reservations r
		where r.user_id = who and r.created_at < now() - interval '3 days' and (r.given_back or r.settled);
	with given_back as (
		update bakame.token_reservations r set given_back = true
		where r.user_id = who and not r.given_back and not r.settled
		  and r.created_at < now() - make_interval(secs => expires_secs) returning r.day, r.tokens)
	update bakame.token_days d set reserved = greatest(0, d.reserved - g.tokens)
		from (select day, sum(tokens)::bigint as tokens from given_back group by day) g
		where d.user_id = who and d.day = g.day;
	select * into was from bakame.token_days d where d.user_id = who and d.day = today;
	if was.used + was.reserved + wanted > budget then
		return false;
	end if;
	insert into bakame.token_reservations (id, user_id, day, tokens) values (reservation, who, today, wanted);
	update bakame.token_days d set reserved = d.reserved + wanted where d.user_id = who and d.day = today;
	return true;
end
$$;

-- The call has ended: what it used in place of what was reserved, or beside it where that was given back, or never came about
-- because the database was away.  A second time nothing happens.
create function settle_tokens(reservation uuid, who uuid, of_day date, used_tokens bigint)
	returns void
	language plpgsql
	set search_path = ''
	as $$
begin
	insert into bakame.token_reservations (id, user_id, day, tokens, given_back)
		select reservation, who, of_day, 0, true where exists (select from bakame.users u where u.id = who)
		on conflict do nothing;
	insert into bakame.token_days (user_id, day)
		select r.user_id, r.day from bakame.token_reservations r where r.id = reservation
		on conflict do nothing;
	with settled as (
		update bakame.token_reservations r set settled = true where r.id = reservation and not r.settled
		returning r.user_id, r.day, case when r.given_back then 0 else r.tokens end as tokens)
	update bakame.token_days d
		set reserved = greatest(0, d.reserved - s.tokens), used = d.used + used_tokens
		from settled s where d.user_id = s.user_id and d.day = s.day;
end
$$;

revoke execute on function settle_tokens(uuid, uuid, date, bigint) from public;
grant execute on function settle_tokens(uuid, uuid, date, bigint) to service_role;
