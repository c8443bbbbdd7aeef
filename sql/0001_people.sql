-- 0001_people.sql - roles, who is asking, people, their passwords, sessions and API keys.
--
-- Everything of ours is in the schema `bakame`, which Supabase's REST API does not show.  Each transaction of a worker
-- becomes one of three roles, which are Supabase's where it is Supabase's database and are made here where they are not:
--   anon            a guest: sees nothing
--   authenticated   a person: sees and changes what is theirs, by bakame.uid()
--   service_role    sign-in, admin and jobs: sees all
-- The role that the workers log in as must be a member of them.  The role that runs this file owns all and becomes one
-- itself; for another:  grant anon, authenticated, service_role to bakame_worker;

do $$
declare
	who text;
begin
	foreach who in array array['anon', 'authenticated', 'service_role'] loop
		if not exists (select from pg_roles where rolname = who) then
			execute format('create role %I nologin noinherit', who);
		end if;
		if not pg_has_role(current_user, who, 'member') then
			execute format('grant %I to current_user', who);
		end if;
	end loop;
	-- Only a superuser may give this away; the policies for service_role below do without it.
	if (select rolsuper from pg_roles where rolname = current_user)
	   and not (select rolbypassrls from pg_roles where rolname = 'service_role') then
		alter role service_role bypassrls;
	end if;
end
$$;

grant usage on schema bakame to anon, authenticated, service_role;

-- Who is asking, from the claims of the transaction: what Supabase's auth.uid() says, on any PostgreSQL.
create function uid() returns uuid
	language sql stable parallel safe
	set search_path = ''
	return (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid;

create function touch() returns trigger
	language plpgsql
	set search_path = ''
	as $$
begin
	new.updated_at := now();
	return new;
end
$$;

-- A person: of our own accounts, or known by the token of Supabase that they came with (`id` is then its `sub`).
create table users (
	id uuid primary key default gen_random_uuid(),
	-- null: Supabase knows this person by something else
	email text check (length(email) between 3 and 254),
	name text not null default '' check (length(name) <= 200),
	role text not null default 'user' check (role in ('user', 'admin')),
	disabled boolean not null default false,
	-- requests in the window of RATE_LIMIT_USER, instead of its own number
	rate_limit integer check (rate_limit between 1 and 10000),
	-- instead of TOKENS_PER_DAY; 0 is no limit
	tokens_per_day bigint check (tokens_per_day >= 0),
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);
create unique index users_email on users (lower(email));
create index users_created on users (created_at desc, id desc);
create trigger users_touch before update on users for each row execute function touch();

-- Without an administrator nobody could make one again from the page.  BK409 is the status 409 (see net/pg.h).
create function keep_an_admin() returns trigger
	language plpgsql
	set search_path = ''
	as $$
begin
	-- else two could each take the other for the one who stays
	perform pg_advisory_xact_lock(108170655329638);
	if not exists (select from bakame.users where role = 'admin' and not disabled) then
		raise exception 'This is the last administrator; make somebody else one first.' using errcode = 'BK409';
	end if;
	return null;
end
$$;
create trigger users_keep_an_admin after update of role, disabled or delete on users
	for each row when (old.role = 'admin' and not old.disabled) execute function keep_an_admin();

-- Apart from `users`, so that no person's own transaction comes near it.
create table passwords (
	user_id uuid primary key references users on delete cascade,
	hash text not null check (length(hash) <= 200),
	changed_at timestamptz not null default now()
);

-- A sign-in on one device.  Its token is new after each refresh; one that was refreshed already shows that
-- somebody else has it, and ends the session.
create table sessions (
	id uuid primary key default gen_random_uuid(),
	user_id uuid not null references users on delete cascade,
	token_hash bytea not null check (length(token_hash) = 32),
	previous_hash bytea check (length(previous_hash) = 32),
	rotated_at timestamptz not null default now(),
	created_at timestamptz not null default now(),
	expires_at timestamptz not null,
	revoked_at timestamptz,
	remote_addr text not null default '' check (length(remote_addr) <= 64),
	user_agent text not null default '' check (length(user_agent) <= 400)
);
create index sessions_user on sessions (user_id, created_at desc);
create index sessions_expires on sessions (expires_at);

create table api_keys (
	id uuid primary key default gen_random_uuid(),
	user_id uuid not null references users on delete cascade,
	name text not null check (length(name) between 1 and 100),
	prefix text not null check (length(prefix) <= 16),
	key_hash bytea not null unique check (length(key_hash) = 32),
	created_at timestamptz not null default now(),
	last_used_at timestamptz,
	revoked_at timestamptz
);
create index api_keys_user on api_keys (user_id, created_at desc);

-- ---- who sees what ----

alter table users enable row level security;
alter table users force row level security;
create policy users_own on users for select to authenticated using (id = (select bakame.uid()));
create policy users_service on users to service_role using (true) with check (true);
grant select on users to authenticated;
grant select, insert, update, delete on users to service_role;

alter table passwords enable row level security;
alter table passwords force row level security;
create policy passwords_service on passwords to service_role using (true) with check (true);
grant select, insert, update, delete on passwords to service_role;

alter table sessions enable row level security;
alter table sessions force row level security;
create policy sessions_own on sessions for select to authenticated using (user_id = (select bakame.uid()));
create policy sessions_service on sessions to service_role using (true) with check (true);
grant select (id, user_id, rotated_at, created_at, expires_at, revoked_at, remote_addr, user_agent) on sessions to authenticated;
grant select, insert, update, delete on sessions to service_role;

alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy api_keys_own on api_keys to authenticated
	using (user_id = (select bakame.uid())) with check (user_id = (select bakame.uid()));
create policy api_keys_service on api_keys to service_role using (true) with check (true);
grant select (id, user_id, name, prefix, created_at, last_used_at, revoked_at) on api_keys to authenticated;
grant insert (id, user_id, name, prefix, key_hash), update (revoked_at) on api_keys to authenticated;
grant select, insert, update, delete on api_keys to service_role;

-- Supabase: whoever is deleted there is erased here.  The function runs as our owner, whom forced row-level security
-- holds too, hence the policy.
create policy users_owner on users to current_user using (true) with check (true);
create function erase_user() returns trigger
	language plpgsql security definer
	set search_path = ''
	as $$
begin
	delete from bakame.users where id = old.id;
	return old;
end
$$;
do $$
begin
	if to_regclass('auth.users') is not null then
		create trigger bakame_erase_user after delete on auth.users for each row execute function bakame.erase_user();
	end if;
exception when insufficient_privilege then
	raise notice 'people deleted in auth.users stay here: % may not make a trigger there', current_user;
end
$$;
