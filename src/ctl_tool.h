/*
 * ctl_tool.h - the subcommand `tool` of bakamectl.
 */
#ifndef CTL_TOOL_H
#define CTL_TOOL_H

/* argv[0] is "tool", then a name and the arguments as JSON.  Returns an exit status. */
int ctl_tool(int argc, char **argv);

#endif
