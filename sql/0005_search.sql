-- 0005_search.sql - search that stays quick among millions of messages.
--
-- A word that may go on ("kig" finds "kigali") makes a GIN index collect every message of anybody that has such a
-- word before it looks at whose they are: 50 ms among two million.  So whole words come first, by the index; only where they
-- find nothing is the last one taken for a beginning, and then within the person's own messages.

create or replace function find_conversations(wanted text, before_at timestamptz, before_id uuid, at_most integer)
	returns table (id uuid, updated_at timestamptz)
	language plpgsql stable security definer
	set search_path = ''
	as $$
declare
	me uuid := bakame.uid();
	whole tsquery := websearch_to_tsquery('pg_catalog.simple'::regconfig, bakame.plain(wanted));
	begun tsquery := bakame.words_query(wanted);
	found uuid[];
begin
	found := array(
		select c.id from bakame.conversations c where c.user_id = me and c.search @@ whole
		union
		select m.conversation_id from bakame.messages m where m.user_id = me and m.search @@ whole);
	if found = '{}' and begun::text <> whole::text then
		-- "is true" keeps the condition from the index, which is read for the person alone
		found := array(
			select c.id from bakame.conversations c where c.user_id = me and (c.search @@ begun) is true
			union
			select m.conversation_id from bakame.messages m where m.user_id = me and (m.search @@ begun) is true);
	end if;
	return query
		select c.id, c.updated_at from bakame.conversations c
		where c.user_id = me and c.id = any(found)
		  and (before_at is null or (c.updated_at, c.id) < (before_at, before_id))
		order by c.updated_at desc, c.id desc limit at_most;
end
$$;
