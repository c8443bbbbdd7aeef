/*
 * vitals.h - what a process takes of its host, as gauges: memory, descriptors, how late its loop is.
 */
#ifndef RUNTIME_VITALS_H
#define RUNTIME_VITALS_H

/* Look and set the gauges; call from a timer of the loop that repeats every `every_ms`. */
void vitals_tick(unsigned every_ms);

#endif
