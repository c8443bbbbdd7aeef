/* docx.c - see store/docx.h */
#include "store/docx.h"

#include <expat.h>
#include <string.h>

#include "store/zip.h"

struct reader {
	XML_Parser parser;
	bool (*cb)(void *arg, const char *text, size_t len);
	void *arg;
	unsigned in_text;               /* depth in elements <w:t> */
	bool full;                      /* nobody wants more */
	bool bad;
};

static void
say(struct reader *r, const char *text, size_t len)
{
	if (r->full || r->cb(r->arg, text, len))
		return;
	r->full = true;
	XML_StopParser(r->parser, XML_FALSE);
}

static const char *
local_name(const XML_Char *name)
{
	const char *colon = strrchr(name, ':');

	return colon != NULL ? colon + 1 : name;
}

static void XMLCALL
start_cb(void *arg, const XML_Char *element, const XML_Char **attributes)
{
	struct reader *r = arg;
	const char *name = local_name(element);

	(void)attributes;
	if (strcmp(name, "t") == 0)
		r->in_text++;
	else if (strcmp(name, "tab") == 0)
		say(r, "\t", 1);
	else if (strcmp(name, "br") == 0 || strcmp(name, "cr") == 0)
		say(r, "\n", 1);
}

static void XMLCALL
end_cb(void *arg, const XML_Char *element)
{
	struct reader *r = arg;
	const char *name = local_name(element);

	if (strcmp(name, "t") == 0)
		r->in_text--;
	else if (strcmp(name, "p") == 0)
		say(r, "\n", 1);
}

static void XMLCALL
text_cb(void *arg, const XML_Char *text, int len)
{
	struct reader *r = arg;

	if (r->in_text > 0)
		say(r, text, (size_t)len);
}

/* Word writes none: entities that grow without end would come with it. */
static void XMLCALL
doctype_cb(void *arg, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid, int internal)
{
	struct reader *r = arg;

	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	r->bad = true;
	XML_StopParser(r->parser, XML_FALSE);
}

static bool
piece_cb(void *arg, const char *data, size_t len)
{
	struct reader *r = arg;

	if (XML_Parse(r->parser, data, (int)len, XML_FALSE) == XML_STATUS_OK)
		return true;
	r->bad = r->bad || !r->full;
	return false;
}

int
docx_text(int fd, bool (*cb)(void *arg, const char *text, size_t len), void *arg)
{
	struct reader r = {.parser = XML_ParserCreate(NULL), .cb = cb, .arg = arg};
	int rc;

	if (r.parser == NULL)
		return -1;
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, start_cb, end_cb);
	XML_SetCharacterDataHandler(r.parser, text_cb);
	XML_SetStartDoctypeDeclHandler(r.parser, doctype_cb);
	rc = zip_read_entry(fd, "word/document.xml", DOCX_XML_MAX_BYTES, piece_cb, &r);
	if (rc == 0 && XML_Parse(r.parser, "", 0, XML_TRUE) != XML_STATUS_OK)
		r.bad = true;
	XML_ParserFree(r.parser);
	if (r.full)
		return 0;
	return r.bad ? -1 : rc;
}
