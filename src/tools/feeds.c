/* feeds.c - news of RSS and Atom feeds, which need no key; see tools/news.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/work.h"
#include "tools/fetch.h"
#include "tools/news.h"
#include "tools/tool.h"

#define PROVIDER "News feeds"
#define FEEDS_MAX 8
#define WORDS_MAX 12
/* Reading more XML than this takes over a millisecond. */
#define READ_INLINE_BYTES ((size_t)32 * 1024)

/* ---- choosing ---- */

struct choice {
	struct json_object *item;
	int hits;                       /* words of the query in it */
	int64_t published;
};

static int
count_hits(struct json_object *item, char *const *words, int count)
{
	const char *title = json_member_text(item, "title");
	const char *summary = json_member_text(item, "summary");
	int hits = 0;

	for (int i = 0; i < count; i++)
		hits += strcasestr(title, words[i]) != NULL || (summary != NULL && strcasestr(summary, words[i]) != NULL);
	return hits;
}

static int
compare(const void *left, const void *right)
{
	const struct choice *a = left, *b = right;

	if (a->hits != b->hits)
		return b->hits - a->hits;
	return (b->published > a->published) - (b->published < a->published);
}

static struct json_object *
article(struct json_object *item)
{
	struct json_object *row = json_object_new_object();
	int64_t published = json_object_get_int64(json_object_object_get(item, "published"));
	char time[TOOL_TIME_BYTES];

	tool_add_text(row, "title", json_member_text(item, "title"), NEWS_TEXT_MAX_BYTES);
	tool_add_text(row, "source", json_member_text(item, "source"), 120);
	if (published > 0) {
		tool_format_time(time, published, 0);
		json_object_object_add(row, "published_at", json_object_new_string(time));
	}
	tool_add_text(row, "url", json_member_text(item, "url"), TOOL_URL_MAX_BYTES);
	tool_add_text(row, "summary", json_member_text(item, "summary"), NEWS_TEXT_MAX_BYTES);
	return row;
}

/* Words of the query, in `text`, which is cut up; short ones say nothing. */
static int
split_words(char *text, char **words)
{
	static const char blanks[] = " \t\r\n,.;:!?\"'()";
	int count = 0;
	char *rest = text, *word;

	while ((word = strsep(&rest, blanks)) != NULL && count < WORDS_MAX)
		if (strlen(word) > 2)
			words[count++] = word;
	return count;
}

struct json_object *
feed_choose(struct json_object *items, const char *query)
{
	size_t count = json_object_array_length(items), chosen = 0;
	struct choice *choices = mem_alloc((count + 1) * sizeof(*choices));
	struct json_object *articles = json_object_new_array();
	char *text = mem_strdup(query), *words[WORDS_MAX];
	int words_count = split_words(text, words);

	for (size_t i = 0; i < count; i++) {
		struct json_object *item = json_object_array_get_idx(items, i);
		struct choice c = {.item = item};

		if (json_member_text(item, "title") == NULL)
			continue;
		c.hits = count_hits(item, words, words_count);
		c.published = json_object_get_int64(json_object_object_get(item, "published"));
		if (words_count == 0 || c.hits > 0)
			choices[chosen++] = c;
	}
	qsort(choices, chosen, sizeof(*choices), compare);
	for (size_t i = 0; i < chosen && i < NEWS_ARTICLES_MAX; i++)
		json_object_array_add(articles, article(choices[i].item));
	free(text);
	free(choices);
	return articles;
}

/* ---- asking ---- */

struct read_job {
	const struct fetch_text *text;
	struct json_object *items;
	struct err err;
};

static void
read_job_run(void *arg)
{
	struct read_job *job = arg;

	job->items = feed_read(job->text->text, job->text->len, job->text->charset, &job->err);
}

/* Add the items of one feed's answer.  -1 with *err if there are none to add. */
static int
add_items(struct json_object *all, const struct fetch_text *text, struct err *err)
{
	struct read_job job = {.text = text};

	if (text->text == NULL) {
		*err = text->err;
		return -1;
	}
	if (text->len <= READ_INLINE_BYTES)
		read_job_run(&job);
	else
		work_run(read_job_run, &job);
	if (job.items == NULL) {
		*err = job.err;
		return -1;
	}
	for (size_t i = 0; i < json_object_array_length(job.items); i++)
		json_object_array_add(all, json_object_get(json_object_array_get_idx(job.items, i)));
	json_object_put(job.items);
	return 0;
}

/* The URLs of the setting, in `text`, which is cut up. */
static size_t
list_feeds(char *text, struct fetch *fetches)
{
	size_t count = 0;
	char *url;

	while (count < FEEDS_MAX && (url = strsep(&text, ",")) != NULL)
		fetches[count++] = (struct fetch){.provider = "A news feed", .url = url};
	return count;
}

/* What came of all feeds; one that fails is missed only. */
static struct json_object *
gather(struct fetch_text *texts, size_t count, struct err *err)
{
	struct json_object *kept = json_object_new_object();
	struct json_object *items = json_object_new_array();
	size_t failed = 0;

	for (size_t i = 0; i < count; i++) {
		failed += add_items(items, &texts[i], err) == -1;
		free(texts[i].text);
		texts[i].text = NULL;
	}
	json_object_object_add(kept, "items", items);
	if (failed > 0)
		json_object_object_add(kept, "feeds_failed", json_object_new_int64((int64_t)failed));
	tool_add_source(kept, PROVIDER);
	if (failed < count)
		return kept;
	json_object_put(kept);
	return NULL;
}

static int
fetch(const struct tool_run *run, struct json_object **kept_r, struct err *err)
{
	char *list = mem_strdup(config()->news_feeds);
	struct fetch *fetches = mem_alloc(FEEDS_MAX * sizeof(*fetches));
	struct fetch_text *texts = mem_alloc(FEEDS_MAX * sizeof(*texts));
	size_t count = list_feeds(list, fetches);

	(void)run;
	*kept_r = NULL;
	if (fetch_texts(fetches, count, texts, err) == 0)
		*kept_r = gather(texts, count, err);
	for (size_t i = 0; i < count; i++)
		free(texts[i].text);
	free(texts);
	free(fetches);
	free(list);
	return *kept_r != NULL ? 0 : -1;
}

/* All questions are answered from the same feeds. */
static int
make_key(const struct tool_run *run, struct buffer *key, struct err *err)
{
	(void)run;
	if (buffer_printf(key, "|%s", config()->news_feeds) == 0)
		return 0;
	return err_set(err, ERR_INTERNAL, "NEWS_FEEDS is too long.");
}

static struct json_object *
finish(const struct tool_run *run, struct json_object *kept, struct err *err)
{
	struct json_object *items = json_member(kept, "items", json_type_array);
	struct json_object *result = NULL;

	if (items == NULL) {
		fetch_malformed(PROVIDER, err);
	} else {
		result = json_object_new_object();
		json_object_object_add(result, "articles", feed_choose(items, tool_arg_text(run, "query", "")));
		if (tool_arg_text(run, "country", NULL) != NULL || tool_arg_text(run, "category", NULL) != NULL ||
		    tool_arg_text(run, "language", NULL) != NULL)
			json_object_object_add(result, "note", json_object_new_string("Country, category and language could not be heeded."));
		tool_add_number(result, "feeds_failed", kept, "feeds_failed");
		tool_add_text(result, "source", json_member_text(kept, "source"), 60);
		tool_add_text(result, "retrieved_at", json_member_text(kept, "retrieved_at"), 40);
	}
	json_object_put(kept);
	return result;
}

const struct tool_provider news_feeds = {
    .name = PROVIDER, .needs = FEATURE_NEWS_FEEDS, .fetch = fetch, .key = make_key, .finish = finish};
