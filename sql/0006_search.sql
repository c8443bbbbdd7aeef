-- 0006_search.sql - search whose time depends on how much somebody has said, not on how much all have.
--
-- An index of persons and words meets, for "kig", everybody's words that begin so, and for "kigali" everybody's messages
-- with it.  In these each word is a person's own: what is read is what will be found.  ("2a9d1c07kigali" is the word
-- "kigali" of those whose ids have that digest: one, or rarely two, and each query asks for the person too.)

create function own(person uuid) returns text
	language sql immutable strict parallel safe
	set search_path = ''
	return left(md5(person::text), 8);

-- As text a tsvector is words in quotes with blanks between them and none within.  Words that would become too long for
-- one are left out.
create function own_words(person uuid, words tsvector) returns tsvector
	language sql immutable strict parallel safe
	set search_path = ''
	return replace(' ' || (case when words::text ~ '[^'' ]{255}' then ts_delete(words, array(
		select w.lexeme from unnest(words) w where octet_length(w.lexeme) > 2000)) else words end)::text,
		' ''', ' ''' || bakame.own(person))::tsvector;

-- What of a query such an index can find: without what must not be there, and words of a phrase wherever they stand.
-- Null when that is nothing.
create function own_query(person uuid, query tsquery) returns tsquery
	language sql immutable strict parallel safe
	set search_path = ''
	return case when querytree(query) in ('', 'T') then null else
		replace(' ' || regexp_replace(querytree(query), '<(-|\d+)>', '&', 'g'), ' ''', ' ''' || bakame.own(person))::tsquery end;

create index messages_words on messages using gin (own_words(user_id, search)) with (fastupdate = off);
create index conversations_words on conversations using gin (own_words(user_id, search)) with (fastupdate = off);
drop index messages_search;
drop index conversations_search;

-- The conversations in whose title or messages the words are, newest first, after (before_at, before_id).
--
-- A word that somebody says all the time is in nearly every conversation: then the newest are looked through, which ends soon,
-- and only if that does not fill the page is everything fetched that the index finds.
--
-- "is true" keeps a condition from the index; the settings keep the planner from reading a table whole.
create or replace function find_conversations(wanted text, before_at timestamptz, before_id uuid, at_most integer)
	returns table (id uuid, updated_at timestamptz)
	language plpgsql stable security definer
	set search_path = '' set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan
	as $$
declare
	common constant integer := 400;
	newest constant integer := 100;
	me uuid := bakame.uid();
	query tsquery := bakame.words_query(wanted);
	own tsquery := bakame.own_query(me, query);
	found uuid[] := '{}';
	by_title uuid[] := '{}';
begin
	if numnode(query) = 0 then
		return;
	end if;
	if own is not null then
		by_title := array(
			select c.id from bakame.conversations c
			where bakame.own_words(c.user_id, c.search) @@ own and c.user_id = me and (c.search @@ query) is true);
		found := array(
			select m.conversation_id from bakame.messages m
			where bakame.own_words(m.user_id, m.search) @@ own and m.user_id = me and (m.search @@ query) is true limit common);
	end if;
	if own is null or cardinality(found) = common then
		found := array(
			select n.id from (
				select c.* from bakame.conversations c
				where c.user_id = me and (before_at is null or (c.updated_at, c.id) < (before_at, before_id))
				order by c.updated_at desc, c.id desc limit newest) n
			where (n.search @@ query) is true or exists (
				select from bakame.messages m where m.conversation_id = n.id and (m.search @@ query) is true)
			order by n.updated_at desc, n.id desc limit at_most);
		if cardinality(found) < at_most and own is not null then
			found := array(
				select distinct m.conversation_id from bakame.messages m
				where bakame.own_words(m.user_id, m.search) @@ own and m.user_id = me and (m.search @@ query) is true);
		elsif cardinality(found) < at_most then
			found := array(
				select c.id from bakame.conversations c
				where c.user_id = me and ((c.search @@ query) is true or exists (
					select from bakame.messages m where m.conversation_id = c.id and (m.search @@ query) is true)));
		end if;
	end if;
	return query
		select c.id, c.updated_at from bakame.conversations c
		where c.user_id = me and c.id = any(found || by_title)
		  and (before_at is null or (c.updated_at, c.id) < (before_at, before_id))
		order by c.updated_at desc, c.id desc limit at_most;
end
$$;

revoke execute on function own, own_words, own_query from public;
grant execute on function own, own_words, own_query to authenticated, service_role;
