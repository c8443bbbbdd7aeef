-- 0004_turns.sql - turns of conversations, each stored by one call that can be made again; search that uses its index;
-- budgets of tokens, reserved and settled.

-- The functions that run as the owner look past row-level security by these, and each asks who is asking itself.
-- Search has to: an operator that is not leakproof, as @@, would else be kept from its index.
create policy conversations_owner on conversations for select to current_user using (true);
create policy messages_owner on messages for select to current_user using (true);

-- The conversations in whose title or messages the words are, newest first, after (before_at, before_id).
create function find_conversations(wanted text, before_at timestamptz, before_id uuid, at_most integer)
	returns table (id uuid, updated_at timestamptz)
	language plpgsql stable security definer
	set search_path = ''
	as $$
declare
	me uuid := bakame.uid();
	query tsquery := bakame.words_query(wanted);
begin
	return query
		with found as (
			select c.id from bakame.conversations c where c.user_id = me and c.search @@ query
			union
			select m.conversation_id from bakame.messages m where m.user_id = me and m.search @@ query)
		select c.id, c.updated_at from found join bakame.conversations c using (id)
		where c.user_id = me and (before_at is null or (c.updated_at, c.id) < (before_at, before_id))
		order by c.updated_at desc, c.id desc limit at_most;
end
$$;

-- What was said up to a message, or up to where the conversation ends; the newest, so many at most and so long.
create function history(conversation uuid, follows boolean, parent uuid, at_most integer, max_chars bigint)
	returns table (role text, content jsonb, attachments uuid[])
	language sql stable
	set search_path = ''
	as $$
	with recursive chain (id, parent_id, role, content, attachments, depth) as (
		select m.id, m.parent_id, m.role, m.content, m.attachments, 1
		from bakame.messages m
		where m.id = case when follows then (select c.leaf_id from bakame.conversations c where c.id = conversation)
		                  else parent end
		  and m.conversation_id = conversation
		union all
		select m.id, m.parent_id, m.role, m.content, m.attachments, chain.depth + 1
		from chain join bakame.messages m on m.id = chain.parent_id
		where m.conversation_id = conversation and chain.depth < at_most),
	measured as (
		select chain.*, sum(length(content::text)) over (order by depth) as chars from chain)
	select role, content, attachments from measured where chars <= max_chars order by depth desc
$$;

-- Store what somebody said: one message after the other, the first below `parent`, or below where the
-- conversation ends.  Without messages it is `parent` that is answered anew.  With ids of the caller's: called twice it happens once.
create function begin_turn(conversation uuid, starts boolean, title text, follows boolean, parent uuid, at timestamptz,
                           said jsonb)
	returns void
	language plpgsql
	set search_path = ''
	as $$
declare
	me uuid := bakame.uid();
	last uuid;
	one jsonb;
	count integer := 0;
begin
	if starts then
		insert into bakame.conversations (id, user_id, title, created_at, updated_at)
			values (conversation, me, title, at, at) on conflict do nothing;
	end if;
	select c.leaf_id into last from bakame.conversations c where c.id = conversation and c.user_id = me for update;
	if not found then
		raise exception 'There is no such conversation.' using errcode = 'BK404';
	end if;
	if exists (select from bakame.messages m where m.id = (said -> 0 ->> 'id')::uuid) then
		return;
	end if;
	if not follows then
		last := parent;
		if last is not null and not exists (
			select from bakame.messages m where m.id = last and m.conversation_id = conversation) then
			raise exception 'There is no such message in the conversation (parent_id).' using errcode = 'BK404';
		end if;
	end if;
	for one in select * from jsonb_array_elements(said) loop
		insert into bakame.messages (id, conversation_id, user_id, parent_id, role, content, text, attachments, created_at)
			values ((one ->> 'id')::uuid, conversation, me, last, one ->> 'role', one -> 'content', one ->> 'text',
			        array(select jsonb_array_elements_text(one -> 'attachments')::uuid),
			        at + count * interval '1 microsecond');
		last := (one ->> 'id')::uuid;
		count := count + 1;
	end loop;
	update bakame.conversations c set leaf_id = last, updated_at = greatest(c.updated_at, at) where c.id = conversation;
end
$$;

-- Store what was answered to the message `parent`.  The branch that was last spoken in ends there, unless somebody
-- has spoken in another since.
create function end_turn(conversation uuid, parent uuid, at timestamptz, answer jsonb)
	returns void
	language plpgsql
	set search_path = ''
	as $$
begin
	insert into bakame.messages (id, conversation_id, user_id, parent_id, role, content, text, status, model,
	                             prompt_tokens, completion_tokens, tools, created_at)
		values ((answer ->> 'id')::uuid, conversation, bakame.uid(), parent, 'assistant', answer -> 'content',
		        answer ->> 'content', answer ->> 'status', answer ->> 'model',
		        (answer ->> 'prompt_tokens')::bigint, (answer ->> 'completion_tokens')::bigint,
		        nullif(answer -> 'tools', 'null'), at)
		on conflict do nothing;
	if found then
		update bakame.conversations c set leaf_id = (answer ->> 'id')::uuid, updated_at = greatest(c.updated_at, at)
			where c.id = conversation and c.leaf_id = parent;
	end if;
end
$$;

-- ---- budgets ----

-- Reserve tokens of today's budget; true, or false when it is used up.  What was reserved by a call whose worker died
-- is given back first.
create function reserve_tokens(reservation uuid, who uuid, wanted bigint, budget bigint, expires_secs integer)
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
	with given_back as (
		delete from bakame.token_reservations r
		where r.user_id = who and r.created_at < now() - make_interval(secs => expires_secs) returning r.day, r.tokens)
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

-- The call has ended: what it used in place of what was reserved.  A second time nothing happens.
create function settle_tokens(reservation uuid, used_tokens bigint)
	returns void
	language sql
	set search_path = ''
	as $$
	with settled as (
		delete from bakame.token_reservations r where r.id = reservation returning r.user_id, r.day, r.tokens)
	update bakame.token_days d
		set reserved = greatest(0, d.reserved - s.tokens), used = d.used + used_tokens
		from settled s where d.user_id = s.user_id and d.day = s.day
$$;

revoke execute on function find_conversations, history, begin_turn, end_turn, reserve_tokens, settle_tokens from public;
grant execute on function find_conversations, history, begin_turn, end_turn to authenticated, service_role;
grant execute on function reserve_tokens, settle_tokens to service_role;

-- Uploads whose bytes are not in their place yet are shown to nobody, and taken away when that never came about.
alter table uploads add column stored_at timestamptz;
create index uploads_not_stored on uploads (created_at) where stored_at is null;
create index uploads_pending on uploads (created_at) where text_status = 'pending' and deleted_at is null;
