/*
 * extract.c - bakame-extract: the text of one uploaded file, in a process that may do nothing else.
 *
 *	bakame-extract pdf|docx|text  < FILE  > TEXT
 *
 * Files of strangers meet large parsers here, so: limits of time, memory and open files, no writing of files, no
 * reading of others than a system's programs and libraries (not of /proc, the settings, other people's files), no network,
 * no new privileges, nobody's rights when started by root, and an end when the parent ends.
 * Text comes out as UTF-8.  Exit status: 0; 1 when the file is not what it should be; 2 when there was more of it than is
 * looked at; 64 and above as in sysexits.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <iconv.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/text.h"
#include "store/docx.h"

#define CPU_SECS 60                     /* the parent's deadline comes first */
#define MEMORY_BYTES ((rlim_t)768 * 1024 * 1024)
#define OPEN_FILES 32
#define NOBODY 65534
#define PDF_PAGES "2000"
#define PIECE_BYTES 65536

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#endif

#ifdef __SANITIZE_ADDRESS__
/* Who looks for leaks at the end wants a thread and ptrace(2), which are refused here. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static void
limit(int resource, rlim_t value)
{
	struct rlimit r = {.rlim_cur = value, .rlim_max = value};

	if (setrlimit(resource, &r) == -1)
		exit(EX_OSERR);
}

/* The kernel refuses sockets and looking into other processes (seccomp(2)). */
static void
refuse_calls(void)
{
#ifdef ARCH
#define REFUSE(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    REFUSE(SYS_socket),
	    REFUSE(SYS_connect),
	    REFUSE(SYS_ptrace),
	    REFUSE(SYS_kill),
	    REFUSE(SYS_process_vm_readv),
	    REFUSE(SYS_process_vm_writev),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	/* kernels without it have the other fences */
	(void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
#endif
}

/* What there is of `path` may be read, and run. */
static void
let_see(int rules, const char *path)
{
	struct landlock_path_beneath_attr beneath = {
	    .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE,
	    .parent_fd = open(path, O_PATH | O_CLOEXEC),
	};
	struct stat st;

	if (beneath.parent_fd == -1)
		return;
	if (fstat(beneath.parent_fd, &st) == 0 && S_ISDIR(st.st_mode))
		beneath.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
	(void)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
	close(beneath.parent_fd);
}

/* Of the file system only what every installation has (landlock(7)). */
static void
see_only_programs(void)
{
	static const char *const seen[] = {"/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/fonts", "/var/cache/fontconfig",
	                                   "/dev/null", "/dev/urandom"};
	const struct landlock_ruleset_attr all = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
	long rules = syscall(SYS_landlock_create_ruleset, &all, sizeof(all.handled_access_fs), 0);

	if (rules == -1)        /* a kernel without it has the other fences */
		return;
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		let_see((int)rules, seen[i]);
	if (syscall(SYS_landlock_restrict_self, (int)rules, 0) == -1)
		exit(EX_OSERR);
	close((int)rules);
}

static void
shut_in(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) == -1 || setgid(NOBODY) == -1 || setuid(NOBODY) == -1))
		exit(EX_OSERR);
	limit(RLIMIT_CORE, 1);  /* see program_leave_no_core() */
	limit(RLIMIT_CPU, CPU_SECS);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NOFILE, OPEN_FILES);
	limit(RLIMIT_NPROC, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 || prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() == 1)
		exit(EX_OSERR);
	see_only_programs();
	refuse_calls();
}

static bool
print_cb(void *arg, const char *text, size_t len)
{
	(void)arg;
	return fwrite(text, 1, len, stdout) == len;
}

/* ---- plain texts ---- */

/* The encoding that is neither UTF-8 nor marked: what Windows writes where UTF-8 is not the custom. */
#define OTHER_ENCODING "WINDOWS-1252"

static const char *
encoding_of(const char *head, size_t len)
{
	size_t valid = text_valid_utf8(head, len);

	if (len >= 2 && (memcmp(head, "\xFF\xFE", 2) == 0 || memcmp(head, "\xFE\xFF", 2) == 0))
		return "UTF-16";
	/* a piece may end within a character; a whole text does not */
	return valid == len || (len == PIECE_BYTES && len - valid < 4) ? "UTF-8" : OTHER_ENCODING;
}

/* Convert what is in `in` and print it; what is left of it, an incomplete character at the end, goes to its front. */
static size_t
convert(iconv_t cd, char *in, size_t len)
{
	char out[PIECE_BYTES], *from = in, *to;
	size_t room;

	while (len > 0) {
		to = out;
		room = sizeof(out);
		size_t rc = iconv(cd, &from, &len, &to, &room);
		int why = errno;

		(void)!fwrite(out, 1, sizeof(out) - room, stdout);
		if (rc != (size_t)-1 || why == EINVAL)
			break;
		if (why == EILSEQ) {
			fputs("\xEF\xBF\xBD", stdout);
			from++;
			len--;
		}
	}
	memmove(in, from, len);
	return len;
}

static int
print_text(void)
{
	static char piece[PIECE_BYTES];
	size_t kept = 0, len = fread(piece, 1, sizeof(piece), stdin);
	iconv_t cd = iconv_open("UTF-8", encoding_of(piece, len));

	if (cd == (iconv_t)-1)
		return EX_SOFTWARE;
	while (len > 0) {
		kept = convert(cd, piece, kept + len);
		len = fread(piece + kept, 1, sizeof(piece) - kept, stdin);
	}
	iconv_close(cd);
	return 0;
}

int
main(int argc, char **argv)
{
	static const char *const pdftotext[] = {"pdftotext", "-q", "-enc", "UTF-8", "-nopgbrk", "-l", PDF_PAGES, "-", "-", NULL};
	const char *kind = argc == 2 ? argv[1] : "";
	int rc;

	shut_in();
	if (strcmp(kind, "pdf") == 0) {
		limit(RLIMIT_AS, MEMORY_BYTES);
		execvp(pdftotext[0], (char *const *)(uintptr_t)pdftotext);
		return EX_UNAVAILABLE;
	}
#ifndef __SANITIZE_ADDRESS__
	limit(RLIMIT_AS, MEMORY_BYTES);
#endif
	if (strcmp(kind, "docx") == 0) {
		rc = docx_text(STDIN_FILENO, print_cb, NULL);
		rc = rc == 1 ? 2 : -rc;
	} else if (strcmp(kind, "text") == 0) {
		rc = print_text();
	} else {
		return EX_USAGE;
	}
	return fflush(stdout) == 0 ? rc : EX_IOERR;
}
