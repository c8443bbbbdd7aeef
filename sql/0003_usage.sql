-- 0003_usage.sql - what was used, by whom and when; daily budgets of tokens; what administrators did.

-- Sums by hour; days are sums of hours.  Guests together are the person null.
create table usage_hourly (
	hour timestamptz not null check (hour = date_trunc('hour', hour, 'UTC')),
	user_id uuid references users on delete cascade,
	requests bigint not null default 0,
	prompt_tokens bigint not null default 0,
	completion_tokens bigint not null default 0,
	tool_calls bigint not null default 0,
	errors bigint not null default 0,
	constraint usage_hourly_key unique nulls not distinct (hour, user_id)
);
create index usage_hourly_user on usage_hourly (user_id, hour);

-- The tokens of a day (UTC): what was used, and what is reserved for calls that run.
create table token_days (
	user_id uuid not null references users on delete cascade,
	day date not null,
	used bigint not null default 0 check (used >= 0),
	reserved bigint not null default 0 check (reserved >= 0),
	primary key (user_id, day)
);

-- A call that runs.  One whose worker died is given back when it is older than a request may be.
create table token_reservations (
	id uuid primary key,
	user_id uuid not null references users on delete cascade,
	day date not null,
	tokens bigint not null check (tokens >= 0),
	created_at timestamptz not null default now()
);
create index token_reservations_user on token_reservations (user_id);
create index token_reservations_created on token_reservations (created_at);

-- Who did what to whom, from where.  Without foreign keys: it outlives the people in it.
create table audit_log (
	id bigint generated always as identity primary key,
	at timestamptz not null default now(),
	actor_id uuid,                  -- null: the operator, by bakamectl
	actor text not null default '',
	action text not null check (length(action) <= 100),
	target text not null default '' check (length(target) <= 200),
	details jsonb not null default '{}',
	remote_addr text not null default '' check (length(remote_addr) <= 64),
	request_id text not null default '' check (length(request_id) <= 128)
);
create index audit_log_at on audit_log (at desc, id desc);

-- ---- who sees what ----

alter table usage_hourly enable row level security;
alter table usage_hourly force row level security;
create policy usage_hourly_own on usage_hourly for select to authenticated using (user_id = (select bakame.uid()));
create policy usage_hourly_service on usage_hourly to service_role using (true) with check (true);

alter table token_days enable row level security;
alter table token_days force row level security;
create policy token_days_own on token_days for select to authenticated using (user_id = (select bakame.uid()));
create policy token_days_service on token_days to service_role using (true) with check (true);

alter table token_reservations enable row level security;
alter table token_reservations force row level security;
create policy token_reservations_own on token_reservations for select to authenticated
	using (user_id = (select bakame.uid()));
create policy token_reservations_service on token_reservations to service_role using (true) with check (true);

grant select on usage_hourly, token_days, token_reservations to authenticated;
grant select, insert, update, delete on usage_hourly, token_days, token_reservations to service_role;

alter table audit_log enable row level security;
alter table audit_log force row level security;
create policy audit_log_service on audit_log to service_role using (true) with check (true);
grant select, insert on audit_log to service_role;
