-- 0002_conversations.sql - conversations, their messages, uploads, and the search in them.
--
-- Search is PostgreSQL's full text with the configuration `simple` and without accents, so that Kinyarwanda, French and
-- English are found alike; each index begins with the person, for nobody searches in another's words.

do $$
begin
	if not exists (select from pg_extension where extname = 'unaccent') then
		create extension unaccent schema bakame;
	end if;
	if not exists (select from pg_extension where extname = 'btree_gin') then
		create extension btree_gin schema bakame;
	end if;
	-- unaccent() is not immutable, for its dictionary might be changed; ours is named and stays.  Supabase keeps
	-- extensions in a schema of their own.
	execute (
		select format(
			'create function bakame.plain(text) returns text language sql immutable strict parallel safe '
			'set search_path = '''' return %1$I.unaccent(''%1$I.unaccent''::regdictionary, $1)', n.nspname)
		from pg_extension e join pg_namespace n on n.oid = e.extnamespace
		where e.extname = 'unaccent');
end
$$;

-- The words of a text: of its beginning, for a tsvector has at most 1 MiB.
create function words(text) returns tsvector
	language sql immutable strict parallel safe
	set search_path = ''
	return to_tsvector('pg_catalog.simple'::regconfig, bakame.plain(left($1, 100000)));

-- What somebody looks for, as web search engines read it; the last word may be unfinished.
create function words_query(text) returns tsquery
	language plpgsql immutable strict parallel safe
	set search_path = ''
	as $$
declare
	wanted tsquery := websearch_to_tsquery('pg_catalog.simple'::regconfig, bakame.plain($1));
begin
	if wanted::text ~ '''$' and $1 ~ '[[:alnum:]]$' then
		return (wanted::text || ':*')::tsquery;
	end if;
	return wanted;
end
$$;

create table conversations (
	id uuid primary key default gen_random_uuid(),
	user_id uuid not null references users on delete cascade,
	title text not null default '' check (length(title) <= 200),
	-- did a person choose the title?  Then no job does.
	titled boolean not null default false,
	pinned boolean not null default false,
	-- the message at which the branch ends that was last spoken in
	leaf_id uuid,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	search tsvector generated always as (bakame.words(title)) stored,
	unique (id, user_id)
);
create index conversations_list on conversations (user_id, pinned desc, updated_at desc, id desc);
create index conversations_recent on conversations (user_id, updated_at desc, id desc);
create index conversations_search on conversations using gin (user_id, search) with (fastupdate = off);

-- `id` is given by the worker that stores it, so that storing twice does nothing.  `seq` is the order of storing.
-- `parent_id` is what it answers or follows; two messages with one parent are two branches.  It has no foreign key, for
-- erasing a conversation would then look for the children of each of its messages.
create table messages (
	id uuid primary key,
	conversation_id uuid not null,
	user_id uuid not null,
	parent_id uuid,
	seq bigint generated always as identity,
	role text not null check (role in ('system', 'user', 'assistant', 'tool')),
	-- as OpenAI's API has it: a string or an array of parts; and what of it is text
	content jsonb not null,
	text text not null default '',
	status text not null default 'complete' check (status in ('complete', 'interrupted', 'pending')),
	model text,
	prompt_tokens bigint not null default 0,
	completion_tokens bigint not null default 0,
	tools jsonb,
	attachments uuid[] not null default '{}',
	created_at timestamptz not null default now(),
	search tsvector generated always as (bakame.words(text)) stored,
	foreign key (conversation_id, user_id) references conversations (id, user_id) on delete cascade
);
create index messages_conversation on messages (conversation_id, seq);
create index messages_search on messages using gin (user_id, search) with (fastupdate = off);

-- A file that somebody sent.  The bytes are under `storage_key`, never under the client's name.
create table uploads (
	id uuid primary key,
	user_id uuid not null references users on delete cascade,
	name text not null check (length(name) between 1 and 255),
	type text not null check (length(type) <= 100),
	size bigint not null check (size >= 0),
	sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
	storage text not null check (storage in ('directory', 's3')),
	storage_key text not null check (length(storage_key) <= 400),
	text text,
	text_chars integer,
	text_status text not null default 'none' check (text_status in ('none', 'pending', 'done', 'failed')),
	text_error text,
	created_at timestamptz not null default now(),
	-- the bytes are taken away by a job after this
	deleted_at timestamptz
);
create index uploads_list on uploads (user_id, created_at desc, id desc) where deleted_at is null;
create index uploads_deleted on uploads (deleted_at) where deleted_at is not null;

-- What is left of uploads whose owner was erased: bytes that a job has still to take away.
create table upload_remains (
	storage text not null,
	storage_key text not null,
	since timestamptz not null default now(),
	primary key (storage, storage_key)
);
create function keep_remains() returns trigger
	language plpgsql security definer
	set search_path = ''
	as $$
begin
	insert into bakame.upload_remains (storage, storage_key) values (old.storage, old.storage_key)
		on conflict do nothing;
	return old;
end
$$;
create trigger uploads_remains after delete on uploads for each row execute function keep_remains();

-- ---- who sees what ----

alter table conversations enable row level security;
alter table conversations force row level security;
create policy conversations_own on conversations to authenticated
	using (user_id = (select bakame.uid())) with check (user_id = (select bakame.uid()));
create policy conversations_service on conversations to service_role using (true) with check (true);

alter table messages enable row level security;
alter table messages force row level security;
create policy messages_own on messages to authenticated
	using (user_id = (select bakame.uid())) with check (user_id = (select bakame.uid()));
create policy messages_service on messages to service_role using (true) with check (true);

alter table uploads enable row level security;
alter table uploads force row level security;
create policy uploads_own on uploads to authenticated
	using (user_id = (select bakame.uid())) with check (user_id = (select bakame.uid()));
create policy uploads_service on uploads to service_role using (true) with check (true);

grant select, insert, update, delete on conversations, messages, uploads to authenticated, service_role;

alter table upload_remains enable row level security;
alter table upload_remains force row level security;
create policy upload_remains_service on upload_remains to service_role using (true) with check (true);
create policy upload_remains_owner on upload_remains to current_user using (true) with check (true);
grant select, insert, delete on upload_remains to service_role;
