/* model_guard.c - see chat/model_guard.h */
#include "chat/model_guard.h"

#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

static struct breaker *
model_breaker(void)
{
	return breaker_of("openai");
}

int
model_guard_enter(struct model_guard *g, struct err *err)
{
	int64_t retry_ms;

	g->inside = breaker_allow(model_breaker(), loop_now_ms(), &retry_ms, &g->pass);
	if (g->inside)
		return 0;
	metric_count(METRIC_MODEL_CALLS, "result=\"refused\"");
	err_set(err, ERR_UNAVAILABLE, "The model is unavailable at the moment; please try again.");
	err->retry_after_secs = (int)((retry_ms + 999) / 1000);
	return err_cause(err, "the model's breaker is open");
}

void
model_guard_first_chunk(struct model_guard *g)
{
	int64_t retry_ms;

	if (!g->inside || !g->pass.probe)
		return;
	breaker_report(model_breaker(), &g->pass, loop_now_ms(), BREAKER_OK);
	/* refused if others have opened it again since: then this call says no more */
	if (!breaker_allow(model_breaker(), loop_now_ms(), &retry_ms, &g->pass)) {
		g->inside = false;
		metric_count(METRIC_MODEL_CALLS, "result=\"ok\"");
	}
}

void
model_guard_ok(struct model_guard *g)
{
	if (!g->inside)
		return;
	g->inside = false;
	metric_count(METRIC_MODEL_CALLS, "result=\"ok\"");
	breaker_report(model_breaker(), &g->pass, loop_now_ms(), BREAKER_OK);
}

void
model_guard_unknown(struct model_guard *g)
{
	if (!g->inside)
		return;
	g->inside = false;
	metric_count(METRIC_MODEL_CALLS, "result=\"cancelled\"");
	breaker_report(model_breaker(), &g->pass, loop_now_ms(), BREAKER_UNKNOWN);
}

static bool
is_clients_fault(long refusal)
{
	return refusal >= 400 && refusal < 500 && refusal != 408 && refusal != 429;
}

void
model_guard_failed(struct model_guard *g, long refusal, const struct err *err)
{
	if (err->code == ERR_CANCELLED || fiber_cancelled(fiber_self()) != FIBER_GO_ON) {
		model_guard_unknown(g);
	} else if (is_clients_fault(refusal)) {
		model_guard_ok(g);
	} else if (g->inside) {
		g->inside = false;
		metric_count(METRIC_MODEL_CALLS, "result=\"failed\"");
		breaker_report_failure(model_breaker(), &g->pass, loop_now_ms(),
		                       err->cause[0] != '\0' ? err->cause : err->message);
	}
}
